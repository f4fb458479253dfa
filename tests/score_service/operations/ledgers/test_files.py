"""Files of a ledger: what was changed, cut or mixed up in them is found."""

import hashlib
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from score_service.operations.chain import Commit, EntryRow, LedgerRow, digest_commit, start_digest
from score_service.operations.ledgers.files import (
    Head,
    LedgerFile,
    LedgerFileError,
    LedgerFileWriter,
    list_files,
    read_commits,
    read_files,
)

COMMITS: list[list[LedgerRow | EntryRow]] = [
    [
        EntryRow(1, "settings", "spiffe://x/y", None, "", "1700000000000000", "{}"),
        LedgerRow(2, "a" * 8, "ada", "puzzle", "p1", 5, 5, "b" * 8, "spiffe://x/y", "", "1700000000000001"),
    ],
    [LedgerRow(3, "c" * 8, "bob", "puzzle", "p1", 2, 2, "d" * 8, "spiffe://x/y", "", "1700000000000002")],
    [LedgerRow(4, "e" * 8, "ada", "puzzle", "p1", 1, 6, "f" * 8, "spiffe://x/y", "", "1700000000000003")],
]


def write(folder: Path, *counts: int) -> list[LedgerFile]:
    """Write files of so many commits each."""
    head, files, commits = Head.start("main"), list[LedgerFile](), iter(COMMITS)
    for count in counts:
        with LedgerFileWriter(folder, "main", head) as writer:
            for _ in range(count):
                rows = next(commits)
                for row in rows:
                    writer.add_row(row)
                digest = digest_commit(writer.head.digest, rows)
                writer.add_commit(Commit(rows[0].revision, rows[-1].revision, digest))
            head = writer.head
            files.append(writer.finish())
    return files


def test_files_are_proved_by_their_lines_and_a_program_of_others_can_do_so(tmp_path: Path) -> None:
    files = write(tmp_path, 2, 1)

    assert list_files(tmp_path, "main") == files
    assert [head.revision for head in read_files(tmp_path, "main")] == [3, 4]
    digest, text = hashlib.sha256(b"main").digest(), b""
    for file in files:
        first, *lines = file.path.read_bytes().splitlines(keepends=True)
        assert first.split(b"\t")[-1].decode() == f"{digest.hex()}\n"
        for line in lines:
            if line.startswith(b"#commit\t"):
                digest, text = hashlib.sha256(digest + text).digest(), b""
                assert line.split(b"\t")[-1].decode() == f"{digest.hex()}\n"
            else:
                text += line


def test_files_say_where_each_commit_ends(tmp_path: Path) -> None:
    first, second = write(tmp_path, 2, 1)

    heads = list(read_commits(tmp_path, "main"))
    assert [head.revision for head in heads] == [2, 3, 4]
    assert heads[1:] == list(read_files(tmp_path, "main"))
    first.path.unlink()
    with pytest.raises(LedgerFileError, match="goes on from"):
        list(read_commits(tmp_path, "main"))
    second.path.unlink()
    assert list(read_commits(tmp_path, "main")) == []


def test_there_is_no_file_of_what_was_not_finished(tmp_path: Path) -> None:
    with LedgerFileWriter(tmp_path, "main", Head.start("main")) as writer:
        writer.add_row(COMMITS[0][0])
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_file_of_what_the_disk_has_no_room_for(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_what_an_export_that_was_killed_has_left_goes_with_the_next_file(tmp_path: Path) -> None:
    (tmp_path / ".main.draft").write_text("#ledger\n" * 1000, encoding="utf-8")

    (file,) = write(tmp_path, 1)
    assert list(tmp_path.iterdir()) == [file.path]
    assert file.read()


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    (file,) = write(tmp_path, 1)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file.path]


def test_file_and_its_name_outlast_a_loss_of_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = list[tuple[bool, set[str]]]()

    def sync(descriptor: int) -> None:
        names = {path.suffix for path in tmp_path.iterdir()}
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), names))

    monkeypatch.setattr(os, "fsync", sync)
    write(tmp_path, 1)

    assert synced == [(False, {".draft"}), (True, {".ledger"})]


@pytest.mark.parametrize(
    "commit",
    [Commit(1, 1, b"\0" * 32), Commit(2, 1, digest_commit(start_digest("main"), COMMITS[0][:1]))],
    ids=["digest", "first revision"],
)
def test_commit_that_is_not_that_of_the_rows_is_not_written(tmp_path: Path, commit: Commit) -> None:
    with LedgerFileWriter(tmp_path, "main", Head.start("main")) as writer:
        writer.add_row(COMMITS[0][0])
        with pytest.raises(LedgerFileError, match="not whole"):
            writer.add_commit(commit)


CHANGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a byte of a row": (lambda lines: [*lines[:2], lines[2].replace(b"ada", b"eve"), *lines[3:]], "line 4"),
    "a row taken out": (lambda lines: lines[:1] + lines[2:], "line 2"),
    "a row twice": (lambda lines: [*lines[:2], lines[1], *lines[2:]], "line 3"),
    "rows in another order": (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 2"),
    "a digest": (lambda lines: [*lines[:3], lines[3].replace(b"\t2\t", b"\t3\t"), *lines[4:]], "line 4"),
    "a commit taken out": (lambda lines: lines[:3] + lines[4:], "line 5"),
    "a commit twice": (lambda lines: [*lines[:4], lines[3], *lines[4:]], "line 5"),
    "cut at a commit": (lambda lines: lines[:4], "other revisions"),
    "cut within a commit": (lambda lines: lines[:5], "other revisions"),
    "cut within a line": (lambda lines: [*lines[:5], lines[5][:-1]], "line 6"),
    "a start of another board": (lambda lines: [lines[0].replace(b"main", b"mail"), *lines[1:]], "line 1"),
    "a start at another revision": (
        lambda lines: [lines[0].replace(b"\t0\t", b"\t1\t"), *lines[1:]],
        "line 1",
    ),
    "a start of another format": (
        lambda lines: [lines[0].replace(b"\t1\t", b"\t2\t", 1), *lines[1:]],
        "line 1",
    ),
    "a digest before that is none": (lambda lines: [lines[0][:-3] + b"xx\n", *lines[1:]], "line 1"),
    "nothing": (lambda _lines: [], "line 1"),
    "no text": (lambda _lines: [b"\xff\xfe\n"], "line 1"),
}


@pytest.mark.parametrize(("change", "where"), CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_found_with_its_place(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], where: str
) -> None:
    (file,) = write(tmp_path, 2)
    file.path.write_bytes(b"".join(change(file.path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(LedgerFileError, match=where):
        file.read()


def test_file_that_is_missing_at_the_start_or_between_is_found(tmp_path: Path) -> None:
    first, second, _ = write(tmp_path, 1, 1, 1)
    second.path.rename(tmp_path / "elsewhere")
    with pytest.raises(LedgerFileError, match="goes on from 3-"):
        list(read_files(tmp_path, "main"))
    first.path.unlink()
    with pytest.raises(LedgerFileError, match="and not from 0-"):
        list(read_files(tmp_path, "main"))


def test_files_of_other_boards_and_drafts_are_left_alone(tmp_path: Path) -> None:
    (file,) = write(tmp_path, 1)
    for name in (".ledger.x", "main.ledger", "mainx" + file.path.name[4:], f"x.{file.path.name}"):
        (tmp_path / name).write_text("")
    assert list_files(tmp_path, "main") == [file]
