"""The scripts of the projection, one operation a file, loaded by name.

Every script touches one board, finds all its keys in KEYS, checks everything before its first write, and
takes and gives numbers as strings: a Lua number would lose digits on the way. What they share stands in
`board.lua`, which goes before each of them.

The first line of each declares what it does, so that Redis rejects it as a whole or not at all: one with
`no-writes` only reads; one with `allow-oom` makes room; any other writes, and is rejected where `maxmemory`
is reached, too few replicas follow, or a snapshot failed. Without that line Redis would reject single
commands: at `maxmemory` only a first write that may need memory, so that a script which begins by removing
goes on.
"""

from importlib.resources import files
from typing import Final

READS_ONLY: Final = "#!lua flags=no-writes"
"""The first line of a script that only reads."""


def load_script(name: str) -> str:
    """Read `<name>.lua`, with its first line before what the scripts share."""
    kind, _, body = _read(name).partition("\n")
    return "\n".join((kind, _read("board"), body))


def _read(name: str) -> str:
    return files(__name__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
