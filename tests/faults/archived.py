"""Ledgers with a cut, made up."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.faults.corrected import make_entry

from faults.model.ledger import Commit, Head, Ledger
from faults.rules.record.ledger import digest_commit


def archive(ledger: Ledger, revision: int, changes: Mapping[str, Any] | None = None) -> Ledger:
    """Archive awards up to the end of a commit, in a commit of its own, and delete them.

    The entry is wrong in what is to be changed.
    """
    upto = [commit for commit in ledger.commits if commit.last_revision <= revision]
    deleted = [award for award in ledger.awards if award.revision <= revision]
    body = {
        "awards": len(deleted),
        "checkpoint": "",
        "commits": len(upto),
        "digest": upto[-1].digest.hex(),
        "lines": 1,
        "revision": revision,
    }
    entry = make_entry(ledger, "archived", body | dict(changes or {}))
    digest = digest_commit(ledger.commits[-1].digest, [entry])
    return replace(
        ledger,
        entries=[*ledger.entries, entry],
        commits=[*ledger.commits, Commit(entry.revision, entry.revision, digest)],
        head=Head(entry.revision, digest),
        cut=revision,
        deleted=deleted,
        archived_ids={award.award_id: award.revision for award in deleted},
    )
