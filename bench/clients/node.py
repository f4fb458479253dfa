"""The client for Node: awards that one process makes, 1,000 at a time."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.figures.row import Row, Sample, at_least, rate
from bench.load.pipes import Piped
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme

_ROOT: Final = Path(__file__).parents[2]
_NODE: Final = _ROOT / ".venv/bin/node"
_CLIENT: Final = _ROOT / "clients/node"
_PROGRAM: Final = _CLIENT / "bench/awards.ts"
_NEEDED: Final = (".venv/node.stamp", "clients/node/dist/index.js")
"""What `make` makes of Node itself, of the packages of the client, and of the client."""
_AT_A_TIME: Final = 1_000


def find_lack(root: Path = _ROOT) -> str:
    """Return what has to be built before this can be measured; the empty text where nothing has to be."""
    if all((root / needed).exists() for needed in _NEEDED):
        return ""
    return f"it needs Node and the built client: make {' '.join(_NEEDED)}"


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    files = stack.certificate
    words = (stack.target, files.ca_file, files.certificate_file, files.key_file, _AT_A_TIME)
    async with Piped.running(stack, _NODE, _PROGRAM, *words) as program:
        yield {"node": partial(_award, program)}


async def _award(program: Piped, seconds: float) -> Sample:
    answer: Any = await program.ask(seconds)
    if not answer:
        raise RuntimeError("The program of Node has ended.")
    return Sample(answer["awards"], answer["seconds"])


NODE = Theme(
    "node",
    (
        Row(
            "node",
            f"the client for Node, award(), {_AT_A_TIME:,} at a time",
            "awards/s",
            rate,
            targets=(at_least(5_000),),
        ),
    ),
    _open,
    find_lack=find_lack,
)
