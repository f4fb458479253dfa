"""Rows of this tree beside those of another revision."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.programs import find_program

from bench.comparing.comparison import compare
from bench.comparing.worktree import RevisionError, checked_out, find_commit
from bench.figures.row import Quantity, Row, at_least, rate
from local_stack.servers.binding import bind_command

ROOT = Path(__file__).parents[3]


def git(repository: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    command = [find_program("git"), "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with the files of this tree, and one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in ("bench", "src", "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=all")
    return folder


def rounds(*figures: float, limit: float = 1.0, cpu: float = 100.0) -> list[dict[str, Any]]:
    return [
        {"row": {"figure": {"median": f}, "limit": {"median": limit}, "cpu_microseconds": {"service": cpu}}}
        for f in figures
    ]


def test_figures_are_compared_round_by_round_with_the_cpu_of_both() -> None:
    row = Row("row", "", "/s", rate, limit="its", targets=(at_least(2, Quantity.BASE),))
    line = compare(row, rounds(10, 20, limit=40), rounds(5, 5, cpu=300))
    assert line.base is not None
    assert line.base.ratio.rounds == (2, 4)
    assert (line.cpu, line.base.cpu) == ({"service": 100}, {"service": 300})
    assert line.ratio is not None
    assert line.ratio.rounds == (0.25, 0.5)
    assert line.verdicts == ((row.targets[0], True),)


def test_a_row_that_the_other_revision_does_not_know_has_no_base_and_no_verdict_on_it() -> None:
    row = Row("row", "", "/s", rate, targets=(at_least(2, Quantity.BASE),))
    line = compare(row, rounds(10), [{}])
    assert line.base is None
    assert line.verdicts == ((row.targets[0], None),)


def test_what_is_no_revision_is_said_to_be_none(repository: Path, tmp_path: Path) -> None:
    for wrong in ("nothing", "--help", ""):
        with pytest.raises(RevisionError, match="is no revision"):
            find_commit(wrong, repository)
    with pytest.raises(RevisionError, match="not a git repository"):
        find_commit("main", tmp_path)


def test_a_tree_with_the_same_lock_file_uses_this_environment_and_is_removed(repository: Path) -> None:
    with checked_out(find_commit("main", repository), repository) as tree:
        assert tree.python == Path(sys.executable)
        assert (tree.folder / "bench" / "__main__.py").exists()
    assert not tree.folder.exists()
    assert git(repository, "worktree", "list").count("\n") == 1


def test_a_tree_with_another_lock_file_gets_the_environment_that_its_makefile_makes(repository: Path) -> None:
    (repository / "requirements" / "run.txt").write_text("other")
    (repository / "Makefile").write_text(
        ".venv/run.stamp:\n\tmkdir -p .venv/bin && cp -p Makefile .venv/bin/python\n"
    )
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=other lock")
    (repository / "requirements" / "run.txt").write_text("changed since")
    with checked_out(find_commit("HEAD", repository), repository) as tree:
        assert tree.python == tree.folder / ".venv" / "bin" / "python"
        assert tree.python.exists()


def test_an_environment_that_cannot_be_installed_is_an_error_and_leaves_nothing(repository: Path) -> None:
    (repository / "requirements" / "run.txt").write_text("no Makefile makes this")
    with (
        pytest.raises(RevisionError, match="cannot be installed"),
        checked_out(find_commit("HEAD", repository), repository),
    ):
        pass
    assert git(repository, "worktree", "list").count("\n") == 1


def start(repository: Path, folder: Path, *options: str) -> subprocess.Popen[str]:
    folder.mkdir()
    return subprocess.Popen(
        bind_command([sys.executable, "-m", "bench", "--base", "HEAD", "--rounds", "1", *options]),
        cwd=repository,
        env={
            **os.environ,
            "TMPDIR": str(folder),
            "PYTHONPATH": os.pathsep.join((str(repository), str(repository / "src"))),
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_both_revisions_are_measured_and_what_only_one_knows_is_missing(
    repository: Path, tmp_path: Path
) -> None:
    calls = repository / "bench" / "themes" / "calls.py"
    calls.write_text(calls.read_text().replace('"client-1"', '"client-one"'))
    report = tmp_path / "report.json"
    options = ("--rows", "client-one,echo-1", "--seconds", "0.1", "--json", str(report))
    bench = start(repository, tmp_path / "tmp", *options)
    output, _ = bench.communicate(timeout=250)

    assert bench.returncode == 0, output
    assert "Missing in HEAD: client-one." in output
    assert re.search(r"client-one .* missing", output)
    told = json.loads(report.read_text())
    assert told["base"]["missing"] == ["client-one"]
    bases = {row["name"]: row.get("base") for row in told["rows"]}
    assert bases["client-one"] is None
    assert bases["echo-1"]["ratio"]["median"] > 0
    assert not list((tmp_path / "tmp").iterdir())


def test_an_interrupted_comparison_removes_the_other_tree(repository: Path, tmp_path: Path) -> None:
    bench = start(repository, tmp_path / "tmp", "--rows", "idle", "--seconds", "60")
    deadline = time.monotonic() + 100
    while not list((tmp_path / "tmp").glob("laurel-base-*/tree/.git")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    bench.send_signal(signal.SIGINT)
    output, _ = bench.communicate(timeout=150)

    assert bench.returncode == 130, output
    assert not list((tmp_path / "tmp").iterdir())
    assert git(repository, "worktree", "list").count("\n") == 1
