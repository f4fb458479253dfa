"""Files of a board's ledger, outside of the record: its canonical text, and where each commit ends.

A file is named `BOARD.AFTER-LAST.ledger` and holds the whole commits after one revision up to another. Its
first line is `#ledger 1 BOARD AFTER DIGEST`, with tabs between, and each commit is followed by
`#commit REVISION DIGEST`. All other lines are those that the digests are of. So a file is
proved by hashing its lines, and the file before it by the digest that it begins with. What is missing at the
end is missed by the name.
"""

import fcntl
import hashlib
import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from score_service.domain.ledger.position import Position
from score_service.operations.chain import Commit, EntryRow, LedgerRow, start_digest, write_canonical

_DIGITS: Final = 19
"""Of a revision in a name, so that names sort as revisions do."""


class LedgerFileError(ValueError):
    """A file is not what was written, or does not go on from the one before."""


class Head(NamedTuple):
    """Where a ledger stands after a commit, or before the first one."""

    revision: int
    digest: bytes

    @classmethod
    def start(cls, board_id: str) -> Self:
        """Return that of an empty ledger."""
        return cls(0, start_digest(board_id))

    @property
    def position(self) -> Position:
        """The same in short."""
        return Position.of(self.revision, self.digest)


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """A file by its name."""

    path: Path
    board_id: str
    after_revision: int
    last_revision: int

    def read(self) -> tuple[Head, Head]:
        """Check every line; return from where the ledger goes on in it, and where it ends.

        Raises:
            LedgerFileError: it is not what was written.
            OSError: it cannot be read.
        """
        heads = self.read_heads()
        start = next(heads)
        last = deque(heads, maxlen=1)
        return start, last[0] if last else start

    def read_heads(self) -> Iterator[Head]:
        """Check every line; yield from where the ledger goes on in it, and where each commit ends.

        Raises:
            LedgerFileError: it is not what was written, which may be found at its end alone.
            OSError: it cannot be read.
        """
        with self.path.open("rb") as lines:
            head = self._read_start(next(lines, b""))
            yield head
            revision, digest = head.revision, hashlib.sha256(head.digest)
            for number, line in enumerate(lines, start=2):
                if line.startswith(b"#"):
                    if revision == head.revision or line != _write_commit(revision, digest.digest()):
                        raise LedgerFileError(f"{self.path}, line {number}: the digest is another one")
                    head = Head(revision, digest.digest())
                    digest = hashlib.sha256(head.digest)
                    yield head
                else:
                    revision += 1
                    if not line.startswith(b"%d\t" % revision):
                        raise LedgerFileError(f"{self.path}, line {number}: it is not revision {revision:,}")
                    digest.update(line)
        if (head.revision, revision) != (self.last_revision, self.last_revision):
            raise LedgerFileError(f"{self.path}: it holds other revisions than its name says")

    def _read_start(self, line: bytes) -> Head:
        digest = line.rstrip(b"\n").rpartition(b"\t")[2]
        try:
            start = Head(self.after_revision, bytes.fromhex(digest.decode("ascii")))
        except ValueError:
            start = Head(-1, b"")
        if line != _write_start(self.board_id, start):
            raise LedgerFileError(f"{self.path}, line 1: it is no ledger of {self.board_id} from there on")
        return start


def list_files(folder: Path, board_id: str) -> list[LedgerFile]:
    """List the files of a board in the order of revisions."""
    name = re.compile(rf"{re.escape(board_id)}\.([0-9]{{{_DIGITS}}})-([0-9]{{{_DIGITS}}})\.ledger")
    found = [(path, name.fullmatch(path.name)) for path in folder.iterdir()]
    files = [LedgerFile(path, board_id, int(match[1]), int(match[2])) for path, match in found if match]
    return sorted(files, key=lambda file: file.after_revision)


@contextmanager
def claim_files(folder: Path, board_id: str) -> Iterator[None]:
    """Keep others from writing files of a board into a folder: two at once would write one revision twice.

    Raises:
        LedgerFileError: another writes them.
        OSError: the folder cannot be written to.
    """
    path = folder / f".{board_id}.lock"
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its previous holder may have removed it since it was opened here: then it locks nothing.
            is_there = os.path.samestat(path.stat(), os.fstat(file.fileno()))
        except (BlockingIOError, FileNotFoundError):
            is_there = False
        if not is_there:
            raise LedgerFileError(f"another export writes its files in {folder}")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def read_files(folder: Path, board_id: str) -> Iterator[Head]:
    """Check the files of a board, which have to begin with its first entry; yield where each ends.

    Raises:
        LedgerFileError: one is not what was written, or does not begin where the one before ended.
        OSError: one cannot be read.
    """
    head = Head.start(board_id)
    for file in list_files(folder, board_id):
        start, end = file.read()
        _require_next(file, start, head)
        head = end
        yield head


def read_commits(folder: Path, board_id: str) -> Iterator[Head]:
    """Do what `read_files` does, and yield where each commit ends."""
    head = Head.start(board_id)
    for file in list_files(folder, board_id):
        heads = file.read_heads()
        _require_next(file, next(heads), head)
        for end in heads:
            head = end
            yield head


def _require_next(file: LedgerFile, start: Head, head: Head) -> None:
    if start != head:
        raise LedgerFileError(f"{file.path}: it goes on from {start.position}, and not from {head.position}")


class LedgerFileWriter:
    """Writes one file, commit by commit. Without `finish` there is none at the end.

    One that was killed leaves its draft, which the next one of the board writes over.
    """

    def __init__(self, folder: Path, board_id: str, start: Head) -> None:
        self.head = start
        """After the last commit that was written."""
        self._folder = folder
        self._board_id = board_id
        self._start = start
        self._open = hashlib.sha256(start.digest)

    def __enter__(self) -> Self:
        self._draft = self._folder / f".{self._board_id}.draft"
        self._draft.unlink(missing_ok=True)
        # Closed to others, for it names users.
        descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(_write_start(self._board_id, self._start))
        return self

    def add_row(self, row: LedgerRow | EntryRow) -> None:
        """Write an entry."""
        text = write_canonical(row)
        self._open.update(text)
        self._file.write(text)

    def add_commit(self, commit: Commit) -> None:
        """End a commit. Raises LedgerFileError if its digest is not that of what was written."""
        if (commit.first_revision, commit.digest) != (self.head.revision + 1, self._open.digest()):
            message = f"the commit of {self._board_id} at revision {commit.last_revision:,} is not whole"
            raise LedgerFileError(message)
        self._file.write(_write_commit(commit.last_revision, commit.digest))
        self.head = Head(commit.last_revision, commit.digest)
        self._open = hashlib.sha256(commit.digest)

    def finish(self) -> LedgerFile:
        """Keep what was written, up to the last commit."""
        self._file.flush()
        os.fsync(self._file.fileno())
        after, last = self._start.revision, self.head.revision
        path = self._folder / f"{self._board_id}.{after:0{_DIGITS}}-{last:0{_DIGITS}}.ledger"
        self._draft.replace(path)
        _keep_names(self._folder)
        return LedgerFile(path, self._board_id, after, last)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._file.close()  # It writes what is left, for which there may be no room.
        finally:
            self._draft.unlink(missing_ok=True)


def _keep_names(folder: Path) -> None:
    """Wait until the names in a folder outlast a loss of power, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_start(board_id: str, head: Head) -> bytes:
    return f"#ledger\t1\t{board_id}\t{head.revision}\t{head.digest.hex()}\n".encode()


def _write_commit(revision: int, digest: bytes) -> bytes:
    return f"#commit\t{revision}\t{digest.hex()}\n".encode()
