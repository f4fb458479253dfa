"""What players do with actions, by a player who writes down what is asked of it."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from action_gateway.actions.catalog import read_catalog
from action_gateway.domain.action import Kind
from faults.cluster.actions import ACTIONS_FILE, read_answers
from faults.load.load import Load
from faults.model.history import History
from faults.players.player import Completion
from faults.players.players import Players


@dataclass(slots=True)
class _Account:
    user_id: str | None = None


@dataclass(slots=True)
class ScriptedPlayer:
    """Gets a token for every action."""

    account: _Account = field(default_factory=_Account)
    started: list[str] = field(default_factory=list)
    completed: list[Completion] = field(default_factory=list)
    under_way: int = 0
    most: int = 0

    async def start(self, action_id: str) -> str | None:
        self.started.append(action_id)
        return f"head.{action_id}.signature"

    async def complete(self, completion: Completion) -> None:
        self.completed.append(completion)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1


@pytest.fixture
def player() -> ScriptedPlayer:
    return ScriptedPlayer()


@pytest.fixture
def players(player: ScriptedPlayer, monkeypatch: pytest.MonkeyPatch) -> Players:
    gateway: Any = None
    monkeypatch.setattr("faults.players.players._SLOW_SECONDS", 0.0)
    players = Players(gateway, History(), random.Random(1), Load(players=1))
    players.regulars = [player]  # type: ignore[list-item]
    return players


def test_answers_are_those_of_the_catalog_that_the_gateway_serves() -> None:
    puzzles = (action for action in read_catalog(ACTIONS_FILE) if action.kind is Kind.PUZZLE)
    assert read_answers() == {action.action_id: action.answer for action in puzzles}


async def test_every_action_is_finished_with_its_answer_and_most_times_with_a_key(
    players: Players, player: ScriptedPlayer
) -> None:
    for _ in range(200):
        await players._finish()
    assert set(player.started) == {*read_answers()}
    for done in player.completed:
        assert done.answer == read_answers()[done.token.split(".")[1]]
    keys = [done.key for done in player.completed]
    assert 1 < keys.count(None) < 50
    assert len({*keys} - {None}) == 200 - keys.count(None)


async def test_finishing_twice_is_with_the_same_key_or_another(
    players: Players, player: ScriptedPlayer
) -> None:
    for _ in range(20):
        await players._finish_twice()
    pairs = [player.completed[number : number + 2] for number in range(0, 40, 2)]
    assert all(one.body == other.body for one, other in pairs)
    assert {one.key == other.key for one, other in pairs} == {True, False}


async def test_race_completes_one_token_twice_at_once(players: Players, player: ScriptedPlayer) -> None:
    await players._race()
    one, other = player.completed
    assert one.body == other.body
    assert player.most == 2


async def test_wrong_answer_comes_before_the_right_one(players: Players, player: ScriptedPlayer) -> None:
    while len(player.completed) < 2:
        player.completed.clear()
        await players._err()
    wrong, right = player.completed
    assert wrong.token == right.token
    assert wrong.answer != right.answer


async def test_token_is_lent_to_another_player(players: Players, player: ScriptedPlayer) -> None:
    other = ScriptedPlayer()
    players.regulars.append(other)  # type: ignore[arg-type]
    while not (player.started or other.started):
        await players._lend()
    owner, borrower = (player, other) if player.started else (other, player)
    assert borrower.completed[0].token.split(".")[1] == owner.started[0]
    assert borrower.started == []


async def test_forged_token_has_another_signature(players: Players, player: ScriptedPlayer) -> None:
    await players._forge()
    (forged,) = player.completed
    assert forged.token == f"head.{player.started[0]}.erutangis"


async def test_player_who_gets_no_token_completes_nothing(
    players: Players, player: ScriptedPlayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(_: ScriptedPlayer, action_id: str) -> None:
        player.started.append(action_id)

    monkeypatch.setattr(ScriptedPlayer, "start", start)
    for deed in (players._finish, players._finish_twice, players._race, players._err, players._forge):
        await deed()
    assert len(player.started) == 5
    assert player.completed == []


def test_only_players_who_have_logged_in_are_users(players: Players, player: ScriptedPlayer) -> None:
    assert players.user_ids() == []
    player.account.user_id = "ada"
    assert players.user_ids() == ["ada"]
