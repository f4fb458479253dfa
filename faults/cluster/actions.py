"""The catalog of actions that the gateways of the stack serve."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ACTIONS_FILE: Final = Path(__file__).with_name("actions.toml")


def read_answers() -> Mapping[str, str]:
    """Return the right answer to each action, by action id."""
    catalog = tomllib.loads(ACTIONS_FILE.read_text(encoding="utf-8"))
    return {action["action_id"]: action["answer"] for action in catalog["action"]}
