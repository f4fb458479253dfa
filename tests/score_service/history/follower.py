"""What a reader of the feed gets, across all the feeds it reads, and the model's judgement. Pure."""

import datetime as dt
import json
from dataclasses import dataclass, field

from tests.score_service.history.ledger import Row, Step
from tests.score_service.history.model import Model

from score_service.domain.ledger.entry import AwardEntry, Entry, position_of
from score_service.domain.ledger.position import Position
from score_service.feed.feed import Delivery

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass
class Follower:
    """A reader of the feed, who resumes where it was."""

    model: Model
    may_be_lost: bool = False
    """Whether the record was restored since it began, or began anew."""
    position: Position = field(init=False)
    """To resume from."""
    _received: list[tuple[Position, Delivery]] = field(default_factory=list)
    """What was not judged yet, and where it was before."""

    def __post_init__(self) -> None:
        self.position = self.model.start

    def receive(self, delivery: Delivery) -> None:
        """Take in what was delivered."""
        self._received.append((self.position, delivery))
        self.position = delivery.position

    def begin_anew(self) -> None:
        """Take it that the ledger did not go through where it was."""
        assert self.may_be_lost, f"{self.position} was not known any more"
        self.position, self.may_be_lost = self.model.start, False

    def begin_at(self, cut: object) -> None:
        """Take what is up to the cut from files."""
        assert isinstance(cut, Position)
        assert self.position.revision < cut.revision, f"{self.position} is not before {cut}"
        self.position = cut

    def judge(self) -> None:
        """Check what has come: each entry once, in order, as the ledger has it."""
        received, self._received = self._received, []
        for before, delivery in received:
            at = before
            for entry in delivery.entries:
                assert entry.revision == at.revision + 1, f"the feed goes from {at} to {entry}"
                self._check_entry(at, entry)
                at = position_of(entry)
            assert delivery.position == at, f"the feed is at {at}, and says {delivery.position}"

    def _check_entry(self, before: Position, entry: Entry) -> None:
        held_at, was_at = self.model.commit_at(position_of(entry)), self.model.commit_at(before)
        assert self.model.descends(held_at, was_at), f"{entry} does not follow {before}"
        step = self.model.ledgers[held_at][entry.revision - 1]
        assert _told(entry) == _due(step), f"{entry} is not {step}"


def _told(entry: Entry) -> tuple[object, ...]:
    at = _EPOCH + dt.timedelta(microseconds=entry.recorded_at)
    if isinstance(entry, AwardEntry):
        return entry.award_id, entry.user_id, entry.total, entry.action_id, set(entry.periods.split()), at
    assert entry.kind is not None, "these histories have no entries of a later version"
    return entry.kind.value, json.loads(entry.body), at


def _due(step: Step) -> tuple[object, ...]:
    if isinstance(step, Row):
        return step.award_id, step.user_id, step.total, step.action_id, {*step.counts}, step.awarded_at
    return step.kind, step.body, step.entered_at
