"""The award of a token, as a player works it out."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.services.gateway import add_signing_key

from action_gateway.accounts.keys import KeyFolder
from action_gateway.accounts.tokens import ActionTokens
from action_gateway.domain.action import Repeat, StartedAction, find_award_id
from faults.players.action_token import award_of


@pytest.fixture
def tokens(tmp_path: Path) -> ActionTokens:
    add_signing_key(tmp_path / "keys")
    return ActionTokens(KeyFolder(tmp_path / "keys"), issuer="test")


@pytest.mark.parametrize(
    ("repeat", "day"), [*((repeat, "") for repeat in Repeat), (Repeat.DAILY, "2026-03-02")]
)
def test_award_that_a_token_is_good_for_is_the_one_that_the_gateway_asks_for(
    tokens: ActionTokens, repeat: Repeat, day: str
) -> None:
    fields: dict[str, Any] = {"user_id": "ada", "action_id": "once-1", "board_id": "main", "points": 20}
    started = StartedAction(
        **fields,
        version=1,
        repeat=repeat,
        min_ms=0,
        nonce=uuid.uuid4(),
        started_at_ms=int(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC).timestamp() * 1000),
        expires_at=0,
        day=day,
    )
    asked = award_of(tokens.issue(started))
    assert asked.award_id == str(find_award_id(started))
    assert {name: getattr(asked, name) for name in fields} == fields
