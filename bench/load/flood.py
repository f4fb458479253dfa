"""A flood in a process of its own: so many calls under way at all times, however they end.

It is a program: `python -m bench.load.flood KIND TARGET CA CERTIFICATE KEY TOKEN IN_FLIGHT`. It floods from
the first line it reads until the second, which it answers with one of JSON: how often calls ended in which
way.
"""

import asyncio
import json
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

import grpc

from bench.load.awards import Awards
from bench.load.http_connection import read_length, read_status

Ask: TypeAlias = Callable[[], Awaitable[str]]
"""Makes a call and names how it ended."""
Stub: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"

BATCH: Final = 500
_BOARD: Final = "bench-flood"
_METHODS: Final = {False: "AwardPoints", True: "BatchAwardPoints"}
_MARK: Final = "f100dba0"
"""What all ids of a body begin with. It is found in no other place."""
_CALLS_A_CONNECTION: Final = 320
_OPTIONS: Final = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
_SECONDS: Final = 10


@asynccontextmanager
async def _calls(target: str, files: Sequence[str], in_flight: int, size: int) -> AsyncIterator[list[Ask]]:
    """Give as many askers, each for awards of its own: one alone, or many together."""
    awards = Awards(_BOARD)
    async with AsyncExitStack() as opened:
        askers: list[Ask] = []
        for first in range(0, in_flight, _CALLS_A_CONNECTION):
            channel = grpc.aio.secure_channel(target, _read_credentials(files), _OPTIONS)
            await opened.enter_async_context(channel)
            stub: Stub = channel.unary_unary(f"/score_api.v1.ScoreService/{_METHODS[size > 1]}")
            for _ in range(first, min(first + _CALLS_A_CONNECTION, in_flight)):
                asked = awards.batch(size)
                for request in asked.requests:
                    request.award.award_id = _MARK + request.award.award_id[len(_MARK) :]
                body = asked if size > 1 else asked.requests[0]
                askers.append(_caller(stub, body.SerializeToString()))
        yield askers


def _caller(stub: "Stub", body: bytes) -> Ask:
    """Ask for new awards each time by writing other ids over the old: making requests costs far more."""

    async def ask() -> str:
        try:
            await stub(body.replace(_MARK.encode(), secrets.token_hex(4).encode()), timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    return ask


def _read_credentials(files: Sequence[str]) -> grpc.ChannelCredentials:
    ca, certificate, key = (Path(name).read_bytes() for name in files)
    return grpc.ssl_channel_credentials(ca, key, certificate)


@asynccontextmanager
async def _requests(address: str, token: str, in_flight: int) -> AsyncIterator[list[Ask]]:
    """Give as many askers, each with a connection."""
    host, _, port = address.rpartition(":")
    request = (
        f"GET /api/v1/leaderboard HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    async with AsyncExitStack() as opened:
        askers: list[Ask] = []
        for _ in range(in_flight):
            reader, writer = await asyncio.open_connection(host, int(port))
            opened.callback(writer.transport.abort)
            askers.append(_requester(reader, writer, request))
        yield askers


def _requester(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> Ask:
    async def ask() -> str:
        writer.write(request)
        headers = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(read_length(headers))
        return str(read_status(headers))

    return ask


async def flood(askers: Sequence[Ask]) -> Mapping[str, int]:
    """Keep all of them asking until the next line of the input; count what ended before."""
    ends: Counter[str] = Counter()
    stopping = asyncio.Event()

    async def work(ask: Ask) -> None:
        while not stopping.is_set():
            end = await ask()
            ends[end] += 1

    async with asyncio.TaskGroup() as tasks:
        for ask in askers:
            tasks.create_task(work(ask))
        await asyncio.to_thread(sys.stdin.readline)
        stopping.set()
    return ends


async def run(kind: str, target: str, files: Sequence[str], token: str, in_flight: int) -> None:
    """Flood for as often as a line asks for it."""
    if kind == "requests":
        opened = _requests(target, token, in_flight)
    else:
        opened = _calls(target, files, in_flight, BATCH if kind == "batches" else 1)
    async with opened as askers:
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await flood(askers)), flush=True)  # noqa: T201 - The bench reads it.


def main(kind: str, target: str, *rest: str) -> None:
    """Flood a target."""
    *files, token, in_flight = rest
    asyncio.run(run(kind, target, files, token, int(in_flight)))


if __name__ == "__main__":
    main(*sys.argv[1:])
