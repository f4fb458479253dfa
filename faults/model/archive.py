"""What the ledger has of cuts, read from the bodies of its entries. Pure.

The format of the bodies is written down here a second time, on purpose.
"""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple

from faults.model.ledger import Entry

_ARCHIVED: Final = "archived"


class Cut(NamedTuple):
    """Up to where awards are archived, from an entry on."""

    entry_revision: int
    revision: int
    """The end of a commit."""
    digest: str
    """Of that commit, in hex."""
    awards: int
    """How many there are up to there; the same goes for commits."""
    commits: int


def read_cuts(entries: Iterable[Entry]) -> list[Cut]:
    """Read the cuts among the entries of a ledger."""
    return [_read_cut(entry) for entry in entries if entry.kind == _ARCHIVED]


def _read_cut(entry: Entry) -> Cut:
    body = json.loads(entry.body)
    return Cut(entry.revision, body["revision"], body["digest"], body["awards"], body["commits"])
