"""The catalog of actions that the gateways of the stack serve."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ACTIONS_FILE: Final = Path(__file__).with_name("actions.toml")


def read_answers() -> Mapping[str, str]:
    """Return the right answer to each puzzle, by action id."""
    return {action["action_id"]: action["answer"] for action in _read_actions() if "answer" in action}


def read_instants() -> Sequence[str]:
    """Return the ids of the instant actions, first that of the one that pays again and again."""
    return [action["action_id"] for action in _read_actions() if action.get("kind") == "instant"]


def _read_actions() -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = tomllib.loads(ACTIONS_FILE.read_text(encoding="utf-8"))["action"]
    return actions
