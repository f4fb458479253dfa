"""Awards of the ledger as messages."""

from datetime import UTC, datetime

from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_service.domain.ledger.history import LedgerAward
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.reversal import Reversal
from score_service.grpc_api.ledger_service.messages import write_award, write_fitting

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
AWARD_ID, REVERSAL_ID = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"


def make_award(revision: int, reason: str = "a reason", caller: str = "spiffe://a/b") -> LedgerAward:
    """Make an award that was taken back."""
    reversal = Reversal(
        reversal_id=REVERSAL_ID,
        award_id=AWARD_ID,
        award_revision=revision,
        user_id="ada",
        points=5,
        total=0,
        revision=revision + 1,
        position=Position(revision + 1, "00112233aabbccdd"),
        reason=reason,
        actor=caller,
        on_behalf_of="eve",
        recorded_at=NOON,
        final_periods=("day:2026-11-29",),
    )
    return LedgerAward(
        award_id=AWARD_ID,
        revision=revision,
        user_id="ada",
        points=5,
        total=5,
        action_type="puzzle",
        action_id="puzzle_1",
        caller=caller,
        trace_id="",
        recorded_at=NOON,
        occurred_at=None,
        periods=("day:2026-11-29", "week:2026-W48"),
        reversal=reversal,
    )


def test_an_award_is_written_with_its_periods_and_its_reversal() -> None:
    written = write_award(make_award(7))

    assert (written.award_id, written.revision, written.total) == (AWARD_ID, 7, 5)
    assert list(written.periods) == ["day:2026-11-29", "week:2026-W48"]
    assert (written.recorded_at.ToDatetime(UTC), written.HasField("occurred_at")) == (NOON, False)
    assert (written.reversal.reversal_id, written.reversal.on_behalf_of) == (REVERSAL_ID, "eve")
    assert list(written.reversal.final_periods) == ["day:2026-11-29"]


def test_a_page_of_the_longest_awards_is_cut_so_that_it_fits_into_a_message() -> None:
    longest = [make_award(n, "\N{GRINNING FACE}" * 500, "spiffe://a/" + "b" * 2_000) for n in range(1_000)]

    written = write_fitting(longest)

    assert 300 < len(written) < 1_000
    assert [award.revision for award in written] == list(range(len(written)))
    assert ledger_pb.ListAwardsResponse(awards=written).ByteSize() < 4 * 1024 * 1024


def test_a_page_of_ordinary_awards_is_whole() -> None:
    assert len(write_fitting([make_award(n) for n in range(1_000)])) == 1_000
