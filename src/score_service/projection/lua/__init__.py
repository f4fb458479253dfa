"""The scripts of the projection, one operation a file, loaded by name.

Every script touches one board, finds all its keys in KEYS, checks everything before its first write, and
takes and gives numbers as strings: a Lua number would lose digits on the way. What they share stands in
`board.lua`, which goes before each of them.
"""

from importlib.resources import files


def load_script(name: str) -> str:
    """Read `<name>.lua`."""
    folder = files(__name__)
    return "\n".join(folder.joinpath(f"{file}.lua").read_text(encoding="utf-8") for file in ("board", name))
