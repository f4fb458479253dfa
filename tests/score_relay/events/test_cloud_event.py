"""Entries as CloudEvents."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from score_client import (
    BoardView,
    Entry,
    EntryContent,
    EntryKind,
    LatePolicy,
    LedgerArchived,
    Period,
    PeriodClosed,
    PeriodKind,
    PeriodState,
    RecordedAward,
    Reversal,
    SettingsChange,
    Visibility,
    VisibilityChange,
)
from score_relay.events.cloud_event import make_event

ID = UUID("123e4567-e89b-12d3-a456-426614174000")
MOMENT = datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC)


def event_of(kind: EntryKind, content: EntryContent) -> dict[str, Any]:
    entry = Entry(kind=kind, revision=7, position="7-00", content=content)
    event: dict[str, Any] = json.loads(make_event("main", entry, "laurel").body)
    return event


def test_an_award_is_an_event_about_its_user_that_any_library_reads() -> None:
    award = RecordedAward(
        award_id=ID,
        revision=7,
        user_id="ada",
        points=5,
        total=9,
        action_type="puzzle",
        action_id="puzzle_1",
        caller="spiffe://laurel.local/backend",
        trace_id="",
        recorded_at=MOMENT,
        occurred_at=None,
        periods=("day:2026-11-30",),
        reversal=None,
    )
    entry = Entry(kind=EntryKind.AWARD, revision=7, position="7-00", content=award)

    event = make_event("main", entry, "laurel")
    read = from_http_event(HTTPMessage(dict(event.headers), event.body))

    assert (read.get_id(), read.get_source(), read.get_type()) == ("main/7", "laurel", "laurel.award")
    assert (read.get_subject(), read.get_time()) == ("ada", MOMENT)
    data = read.get_data()
    assert isinstance(data, dict)
    assert data["award"] == {
        "award_id": str(ID),
        "revision": 7,
        "user_id": "ada",
        "points": 5,
        "total": 9,
        "action_type": "puzzle",
        "action_id": "puzzle_1",
        "caller": "spiffe://laurel.local/backend",
        "trace_id": "",
        "recorded_at": "2026-11-30T12:00:00.123456Z",
        "occurred_at": None,
        "periods": ["day:2026-11-30"],
        "reversal": None,
    }


def test_corrections_are_about_their_user() -> None:
    reversal = Reversal(
        reversal_id=ID,
        award_id=ID,
        award_revision=3,
        user_id="ada",
        points=5,
        total=0,
        revision=7,
        position="7-00",
        reason="a über trick",
        actor="spiffe://laurel.local/operator",
        on_behalf_of="eve",
        recorded_at=MOMENT,
        final_periods=(),
    )
    change = VisibilityChange(
        user_id="bob",
        visibility=Visibility.HIDDEN,
        reason="cheats",
        actor="spiffe://laurel.local/operator",
        on_behalf_of="",
        recorded_at=MOMENT,
    )

    reversed_, hidden = event_of(EntryKind.REVERSAL, reversal), event_of(EntryKind.VISIBILITY, change)

    assert (reversed_["type"], reversed_["subject"]) == ("laurel.reversal", "ada")
    assert reversed_["data"]["reversal"]["reason"] == "a über trick"
    assert (hidden["type"], hidden["subject"]) == ("laurel.visibility", "bob")
    assert hidden["data"]["visibility"]["visibility"] == "hidden"


def test_other_entries_are_about_a_period_and_the_board() -> None:
    period = Period(
        period_id="day:2026-11-29",
        kind=PeriodKind.DAY,
        starts_at=MOMENT,
        ends_at=MOMENT,
        closes_at=MOMENT,
        state=PeriodState.FINAL,
    )
    board = BoardView(
        board_id="main",
        time_zone="UTC",
        periods=(PeriodKind.DAY,),
        seasons=(),
        grace=timedelta(minutes=10),
        late=LatePolicy.CURRENT,
        keep=3,
        settings_revision=7,
        revision=7,
        position="7-00",
    )

    closed = event_of(
        EntryKind.PERIOD_CLOSED,
        PeriodClosed(period=period, digest=b"\xab" * 32, final_revision=5, recorded_at=MOMENT),
    )
    changed = event_of(EntryKind.SETTINGS, SettingsChange(board=board, actor="operator", recorded_at=MOMENT))
    archived = event_of(
        EntryKind.ARCHIVED,
        LedgerArchived(
            archived_revision=5, archived_position="5-00", awards=4, actor="operator", recorded_at=MOMENT
        ),
    )

    assert (closed["subject"], closed["data"]["period_closed"]["digest"]) == ("day:2026-11-29", "ab" * 32)
    assert (changed["subject"], changed["data"]["settings"]["board"]["grace"]) == ("main", 600.0)
    assert (archived["type"], archived["subject"]) == ("laurel.archived", "main")
    assert archived["data"]["archived"] == {
        "archived_revision": 5,
        "archived_position": "5-00",
        "awards": 4,
        "actor": "operator",
        "recorded_at": "2026-11-30T12:00:00.123456Z",
    }
