"""The sample actions and the policy that come with the stack."""

import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from action_gateway.issuers.issuers_file import parse_issuers
from local_stack import services
from local_stack.sample_boards import write_boards
from local_stack.state import StateFolder
from score_service.access.policy import Policy
from score_service.domain.board.board_settings import BoardSettings
from score_service.periods.boards_file import BoardsFile
from score_service.periods.settings_rules import find_faults


def _actions() -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = tomllib.loads(services.ACTIONS_FILE.read_text(encoding="utf-8"))["action"]
    return actions


def test_the_first_puzzle_is_the_one_the_documents_name() -> None:
    first = _actions()[0]
    del first["title"], first["prompt"]
    assert first == {
        "action_id": "puzzle_123",
        "answer": "ABC",
        "points": 10,
        "repeat": "unlimited",
        "min_seconds": 1,
    }


def test_there_are_actions_of_each_kind() -> None:
    kinds = Counter(action["repeat"] for action in _actions())
    assert set(kinds) == {"once", "daily", "unlimited"}
    assert kinds.total() >= 7


@pytest.mark.parametrize(
    ("identity", "board", "max_points"),
    [("action-gateway", "any", 10_000), ("sample-backend", "main", 100), ("operator", "any", 1_000_000)],
)
def test_the_policy_allows_the_identities_of_the_stack_to_award(
    identity: str, board: str, max_points: int
) -> None:
    policy = Policy.load(services.POLICY_FILE)
    grant = policy.grant_of(f"spiffe://laurel.local/{identity}", "score_api.v1.ScoreService/AwardPoints")
    assert grant.allows_board(board)
    assert grant.max_points == max_points


@pytest.mark.parametrize(
    ("identity", "method"), [("action-gateway", "ListPeriods"), ("operator", "UpdateBoard")]
)
def test_the_policy_allows_what_is_asked_of_boards(identity: str, method: str) -> None:
    policy = Policy.load(services.POLICY_FILE)
    grant = policy.grant_of(f"spiffe://laurel.local/{identity}", f"score_api.v1.BoardService/{method}")
    assert grant.allows_board("main")


@pytest.mark.parametrize("days", [0, 1, 13, 14, 400, 3_000])
def test_the_sample_board_has_a_day_a_week_and_a_season_of_two_weeks_at_any_start(days: int) -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC) + timedelta(days=days)
    [(board_id, patch)] = BoardsFile.parse(write_boards(now)).boards.items()
    settings = patch.apply(BoardSettings())
    assert find_faults(settings) == []
    assert (board_id, settings.periods) == ("main", ("day", "week"))
    for instant in (now, now + timedelta(days=365)):
        [season] = [one for one in settings.seasons if one.starts_at <= instant < one.ends_at]
        assert season.ends_at - season.starts_at == timedelta(days=14)


def test_a_later_start_goes_on_with_the_seasons_of_an_earlier_one() -> None:
    first = datetime(2026, 12, 24, 18, tzinfo=UTC)
    earlier, later = (
        BoardsFile.parse(write_boards(now)).boards["main"].seasons or ()
        for now in (first, first + timedelta(days=100))
    )
    assert later[: len(earlier)] == earlier
    assert len(later) > len(earlier) > 0


def test_the_sample_issuer_is_registered_with_less_than_the_policy_allows(tmp_path: Path) -> None:
    file = Path(services.issuer_settings(StateFolder(tmp_path))["ACTION_GATEWAY_TICKET_ISSUERS_FILE"])
    [issuer] = parse_issuers(file, Path.read_text, own_issuer="laurel").values()
    policy = Policy.load(services.POLICY_FILE)
    grant = policy.grant_of("spiffe://laurel.local/action-gateway", "score_api.v1.ScoreService/AwardPoints")
    assert issuer.points_max <= grant.max_points
    assert len(issuer.keys) == 1


def test_every_action_pays_what_the_policy_allows() -> None:
    policy = Policy.load(services.POLICY_FILE)
    grant = policy.grant_of("spiffe://laurel.local/action-gateway", "score_api.v1.ScoreService/AwardPoints")
    assert all(1 <= action["points"] <= grant.max_points for action in _actions())
