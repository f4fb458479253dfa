"""What a tutorial asks its reader to do: commands with their output, and files to write."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

_BLOCK: Final = re.compile(
    r"(?P<before>[^\n]*)\n\n^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FILE: Final = re.compile(r"`(?P<name>[^`]+)`:$")


class Command(NamedTuple):
    """A command of a shell, and the lines that it prints; `…` stands for anything."""

    text: str
    expected: list[str]


class File(NamedTuple):
    """A file in the folder of the reader."""

    name: str
    text: str


class Unrun(NamedTuple):
    """A command that needs what is not on one machine, such as a cluster."""

    text: str


Step: TypeAlias = Command | File | Unrun


def read_steps(page: str) -> Iterator[Step]:
    """Give the steps of a page, in order.

    Blocks of `console` have commands behind `$`, which go on behind `>`, and what they print. Blocks of
    `sh` are commands that are not run. Any other block is a file, which the line before names at its end:
    "`name`:".
    """
    for block in _BLOCK.finditer(page):
        match block["language"]:
            case "console":
                yield from _read_commands(block["body"])
            case "sh":
                yield Unrun(block["body"])
            case _:
                name = _FILE.search(block["before"])
                if name is None:
                    raise ValueError(f"this block is no command and names no file:\n{block['body']}")
                yield File(name["name"], block["body"])


def matches(expected: list[str], printed: list[str]) -> bool:
    """Return whether what was printed is what was expected; a line of `…` alone stands for any lines."""
    lines = [re.escape(line).replace("…", "[^\n]*") + "\n" for line in expected]
    pattern = "".join(r"(?:[^\n]*\n)*" if line == "[^\n]*\n" else line for line in lines)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def _read_commands(body: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        first, *lines = part.splitlines()
        more = [line.removeprefix(">").removeprefix(" ") for line in lines if re.match(r">( |$)", line)]
        yield Command("\n".join([first, *more]), lines[len(more) :])
