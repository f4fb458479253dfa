"""The tests that pages name as evidence exist: files by folder and name, tests by words of their name."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ("docs/consistency.md", "docs/guarantees.md", "docs/operations/maintenance.md")


def find_files(folder: str, name: str) -> list[Path]:
    """Return the test files of a name: the one in the folder, otherwise those at any depth below it."""
    exact = ROOT / "tests" / folder / f"{name}.py"
    return [exact] if exact.is_file() else list((ROOT / "tests" / folder).rglob(f"{name}.py"))


def simplify(words: str) -> str:
    """Reduce words, or the name of a test, to what counts of them."""
    parts = re.split(r"[\W_]+", words.lower().removeprefix("test_").strip())
    return " ".join(part for part in parts if part not in {"a", "an", "the"})


def read_evidence(page: str) -> list[tuple[str, str, str]]:
    """Return folder, file and the words of tests, as far as they are given."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"`(?:([\w/]+)/)?(test_[\w*]+)`(?:: ([^`|()]+))?", text)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page: str) -> None:
    assert [(folder, name) for folder, name, _ in read_evidence(page) if not find_files(folder, name)] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_folder_and_a_file_name_one_test_file(page: str) -> None:
    named = [(folder, name) for folder, name, _ in read_evidence(page) if folder and "*" not in name]
    assert [evidence for evidence in named if len(find_files(*evidence)) > 1] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    missing = []
    for folder, name, said in read_evidence(page):
        files = [file.read_text(encoding="utf-8") for file in find_files(folder, name)]
        tests = [simplify(test) for test in re.findall(r"def (test_\w+)", "".join(files))]
        words = [simplify(part) for part in said.split(";")]
        missing += [part for part in words if part and not any(part in test for test in tests)]
    assert missing == []
