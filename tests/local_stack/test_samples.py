"""The sample actions and the policy that come with the stack."""

import tomllib
from collections import Counter
from typing import Any

import pytest

from local_stack import services
from score_service.access.policy import Policy


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
    ("identity", "board", "max_points"), [("action-gateway", "any", 10_000), ("sample-backend", "main", 100)]
)
def test_the_policy_allows_the_identities_of_the_stack_to_award(
    identity: str, board: str, max_points: int
) -> None:
    policy = Policy.load(services.POLICY_FILE)
    grant = policy.grant_of(f"spiffe://laurel.local/{identity}", "score_api.v1.ScoreService/AwardPoints")
    assert grant.allows_board(board)
    assert grant.max_points == max_points


def test_every_action_pays_what_the_policy_allows() -> None:
    policy = Policy.load(services.POLICY_FILE)
    grant = policy.grant_of("spiffe://laurel.local/action-gateway", "score_api.v1.ScoreService/AwardPoints")
    assert all(1 <= action["points"] <= grant.max_points for action in _actions())
