"""Watchers in a process of their own, which note when they first see each change.

It is a program: `python -m bench.load.audience TARGET CA CERTIFICATE KEY`. The first line it reads is a JSON
list of requests in base64, one for each watcher; it writes a line when all of them watch. Then each line is
answered by one of JSON: what was seen since the last one, as [time, revision] pairs by the clock that all
processes of a machine share, with the revision 0 for another period; and what the server said of watches that
it ended.
"""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1.types_pb2 import Standing

_METHOD = "/score_api.v1.LeaderboardService/WatchLeaderboard"
_WATCHES_A_CONNECTION = 100
_RETRY_SECONDS = 0.5
# Without a probe the windows stay small: who does not read is soon felt by the server.
_OPTIONS = [
    ("grpc.http2.bdp_probe", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]


@dataclass(slots=True)
class Watcher:
    """One watch, and what has arrived. It is looked at only when asked for: that takes CPU from the load."""

    channel: grpc.aio.Channel
    request: bytes
    arrived: list[tuple[float, bytes]] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    ended: list[str] = field(default_factory=list)
    """What the server said each time that it ended the watch."""
    _seen: dict[str, int] = field(default_factory=dict)
    _period_id: str = ""

    async def watch(self) -> None:
        """Watch, and again after the server has ended it."""
        while True:
            try:
                await self._read()
            except grpc.aio.AioRpcError as error:
                self.ended.append(f"{error.code().name}: {error.details()}")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _read(self) -> None:
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(_METHOD)
        async for message in method(self.request):
            self.arrived.append((time.monotonic(), message))
            self.started.set()

    def take(self) -> Iterable[tuple[float, int]]:
        """Return the time and the revision of each change that was seen for the first time since.

        Another period than before is a change as well, with the revision 0.
        """
        arrived, self.arrived = self.arrived, []
        for moment, raw in arrived:
            message = boards.WatchLeaderboardResponse.FromString(raw)
            if message.HasField("snapshot") and message.snapshot.period.id != self._period_id:
                self._period_id = message.snapshot.period.id
                yield moment, 0
            for standing in _standings(message):
                if self._seen.get(standing.user_id) != standing.reached_revision:
                    self._seen[standing.user_id] = standing.reached_revision
                    yield moment, standing.reached_revision


def _standings(message: boards.WatchLeaderboardResponse) -> Iterable[Standing]:
    return [*message.snapshot.top, *message.update.top, *message.update.scores]


async def watch(target: str, credentials: grpc.ChannelCredentials, requests: Sequence[bytes]) -> None:
    """Watch until the input ends."""
    watchers, tasks, channels = list[Watcher](), list[asyncio.Task[None]](), list[grpc.aio.Channel]()
    for first in range(0, len(requests), _WATCHES_A_CONNECTION):
        channels.append(grpc.aio.secure_channel(target, credentials, _OPTIONS))
        share = requests[first : first + _WATCHES_A_CONNECTION]
        some = [Watcher(channels[-1], request) for request in share]
        tasks += [asyncio.create_task(watcher.watch()) for watcher in some]
        # All at once would be more calls than a gRPC server lets wait.
        await asyncio.gather(*(watcher.started.wait() for watcher in some))
        watchers += some
    _answer({"watching": len(watchers)})
    while await asyncio.to_thread(sys.stdin.readline):
        seen = [pair for watcher in watchers for pair in watcher.take()]
        _answer({"seen": seen, "ended": [said for watcher in watchers for said in watcher.ended]})
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(channel.close() for channel in channels))


def _answer(document: object) -> None:
    print(json.dumps(document), flush=True)  # noqa: T201 - The bench reads it.


def main(target: str, *files: str) -> None:
    """Watch with the authorities, the certificate and the key of three files."""
    ca, certificate, key = (Path(name).read_bytes() for name in files)
    requests = [base64.b64decode(request) for request in json.loads(sys.stdin.readline())]
    asyncio.run(watch(target, grpc.ssl_channel_credentials(ca, key, certificate), requests))


if __name__ == "__main__":
    main(*sys.argv[1:])
