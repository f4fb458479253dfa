"""A history as files."""

import json
from pathlib import Path

from faults.evidence.journal import write_journal
from faults.model.history import Asked, AwardCall, Closed, History, Message, Outcome, Result, Row

_CALL = AwardCall(
    caller="backend-1",
    asked=Asked("main", "a", "ada", 5, "match", "match-1"),
    began=1.0,
    ended=2.0,
    outcome=Outcome.MADE,
    result=Result(5, 5),
)
_CLOSED = Closed(stream="socket-1", connection=0, at=3.0, reason="1012")
_MESSAGE = Message(
    stream="socket-1",
    connection=0,
    board_id="main",
    at=2.5,
    event="score:update",
    revision=1,
    scores=(Row("ada", 5, 1),),
)


def _read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_event_is_a_line_in_the_file_of_its_kind(tmp_path: Path) -> None:
    write_journal(History([_CALL, _MESSAGE, _CLOSED, _CALL]), tmp_path / "journal")
    calls = _read(tmp_path / "journal" / "awardcall.jsonl")
    (message,) = _read(tmp_path / "journal" / "message.jsonl")
    (closed,) = _read(tmp_path / "journal" / "closed.jsonl")
    assert [call["caller"] for call in calls] == ["backend-1", "backend-1"]
    assert calls[0]["outcome"] == "made"
    assert message["scores"] == [["ada", 5, 1, None, None]]
    assert closed == {"stream": "socket-1", "connection": 0, "at": 3.0, "reason": "1012"}


def test_fields_of_an_award_are_named_and_missing_ones_are_left_out(tmp_path: Path) -> None:
    write_journal(History([_CALL]), tmp_path)
    (call,) = _read(tmp_path / "awardcall.jsonl")
    assert call["asked"] == {
        "board_id": "main",
        "award_id": "a",
        "user_id": "ada",
        "points": 5,
        "action_type": "match",
        "action_id": "match-1",
        "request_id": None,
        "occurred_at": None,
    }
    assert "reason" not in call
