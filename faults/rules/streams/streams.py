"""Judges every stream of a board by the rules of its kind. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from faults.model.board import Board
from faults.model.claim import Claim, weigh_claims
from faults.model.epochs import Epochs
from faults.model.findings import Finding
from faults.model.history import Message
from faults.rules.streams.sockets import Socket
from faults.rules.streams.watches import Watch


def check_streams(board: Board, messages: Iterable[Message], epochs: Epochs) -> Iterable[Finding]:
    """Find what is wrong. The board knows when its awards were asked for."""
    streams: dict[str, Watch | Socket] = {}
    for message in messages:
        stream = streams.get(message.stream)
        if stream is None:
            kind = Watch if message.stream.startswith("watch") else Socket
            stream = streams[message.stream] = kind(message.stream, board, epochs)
        yield from stream.take(message)
    for stream in streams.values():
        yield from stream.end()
    claims = defaultdict[Board, list[Claim]](list)
    for stream in streams.values():
        for shown, claim in stream.claims:
            claims[shown].append(claim)
    for shown, alike in claims.items():
        yield from weigh_claims(shown, alike)
