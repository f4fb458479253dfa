"""The README and the tutorials do what they print: each is run as it stands, on a stack of its own."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from tests.docs.pages import Command, File, Unrun, matches, read_steps
from tests.docs.shell import open_shell
from tests.fixtures.programs import find_program
from tests.fixtures.services.local_stack import Launcher, RunningStack

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [
    "README.md",
    *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/tutorials/*.md")),
]
UNRUN: Final[Mapping[str, set[str]]] = {
    "docs/tutorials/backend.md": {"make .venv/node.stamp"},  # Done: see `make docs-check` and `make test`.
    "docs/tutorials/cluster.md": {"kubectl -n", "kubectl diff", "make deploy-check"},
}
"""Commands that no test runs, by their first two words, of the pages that have any."""


def make_folder(folder: Path, stack: RunningStack) -> Path:
    """Make a folder that looks like that of a reader: this repository, with the data of the stack.

    What tutorials write to is a copy. Git knows all that is there when the reader begins.
    """
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    shutil.copy(ROOT / ".gitignore", folder)  # Git does not follow a link to it.
    for path in ROOT.iterdir():
        if path.name not in {".git", ".gitignore", ".laurel", "deploy", "tutorial"}:
            (folder / path.name).symlink_to(path)
    (folder / ".laurel").symlink_to(stack.state_dir)
    run_git(folder, "init", "--quiet")
    run_git(folder, "add", "--all", "--force")
    return folder


def run_git(folder: Path, *arguments: str) -> list[str]:
    """Run git with no settings of this machine, and return the lines that it prints."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    told = subprocess.run(
        [find_program("git"), "-c", "core.excludesFile=/dev/null", *arguments],
        cwd=folder,
        env=variables,
        check=True,
        capture_output=True,
        text=True,
    )
    return told.stdout.splitlines()


def read_page(name: str, stack: RunningStack) -> str:
    """Return a page with the addresses of the stack instead of those of every `make run`."""
    text = (ROOT / name).read_text(encoding="utf-8")
    text = text.replace("http://127.0.0.1:8080", stack.http_url)
    return text.replace("dns:///localhost:50051", stack.score_target)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_does_what_it_prints(name: str, launcher: Launcher, tmp_path: Path) -> None:
    stack = launcher.start()
    folder = make_folder(tmp_path / "reader", stack)
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    unrun = set()
    async with open_shell(folder, variables) as shell:
        for step in read_steps(read_page(name, stack)):
            match step:
                case File(path, text):
                    (folder / path).write_text(text, encoding="utf-8")
                case Command(text, expected):
                    code, printed = await shell.run(text)
                    told = "\n".join(
                        [f"$ {text}", *printed, f"(exit code {code}; the page says:)", *expected]
                    )
                    assert code == 0, told
                    assert matches(expected, printed), told
                case Unrun(text):
                    code, printed = await shell.run(f"bash -n <<'END'\n{text}\nEND")
                    assert (code, printed) == (0, [])
                    unrun |= {" ".join(line.split()[:2]) for line in text.splitlines()}
    assert unrun == UNRUN.get(name, set())
    assert run_git(folder, "ls-files", "--others", "--modified", "--deleted", "--exclude-standard") == []
