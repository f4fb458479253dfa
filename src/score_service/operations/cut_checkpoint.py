"""The checkpoint of a cut, which the record keeps: what the ledger comes to there, for a check to begin with.

The entry that seals the cut has its digest, so that lines which were changed since are found out. The lines
of users say besides what corrections after the cut have to know of awards up to it: the latest that stands.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Final

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.findings import Fault, Findings
from score_service.operations.chain import Chain
from score_service.operations.checkpoint import CheckpointError, write_line
from score_service.operations.corrections import ARCHIVED_AWARDS
from score_service.operations.tallies import Line
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.archive import Archive, CheckpointLine, Cut, LateReversals

_PAGE: Final = 1000


class Seal:
    """Says of a checkpoint, line by line, what the entry that seals the cut has to say of it."""

    def __init__(self) -> None:
        self.lines = 0
        self._digest = hashlib.sha256()

    def add(self, line: CheckpointLine) -> None:
        """Go on by one line."""
        self.lines += 1
        fields = (line.line, line.user_id, line.standing_revision)
        text = "\t".join("" if field is None else str(field) for field in fields)
        self._digest.update(text.encode() + b"\n")

    def write(self, chain: Chain) -> str:
        """Write the body of the entry, of a ledger that was followed to the cut."""
        body = {
            "awards": chain.kinds["award"],
            "checkpoint": self._digest.hexdigest(),
            "commits": chain.commits,
            "digest": chain.digest.hex(),
            "lines": self.lines,
            "revision": chain.committed,
        }
        return json.dumps(body, separators=(",", ":"), sort_keys=True)


def write_lines(chain: Chain, late: LateReversals) -> Iterator[CheckpointLine]:
    """Write the lines of a ledger that was followed to the cut.

    Of who lost awards by then, the latest that stands is enough: nothing up to the cut is taken back later.

    Args:
        chain: the ledger. It knows the awards of the users of whom some were taken back since.
        late: these.
    """
    find_standing = chain.corrections.find_standing
    for line in chain.write_lines():
        kind, *fields = line
        if kind == "tally" and fields[0] == ALL_TIME:
            user_id = fields[1]
            yield CheckpointLine(write_line(line), user_id, find_standing(user_id, late.award_revisions))
        elif kind == "awards" and fields[0] not in late.user_ids:
            last = find_standing(fields[0], ())
            yield CheckpointLine(write_line([kind, fields[0], [[last, *ARCHIVED_AWARDS]] if last else []]))
        else:
            yield CheckpointLine(write_line(line))


class CutReader:
    """Begins to follow a ledger at its cut."""

    def __init__(self, archive: Archive, retries: RetryPolicy) -> None:
        self._archive = archive
        self._ask = retries.ask

    async def begin(self, board_id: str) -> tuple[Chain, Cut | None]:
        """Begin at the cut of a board; where it has none, at the start of its ledger.

        What is wrong with the checkpoint is among the findings, if it can be gone on from at all.

        Raises:
            CheckpointError: it cannot be gone on from.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        cut = await self._ask(self._archive.read_cut, board_id)
        while cut:
            chain: Chain | CheckpointError
            try:
                chain = await self._read(board_id, cut)
            except CheckpointError as error:
                chain = error
            now = await self._ask(self._archive.read_cut, board_id)
            if now == cut:
                if isinstance(chain, CheckpointError):
                    raise chain
                return chain, cut
            cut = now  # What was read may have been discarded meanwhile.
        return Chain(board_id, Findings()), None

    async def _read(self, board_id: str, cut: Cut) -> Chain:
        findings, seal = Findings(), Seal()
        chain: Chain | None = None
        try:
            while page := await self._ask(
                self._archive.read_checkpoint_lines, board_id, cut.revision, seal.lines, _PAGE
            ):
                for line in page:
                    seal.add(line)
                    fields: Line = json.loads(line.line)
                    if chain is None:
                        chain = Chain.read_first_line(fields, findings)
                    else:
                        chain.read_line(fields)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise CheckpointError(_describe(cut)) from error
        if chain is None or (chain.board_id, chain.committed) != (board_id, cut.revision):
            raise CheckpointError(_describe(cut))
        if chain.digest != cut.digest:
            findings.add(Fault.DIGEST_WRONG, cut.revision)
        # No commit is left that proves the entries up to the cut, and the runtime role may add to them.
        entries = await self._ask(self._archive.count_entries, board_id, 0, cut.revision)
        kinds = Counter(entries | {"award": chain.kinds["award"]})
        if seal.write(chain) != cut.body or kinds != chain.kinds:
            findings.add(Fault.CHECKPOINT_WRONG, cut.revision)
        if cut.body is not None:
            chain.expect_seal(cut.body)
        return chain


def _describe(cut: Cut) -> str:
    return f"the record has no whole checkpoint of its cut at revision {cut.revision:,}"
