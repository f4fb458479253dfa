"""Why tickets are rejected: the documented reasons are all there are."""

import re
from pathlib import Path

from action_gateway.issuers.rejections import Reason

_TICKETS = Path(__file__).parents[3] / "docs" / "operations" / "tickets.md"


def test_every_reason_is_explained() -> None:
    _, _, table = _TICKETS.read_text(encoding="utf-8").partition("### What is rejected")
    rows = re.findall(r"^\| (`[a-z_`, ]+) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"[a-z_]+", row)} == set(Reason)
