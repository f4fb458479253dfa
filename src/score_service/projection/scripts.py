"""Redis as the score service reaches it: one script at a time, every wait bounded.

Invariants:
- Every operation has one deadline; connecting, a retry and the way to another server included.
- Every script may run twice, also late: one whose connection was lost is sent once more.
- All keys of a script are on one server, which is found by the first of them.
- Each server is sent the text of a script when it does not know it.

It knows the names of scripts and nothing of what they do.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Final, Self

from redis.exceptions import NoScriptError, ResponseError

from score_service import tracing
from score_service.errors import ProjectionUnavailableError
from score_service.projection.lua import READS_ONLY, load_script
from score_service.projection.redis_servers import (
    REDIRECTS,
    Server,
    Servers,
    ServersSettings,
    bounded,
)
from score_service.projection.redis_topology import open_servers
from service_runtime.redis.rejections import explain_rejection

_SCRIPTS: Final = (
    "adopt_generation",
    "apply_changes",
    "check_writes",
    "compare_standings",
    "discard_generation",
    "drop_board",
    "get_header",
    "get_making",
    "get_progress",
    "keep_generation",
    "load_standings",
    "read_board",
    "switch_generation",
)

_QUIET_SECONDS: Final = 1.0
"""After which a subscriber that has received nothing asks whether Redis is there."""


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """What a script is run with."""

    keys: Sequence[str]
    arguments: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    digest: str
    reads_only: bool

    @classmethod
    def load(cls, name: str) -> Self:
        text = load_script(name)
        digest = sha1(text.encode(), usedforsecurity=False).hexdigest()
        return cls(text, digest, text.startswith(READS_ONLY))

    def evaluate(self, client: Any, call: ScriptCall) -> Any:
        """Have a client or a pipeline run it. Valkey that hands over slots holds EVALSHA, not EVALSHA_RO."""
        words = (self.digest, len(call.keys), *call.keys, *call.arguments)
        return client.evalsha_ro(*words) if self.reads_only else client.evalsha(*words)


class Cache:
    """Runs the scripts of `lua` by name.

    Every method raises `ProjectionUnavailableError` where Redis is unavailable or does not answer in time.
    Whether a script that writes has done so is unknown then.
    """

    def __init__(self, servers: Servers, settings: ServersSettings) -> None:
        self._servers = servers
        self._subscriptions_left = settings.subscriptions_max
        self._timeout = settings.timeout
        self._scripts = {name: _Script.load(name) for name in _SCRIPTS}

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ServersSettings) -> AsyncIterator[Self]:
        """Make the connection pools, whether or not Redis is there, and close them at the end."""
        async with open_servers(settings) as servers:
            yield cls(servers, settings)

    async def run(self, script: str, call: ScriptCall) -> Any:
        """Run a script once and give its reply."""
        with tracing.script(script):
            return await self._run(self._scripts[script], call, _in(self._timeout))

    async def _run(self, script: _Script, call: ScriptCall, give_up_at: float) -> Any:
        async def evaluate(client: Any) -> Any:
            try:
                return await script.evaluate(client, call)
            except NoScriptError:
                await client.script_load(script.text)
                return await script.evaluate(client, call)

        return await self._servers.ask(call.keys[0], evaluate, give_up_at)

    async def run_each(self, script: str, calls: Sequence[ScriptCall]) -> list[Any]:
        """Run a script once for each call, not as one transaction.

        Returns:
            The replies in order; None for each call whose server is unavailable, unless all of them are.
        """
        give_up_at, replies = _in(self._timeout), dict[int, Any]()
        batches = dict[Server, list[int]]()
        for number, call in enumerate(calls):
            with suppress(ProjectionUnavailableError):
                server = await self._servers.find(call.keys[0], give_up_at)
                batches.setdefault(server, []).append(number)

        async def run_batch(server: Server, numbers: Sequence[int]) -> None:
            batch = [calls[number] for number in numbers]
            with suppress(ProjectionUnavailableError):
                found = await self._run_batch(server, self._scripts[script], batch, give_up_at)
                replies.update(zip(numbers, found, strict=True))

        await asyncio.gather(*(run_batch(*batch) for batch in batches.items()))
        if calls and not replies:
            raise ProjectionUnavailableError
        return [replies.get(number) for number in range(len(calls))]

    async def _run_batch(
        self, server: Server, script: _Script, calls: Sequence[ScriptCall], give_up_at: float
    ) -> list[Any]:
        """Run a script for calls to one server, all on one way; those that it points elsewhere one by one."""
        async with server.reached(give_up_at), server.client.pipeline(transaction=False) as pipeline:
            pipeline.script_load(script.text)
            for call in calls:
                script.evaluate(pipeline, call)
            replies = await pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception) and not isinstance(reply, REDIRECTS):
                    raise reply
        return [
            await self._run(script, call, give_up_at) if isinstance(reply, REDIRECTS) else reply
            for call, reply in zip(calls, replies[1:], strict=True)
        ]

    async def read_policies(self) -> set[str]:
        """Return what the servers do when their memory is full, as `maxmemory-policy` has it."""
        give_up_at, policies = _in(self._timeout), set[str]()
        for server in await self._servers.list_primaries(give_up_at):
            async with server.reached(give_up_at):
                memory = await server.client.info("memory")
            policies.add(str(memory["maxmemory_policy"]))
        return policies

    async def check(self, key: str) -> None:
        """Have every server run a script that reads and one that is rejected where writes are.

        Args:
            key: one that is never there; where there are several servers, each is given one of its own slots.
        """
        servers = await self._servers.list_primaries(_in(self._timeout))
        calls = [ScriptCall([self._servers.name_key(server, key)], []) for server in servers]
        scripts = ("get_making", "check_writes")
        await asyncio.gather(*(self.run(script, call) for call in calls for script in scripts))

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """Receive what is published on a channel from now on.

        Raises:
            ProjectionUnavailableError: there are too many subscriptions, or Redis is unavailable; the latter
                also out of the iterator, which ends where the channel has moved to another server.
        """
        if not self._subscriptions_left:
            raise ProjectionUnavailableError
        self._subscriptions_left -= 1
        try:
            pubsub = await self._servers.ask(
                channel, lambda client: _subscribe(client, channel), _in(self._timeout), subscribing=True
            )
            try:
                yield self._messages(pubsub)
            finally:
                await pubsub.aclose()
        finally:
            self._subscriptions_left += 1

    async def _messages(self, pubsub: Any) -> AsyncIterator[str]:
        """Return what comes. Silence looks like a network that drops everything, so Redis is asked then."""
        while True:
            try:
                # A subscriber alone may lose its connection because it reads too slowly.
                async with bounded(_in(_QUIET_SECONDS + self._timeout)):
                    message = await pubsub.get_message(timeout=_QUIET_SECONDS)
                    if message is None:
                        message = await _ping(pubsub)
            except REDIRECTS as redirect:
                raise ProjectionUnavailableError from redirect
            if message is None:
                continue
            if message["type"] == "sunsubscribe":
                return  # The slot has moved; a new subscription is led there.
            if message["type"] == "smessage":
                yield message["data"]


async def _ping(pubsub: Any) -> Any:
    """Return what comes next, at the latest the answer to a PING."""
    await pubsub.ping()
    try:
        return await pubsub.get_message(timeout=None)
    except ResponseError as error:
        if explain_rejection(error):
            return None  # A server that could not save to its disk is there, and rejects PING as well.
        raise


async def _subscribe(client: Any, channel: str) -> Any:
    """Subscribe, and wait until the server has confirmed it."""
    pubsub = client.pubsub()
    try:
        await pubsub.ssubscribe(channel)
        await pubsub.get_message(timeout=None)
    except BaseException:
        await pubsub.aclose()
        raise
    return pubsub


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds
