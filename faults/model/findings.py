"""What cannot be explained, by kind. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, Self

_KEPT: Final = 20
"""Examples of a kind."""


class Kind(StrEnum):
    """What is wrong. The sentence says what was promised, and what was seen instead."""

    sentence: str

    def __new__(cls, word: str, sentence: str) -> Self:
        """Take the stable word, which is the value, and the sentence."""
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.sentence = sentence
        return kind

    REVISION_MISSING = "revision_missing", "The ledger counts its entries without gap; one is missing."
    AWARD_DOUBLED = "award_doubled", "An award is in the ledger once; it is there twice."
    COMMIT_WRONG = "commit_wrong", "Commits cover the ledger without gap or overlap; these do not."
    DIGEST_WRONG = "digest_wrong", "A commit's digest covers all entries up to it; this one does not."
    TOTAL_WRONG = "total_wrong", "A total is the sum of the awards up to it; this one is not."
    STANDING_WRONG = "standing_wrong", "A standing is what the ledger adds up to; this one is not."
    HEAD_WRONG = "head_wrong", "A board's row tells its last commit; this one does not."
    REVERSAL_DOUBLED = "reversal_doubled", "An award is taken back once, and by one reversal; here it is not."
    REVERSAL_WRONG = "reversal_wrong", "The entry of a reversal is not of its award, or of what became of it."
    VISIBILITY_WRONG = "visibility_wrong", "The entry of a visibility says what the ledger does not."
    TIME_BACK = "time_back", "The time of a ledger never steps back; here it does."

    PERIOD_RANGE_WRONG = "period_range_wrong", "A period is what the settings say; this one is not."
    PERIOD_MEMBER_WRONG = "period_member_wrong", "An award counts in a period that it does not belong to."
    PERIOD_MEMBER_MISSING = "period_member_missing", "An award does not count in a period that it belongs to."
    PERIOD_TOTAL_WRONG = (
        "period_total_wrong",
        "A total in a period is a sum of awards; this one is not.",
    )
    PERIOD_CLOSE_WRONG = "period_close_wrong", "The entry of a closed period says what its awards do not."
    PERIOD_CLOSED_TWICE = "period_closed_twice", "A period is closed once; this one was closed again."
    PERIOD_UNCLOSED = "period_unclosed", "A period was due to be closed long ago, and is not."
    PERIOD_RESULT_WRONG = "period_result_wrong", "The result of a period is not what its awards add up to."

    AWARD_LOST = "award_lost", "An award was answered as made, and the record does not have it."
    AWARD_NOT_COPIED = "award_not_copied", "An award was made before the copy, and is gone after its restore."
    AWARD_INVENTED = "award_invented", "No client asked for an award in the ledger."
    REJECTED_MADE = "rejected_made", "An award was rejected, and the ledger has it."
    CONFLICT_WRONG = "conflict_wrong", "An award was answered as a conflict, and the ledger has no such one."
    PAYLOAD_WRONG = (
        "payload_wrong",
        "An award was answered as made, and the ledger has another one under its id.",
    )
    RESULT_WRONG = "result_wrong", "The answer to an award is not what the ledger has of it."
    REPLAY_WRONG = "replay_wrong", "The answer to an award is wrong on whether another request made it."
    RANK_WRONG = "rank_wrong", "The answer to an award has a rank that its user never had from then on."
    EXPIRED_ANSWERED = (
        "expired_answered",
        "An award was answered to a caller whose certificate had expired before it asked.",
    )
    ORDER_WRONG = (
        "order_wrong",
        "An award was requested after another was answered as made, and is before it.",
    )

    REVERSAL_LOST = "reversal_lost", "A reversal was answered as made, and the record does not have it."
    REVERSAL_NOT_COPIED = (
        "reversal_not_copied",
        "A reversal was made before the copy, and is gone after its restore.",
    )
    REVERSAL_INVENTED = "reversal_invented", "No client asked for a reversal in the ledger."
    REVERSAL_REJECTED = "reversal_rejected", "A reversal was rejected for what the ledger does not have."
    REVERSAL_UNTOLD = "reversal_untold", "The answer to an award is wrong on whether it was taken back."
    PLAN_UNFINISHED = "plan_unfinished", "A plan was answered as applied, and left some of its awards."
    VISIBILITY_LOST = "visibility_lost", "A visibility was answered as set, and the record does not have it."
    VISIBILITY_INVENTED = "visibility_invented", "No client asked for a visibility in the ledger."
    HIDDEN_SHOWN = "hidden_shown", "A user is shown to others long after it was answered as hidden."

    ARCHIVED_WRONG = "archived_wrong", "Something was answered as archived that is not up to a cut."
    CUT_WRONG = "cut_wrong", "The entry or the row of a cut says what the ledger does not."
    ID_LOST = "id_lost", "The ids of awards that are deleted are kept, and no others; here it is not so."
    ARCHIVED_REVERSED = "archived_reversed", "An award was taken back after it was archived."

    TICKET_DOUBLED = "ticket_doubled", "A ticket is paid once; it was answered as paid more than once."
    TICKET_UNDUE = (
        "ticket_undue",
        "A ticket was paid that was changed, late, shown with another result, or that nobody may give.",
    )
    TICKET_REJECTED = "ticket_rejected", "A ticket was rejected that was good, or for which points were paid."
    TICKET_INVENTED = "ticket_invented", "Points for a ticket are in the ledger, and nobody gave one."

    FEED_GAP = "feed_gap", "A feed has every entry once and in order; here it has not."
    FEED_WRONG = "feed_wrong", "A feed has an entry that the record did not have then."
    FEED_LOST = "feed_lost", "A feed had an entry that a failover took back."
    FEED_UNKNOWN = "feed_unknown", "A position of a feed was not known, though the ledger went through it."
    FEED_UNFINISHED = "feed_unfinished", "A feed did not come to the end of its ledger."

    POSITION_UNKNOWN = "position_unknown", "An answer has a position that the record never had."
    POSITION_EARLY = "position_early", "An answer has a position before the last of its awards was requested."
    POSITION_LOST = "position_lost", "An answer has a position of a lost history long after the restore."
    READ_WRONG = "read_wrong", "A read shows what its board was not at the position it names."
    READ_OLD = "read_old", "A read is of an older revision than was asked for."
    READ_STALE = "read_stale", "A read lacks what was acknowledged long before; Redis only rejected writes."

    STREAM_WRONG = "stream_wrong", "A message shows what its board was not at the position it names."
    STREAM_UNFOUNDED = "stream_unfounded", "A stream begins with something else than the whole top."
    STREAM_BACK = "stream_back", "A stream stepped back without a reset."
    STREAM_STALE = (
        "stream_stale",
        "A stream told late of what was acknowledged long before; Redis only rejected writes.",
    )
    CHANGE_NOT_SENT = "change_not_sent", "A stream skipped a change that it had to send."
    STREAM_UNFINISHED = "stream_unfinished", "The last state that a stream sent is not that of its board."

    PROJECTION_MISSING = "projection_missing", "Redis has nothing, or a part, of a board that the record has."
    PROJECTION_FOREIGN = "projection_foreign", "Redis stands at a position that the record does not have."
    PROJECTION_WRONG = "projection_wrong", "Redis is not what the ledger adds up to at the position it names."
    PROJECTION_BEHIND = "projection_behind", "Redis is not at the head, though nothing keeps it from it."
    PROJECTION_STRAY = "projection_stray", "Redis keeps keys of a board that nothing names."

    LAG_LONG = "lag_long", "A projection did not reach the head in time after all faults were healed."
    WORK_STUCK = "work_stuck", "A process holds work that should have ended."
    RESOURCE_LEAKED = "resource_leaked", "A process holds more than it did before the faults."
    STREAM_UNSETTLED = "stream_unsettled", "A stream did not come to the head of its board in time."
    CHECK_COMPLAINED = (
        "check_complained",
        "The commands of an operator find a fault in the record or its files.",
    )
    SEEN_LITTLE = "seen_little", "A run shows something only where most calls had an outcome; few had."


class Finding(NamedTuple):
    """One thing that cannot be explained."""

    kind: Kind
    where: str
    """What it was seen at, for people to read."""


@dataclass(slots=True)
class Findings:
    """Findings of each kind: how many, and the first of them."""

    counts: Counter[Kind] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    """How many things of each sort were looked at: who finds nothing may have seen nothing."""
    _first: dict[Kind, list[Finding]] = field(default_factory=dict)

    def add(self, kind: Kind, where: str) -> None:
        """Count one, and keep it if it is one of the first."""
        self.counts[kind] += 1
        first = self._first.setdefault(kind, [])
        if len(first) < _KEPT:
            first.append(Finding(kind, where))

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add several."""
        for finding in findings:
            self.add(*finding)

    @property
    def total(self) -> int:
        """How many there are, also of those that were not kept."""
        return self.counts.total()

    def __iter__(self) -> Iterator[Finding]:
        """Yield those that were kept, by kind."""
        for first in self._first.values():
            yield from first

    def describe(self) -> list[str]:
        """Return all of it as lines: each kind with its number and its first examples."""
        lines = []
        for kind, first in self._first.items():
            lines.append(f"{kind} ({self.counts[kind]}): {kind.sentence}")
            lines += [f"  {finding.where}" for finding in first]
        return lines
