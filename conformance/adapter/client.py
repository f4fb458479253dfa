"""The commands that an adapter is given, and its answers as values of the contract."""

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from conformance.adapter.process import AdapterFault, AdapterProcess
from local_stack.certificates import CertificateFiles
from score_api.v1.leaderboard_service_pb2 import ListStandingsResponse, WatchLeaderboardResponse
from score_api.v1.ledger_service_pb2 import StreamEntriesResponse
from score_api.v1.score_service_pb2 import AwardResult

_Message = TypeVar("_Message", bound=Message)


class Unsupported(Exception):  # noqa: N818 - what an adapter says, and no error
    """The adapter says that its client cannot do this."""


class Kind(StrEnum):
    """What a caller knows after a failure."""

    REJECTED = "rejected"
    """Nothing was done, and the same again would end the same."""
    LATER = "later"
    """Nothing was done, and it may be asked for again later."""
    UNKNOWN = "unknown"
    """Whether anything was done is not known."""


@dataclass(frozen=True)
class Failure:
    """What a call ended with instead of a result, as the adapter tells it."""

    kind: Kind
    reason: str
    retry_after: float | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} ({self.reason})"


class Client:
    """A client that the adapter has opened. It has one stream at most."""

    def __init__(self, process: AdapterProcess) -> None:
        self._process = process
        self._event_type: type[WatchLeaderboardResponse | StreamEntriesResponse] = WatchLeaderboardResponse
        self._pending: str | None = None
        """The position of the event that was handed over last."""
        self._handled: list[tuple[float, str]] = []

    async def open(
        self,
        addresses: Sequence[str],
        files: CertificateFiles,
        *,
        target: str,
        server_name: str = "localhost",
        timeout_seconds: float = 20.0,
        stall_seconds: float = 45.0,
    ) -> None:
        """Open the client: of servers at these addresses, with these files. It need not connect yet."""
        await self._do(
            "open",
            target=target,
            addresses=addresses,
            server_name=server_name,
            ca_file=str(files.ca_file),
            certificate_file=str(files.certificate_file),
            key_file=str(files.key_file),
            timeout_seconds=timeout_seconds,
            attempt_seconds=timeout_seconds / 4,
            stall_seconds=stall_seconds,
            certificate_check_seconds=0.2,
        )

    async def award(self, **fields: Any) -> AwardResult | Failure:
        """Make an award: by default of 10 points for ada on main, and with ids that the client makes."""
        return _read(AwardResult, await self._ask("award", award=_award(fields)))

    async def award_many(self, awards: Sequence[Mapping[str, Any]]) -> list[AwardResult | Failure]:
        """Make several awards, at the same time if the client can."""
        answers = (await self._do("award_many", awards=[_award(fields) for fields in awards])).get("answers")
        if not isinstance(answers, list) or len(answers) != len(awards):
            raise AdapterFault(f"not one of `answers` for each of {len(awards)} awards: {answers!r:.120}")
        return [_read(AwardResult, answer) for answer in answers]

    async def top(self) -> ListStandingsResponse | Failure:
        """Read the first page of main."""
        return _read(ListStandingsResponse, await self._ask("top", board_id="main"))

    async def watch(self, after_position: str | None = None) -> None:
        """Begin to watch main, with the changes of all scores."""
        self._event_type = WatchLeaderboardResponse
        await self._begin("watch", after_position)

    async def entries(self, after_position: str | None = None) -> None:
        """Begin to read the entries of main."""
        self._event_type = StreamEntriesResponse
        await self._begin("entries", after_position)

    async def next(self) -> Any:
        """Return the next event of the stream, or its Failure. The event before is handled."""
        if self._pending is not None:
            self._handled.append((asyncio.get_running_loop().time(), self._pending))
            self._pending = None
        event = _read(self._event_type, await self._ask("next"))
        if not isinstance(event, Failure):
            self._pending = event.position
        return event

    async def stop(self) -> None:
        """End the stream."""
        await self._do("stop")

    async def close(self) -> None:
        """Close the client, which every adapter can."""
        try:
            await self._do("close")
        except Unsupported as told:
            raise AdapterFault(f"'close' is not done: {told}") from None

    def handled_by(self, when: float) -> str | None:
        """Return the position of the last event that was handled by then; None for none."""
        count = bisect_right(self._handled, when, key=lambda handled: handled[0])
        return self._handled[count - 1][1] if count else None

    async def _begin(self, what: str, after_position: str | None) -> None:
        self._pending = None
        began = asyncio.get_running_loop().time()
        self._handled = [] if after_position is None else [(began, after_position)]
        await self._do(what, board_id="main", after_position=after_position)

    async def _do(self, do: str, **arguments: Any) -> Any:
        answer = await self._ask(do, **arguments)
        if "error" in answer:
            raise AdapterFault(f"{do!r} failed: {answer['error']!r:.300}")
        return answer["result"] or {}

    async def _ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        answer = await self._process.ask({"do": do, **arguments})
        if "unsupported" in answer:
            raise Unsupported(str(answer["unsupported"]))
        return answer


def _award(fields: Mapping[str, Any]) -> dict[str, Any]:
    award = {"board_id": "main", "user_id": "ada", "points": 10, "action_type": "level", "action_id": "1"}
    return award | dict(fields)


def _read(kind: type[_Message], answer: Any) -> _Message | Failure:
    try:
        if "error" in answer:
            told = answer["error"]
            retry_after = told.get("retry_after_seconds")
            return Failure(
                Kind(told["kind"]),
                str(told["reason"]),
                None if retry_after is None else float(retry_after),
                dict(told.get("fields") or {}),
            )
        return ParseDict(answer["result"], kind(), ignore_unknown_fields=True)
    except (AttributeError, KeyError, TypeError, ValueError, ParseError) as error:
        shown = f"{answer!r:.200}"
        raise AdapterFault(
            f"an answer that is neither {kind.__name__} nor an error: {shown} ({error})"
        ) from None
