"""Checkpoints: files of what a ledger comes to up to a position, so that the next check goes on from there.

A file is JSON Lines, the last of which has the SHA-256 of all the lines before it. So a file that was cut
short or has changed is not taken. It does not say who wrote it: it belongs where nobody changes it who may
change the record.
"""

import hashlib
import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from score_service.domain.ledger.findings import Findings
from score_service.operations.chain import Chain
from score_service.operations.tallies import Line

_FORMAT: Final = ["laurel checkpoint", 1]


class CheckpointError(ValueError):
    """A file is no checkpoint of the board, or not all of one."""


def checkpoint_file(folder: Path, board_id: str) -> Path:
    """Name the file of a board."""
    return folder / f"{board_id}.checkpoint"


def write_checkpoint(path: Path, chain: Chain) -> None:
    """Write what is known of a ledger that was followed to its last commit, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    # Closed to others, for it names users.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            digest = hashlib.sha256()
            for line in itertools.chain([_FORMAT], chain.write_lines()):
                text = _write(line)
                digest.update(text)
                file.write(text)
            file.write(_write(["sha256", digest.hexdigest()]))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink()
        raise


def read_checkpoint(path: Path, board_id: str) -> Chain:
    """Go on from what a file says.

    Raises:
        CheckpointError: it is no checkpoint of the board, or was cut short or changed.
        OSError: it cannot be read.
    """
    findings = Findings()
    try:
        with path.open("rb") as file:
            chain = Chain.read_lines(_read_lines(file), findings)
    except (ValueError, TypeError, LookupError, StopIteration, RecursionError) as error:
        raise CheckpointError(f"{path} is no whole checkpoint") from error
    if chain.board_id != board_id:
        raise CheckpointError(f"{path} is a checkpoint of another board")
    return chain


def _read_lines(file: Iterator[bytes]) -> Iterator[Line]:
    """Read the lines between the first and the last, which have to be as they were written."""
    digest, first = hashlib.sha256(), next(file, b"")
    if first != _write(_FORMAT):
        raise CheckpointError
    digest.update(first)
    for text in file:
        line: Line = json.loads(text)
        if line[0] == "sha256":
            if text != _write(["sha256", digest.hexdigest()]) or next(file, None) is not None:
                raise CheckpointError
            return
        digest.update(text)
        yield line
    raise CheckpointError


def write_line(line: Line) -> str:
    """Write a line of a checkpoint, without the newline."""
    return json.dumps(line, separators=(",", ":"))


def _write(line: Line) -> bytes:
    return write_line(line).encode() + b"\n"
