"""Messages of `LedgerService.ListAwards` to values of the service and back. Pure."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_service.domain.ledger.history import LedgerAward
from score_service.domain.tokens.page_token import read_award_token
from score_service.grpc_api.fields import FieldReader
from score_service.grpc_api.messages import write_instant, write_reversal

_PAGE_BYTES: Final = 3_000_000
"""Of a page, which has to fit into a message. Most awards have 300 bytes, and the longest of all 8,000."""


class AwardsQuery(NamedTuple):
    """Which awards are asked for."""

    board_id: str
    user_id: str | None
    """Whose; None for all."""
    page_size: int
    before_revision: int | None
    """Of the last award of the page before; None for the first page."""


def read_awards_query(request: ledger_pb.ListAwardsRequest) -> AwardsQuery:
    """Read which awards are asked for."""
    fields = FieldReader()
    board_id = fields.identifier("board_id", request.board_id)
    user_id = fields.optional_identifier("user_id", request.user_id) or None
    page_size = fields.page_size("page_size", request.page_size)
    fields.finish()
    return AwardsQuery(board_id, user_id, page_size, read_award_token(request.page_token))


def write_award(award: LedgerAward) -> ledger_pb.RecordedAward:
    """Write an award as the ledger has it."""
    return ledger_pb.RecordedAward(
        award_id=award.award_id,
        revision=award.revision,
        user_id=award.user_id,
        points=award.points,
        total=award.total,
        action_type=award.action_type,
        action_id=award.action_id,
        caller=award.caller,
        trace_id=award.trace_id,
        recorded_at=write_instant(award.recorded_at),
        occurred_at=write_instant(award.occurred_at) if award.occurred_at else None,
        periods=award.periods,
        reversal=write_reversal(award.reversal) if award.reversal else None,
    )


def write_fitting(awards: Iterable[LedgerAward]) -> list[ledger_pb.RecordedAward]:
    """Write as many awards as fit into an answer, one at least."""
    written, size = list[ledger_pb.RecordedAward](), 0
    for award in map(write_award, awards):
        size += award.ByteSize()
        if written and size > _PAGE_BYTES:
            break
        written.append(award)
    return written
