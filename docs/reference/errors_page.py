"""Writes the tables of all errors to standard output: `make docs` keeps them as `errors.md`.

The rows are made by answering with each error once, so that they are what callers see.
"""

import inspect
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import UUID

from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from action_gateway.domain.payment import Payment
from action_gateway.edge import problems
from action_gateway.errors import GatewayError
from action_gateway.streams.conversation import MESSAGE_BYTES_MAX
from action_gateway.streams.endings import Ending
from score_client.types import Reversal
from score_service.domain.ledger.position import Position
from score_service.errors import ScoreServiceError
from score_service.grpc_api import status

_SAMPLES: Final[dict[str, Any]] = {
    "fields": {"name": "fault"},
    "retry_after": 1.0,
    "payment": Payment(points=1, total=1, rank=1),
    "attempts_left": 1,
    "revision": 1,
    "position": Position(1, "0123456789abcdef"),
    "reversal": Reversal(
        reversal_id=UUID(int=1),
        award_id=UUID(int=2),
        award_revision=1,
        user_id="ada",
        points=1,
        total=0,
        revision=2,
        position="",
        reason="A mistake.",
        actor="spiffe://laurel.local/action-gateway",
        on_behalf_of="",
        recorded_at=datetime(2026, 11, 30, tzinfo=UTC),
        final_periods=(),
    ),
    "methods": ["score_api.v1.LedgerService/ListAwards"],
}
"""A value for each parameter that the errors need."""

_STANDARD_MEMBERS: Final = frozenset({"type", "title", "status", "detail", "code"})
_HEAD: Final = """\
# Errors

Each error becomes what these tables say, and nothing else. An error that is not in them is a fault of the
service: it is logged with its stack trace, and the caller gets `INTERNAL` or `internal` with one fixed
text.

This page is generated from the code: `make docs` writes it.
"""
_GRPC: Final = """\
## gRPC

Every status has a `google.rpc.ErrorInfo` with the `reason` and the domain `laurel`. `INVALID_ARGUMENT` also
has a `google.rpc.BadRequest` with the faulty fields. Where a retry may help, a `google.rpc.RetryInfo` says
after how many seconds, and the trailer `grpc-retry-pushback-ms` the same in whole milliseconds, at least 1,
for the [retries that are built into gRPC](../clients.md#retries). `AWARD_REVERSED` also has the
`score_api.v1.Reversal` that stands. The `metadata` of the `ErrorInfo` has the `revision` of an award that is
archived, and of `HISTORY_ARCHIVED` the `archived_position` after which the ledger can be read. In a batch,
`AwardError` has the same code, reason, message, fields, metadata and time for one award. The reasons are
described in [`error_reason.proto`](../../proto/score_api/v1/error_reason.proto).

| status | reason | retry after | exception | message |
| --- | --- | --- | --- | --- |
"""
_HTTP: Final = """\
## HTTP

The body is a problem document (RFC 9457, `application/problem+json`) with `type`, `title`, `status`,
`detail`, `code` and the members below. `type` is `urn:laurel:problem:` followed by the code.

| status | code | more members | more headers | exception | title |
| --- | --- | --- | --- | --- | --- |
"""
_SOCKETS: Final = """\
## WebSocket close codes

| code | reason | label in the metrics |
| --- | --- | --- |
"""
_SOCKETS_END: Final = f"""
A message of more than {MESSAGE_BYTES_MAX:,} bytes closes the socket with 1009.
"""


def write_page() -> str:
    """Return the page in Markdown."""
    tables = (_GRPC + _table(_statuses()), _HTTP + _table(_problems()), _SOCKETS + _table(_endings()))
    return "\n".join([_HEAD, *tables]) + _SOCKETS_END


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _statuses() -> Iterator[tuple[str, ...]]:
    for kind in (*status.TABLE, ScoreServiceError):
        error = kind(**_samples(kind))
        details = Status.FromString(
            dict(status.to_status(error).trailing_metadata)["grpc-status-details-bin"]
        )
        reason = _find(details, ErrorInfo()).reason
        retry = _find(details, RetryInfo())
        yield (
            f"`{status.error_status_of(error).code.name}`",
            f"`{reason}`",
            _describe_delay(kind, retry),
            f"`{kind.__name__}`",
            _describe(kind) if "fields" in _samples(kind) else details.message,
        )


def _describe(kind: type[Exception]) -> str:
    return inspect.getdoc(kind) or ""


def _find(details: Any, detail: Any) -> Any:
    """Unpack a detail of a status; None where there is none of its kind."""
    return next((detail for packed in details.details if packed.Unpack(detail)), None)


def _describe_delay(kind: type[Exception], retry: Any) -> str:
    if retry is None:
        return ""
    if "retry_after" in inspect.signature(kind).parameters:
        return "when there is room again"
    return f"{retry.retry_delay.ToNanoseconds() / 1e9:g} s"


def _problems() -> Iterator[tuple[str, ...]]:
    for kind in problems.KINDS:
        response = problems.answer(cast("GatewayError", kind(**_samples(kind))))
        body = json.loads(bytes(response.body))
        members = [f"`{name}`" for name in body if name not in _STANDARD_MEMBERS]
        headers = [f"`{name}`" for name in ("Retry-After", "WWW-Authenticate") if name in response.headers]
        yield (
            str(response.status_code),
            f"`{body['code']}`",
            ", ".join(members),
            ", ".join(headers),
            f"`{kind.__name__}`",
            body["title"],
        )


def _samples(kind: type[Exception]) -> dict[str, Any]:
    parameters = inspect.signature(kind).parameters.values()
    return {one.name: _SAMPLES[one.name] for one in parameters if one.default is one.empty}


def _endings() -> Iterator[tuple[str, ...]]:
    for ending in sorted(Ending, key=lambda one: one.code):
        yield str(ending.code), ending.reason, f"`{ending.label}`"


if __name__ == "__main__":
    sys.stdout.write(write_page())
