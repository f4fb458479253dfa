"""The adapter of `score_client` for the conformance kit, see docs/clients.md."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from score_client import (
    ClientCredentials,
    Entry,
    InvalidRequestError,
    QuotaExceededError,
    ScoreClient,
    ScoreClientError,
    ServiceFaultError,
    Snapshot,
    Standing,
    UnavailableError,
    Update,
    WatchEvent,
)

_IDS: Final = ("award_id", "request_id")


class Adapter:
    """Does what a line asks for, with one client and one stream."""

    def __init__(self) -> None:
        self._client: ScoreClient | None = None
        self._stream: AsyncGenerator[WatchEvent | Entry, None] | None = None

    @property
    def client(self) -> ScoreClient:
        """The client."""
        if self._client is None:
            raise RuntimeError("no client is open")
        return self._client

    async def open(self, asked: Mapping[str, Any]) -> None:
        """Open the client."""
        credentials = ClientCredentials(asked["ca_file"], asked["certificate_file"], asked["key_file"])
        self._client = await ScoreClient(
            asked["target"],
            credentials=credentials,
            timeout=asked["timeout_seconds"],
            attempt_timeout=asked["attempt_seconds"],
            stall_timeout=asked["stall_seconds"],
            certificate_check_interval=asked["certificate_check_seconds"],
            certificate_activation_delay=0,
            server_name=asked["server_name"],
        ).__aenter__()

    async def close(self, _asked: Mapping[str, Any]) -> None:
        """Close the client, if it is open."""
        await self.stop(_asked)
        client, self._client = self._client, None
        if client:
            await client.__aexit__(None, None, None)

    async def award(self, asked: Mapping[str, Any]) -> Any:
        """Make an award."""
        award = asked["award"]
        ids = {name: UUID(award[name]) for name in _IDS if name in award}
        return _plain(await self.client.award(**{**award, **ids}))

    async def award_many(self, asked: Mapping[str, Any]) -> Any:
        """Make awards at the same time."""
        calls = (answer(self.award, {"award": award}) for award in asked["awards"])
        return {"answers": await asyncio.gather(*calls)}

    async def top(self, asked: Mapping[str, Any]) -> Any:
        """Read a page."""
        view = await self.client.list_standings(board_id=asked["board_id"])
        standings = [_plain(standing) for standing in view.standings]
        return {"standings": standings, "revision": view.revision, "position": view.position}

    async def watch(self, asked: Mapping[str, Any]) -> None:
        """Begin to watch."""
        await self.stop(asked)
        self._stream = self.client.watch(
            board_id=asked["board_id"], after_position=asked["after_position"], all_scores=True
        )

    async def entries(self, asked: Mapping[str, Any]) -> None:
        """Begin to read entries."""
        await self.stop(asked)
        self._stream = self.client.entries(
            board_id=asked["board_id"], after_position=asked["after_position"] or ""
        )

    async def next(self, _asked: Mapping[str, Any]) -> Any:
        """Hand over the next event; the one before is handled."""
        if self._stream is None:
            raise RuntimeError("there is no stream")
        event = await anext(self._stream)
        told: dict[str, Any] = {"revision": event.revision, "position": event.position}
        match event:
            case Snapshot():
                return told | {"snapshot": {"top": _list(event.top), "reset": event.reset}}
            case Update():
                return told | {"update": {"top": _list(event.top or ()), "scores": _list(event.scores)}}
            case Entry():
                return told | {event.kind: {}}
        return told | {"checkpoint": {}}

    async def stop(self, _asked: Mapping[str, Any]) -> None:
        """End the stream, if there is one."""
        stream, self._stream = self._stream, None
        if stream:
            await stream.aclose()


async def answer(do: Callable[[Mapping[str, Any]], Awaitable[Any]], asked: Mapping[str, Any]) -> Any:
    """Do it, and answer with the result or the error."""
    try:
        return {"result": await do(asked)}
    except ScoreClientError as error:
        retry_after = getattr(error, "retry_after", None)
        told = {"kind": _kind_of(error), "reason": error.reason, "retry_after_seconds": retry_after}
        return {"error": told | ({"fields": error.fields} if isinstance(error, InvalidRequestError) else {})}


def _kind_of(error: ScoreClientError) -> str:
    match error:
        case UnavailableError() | ServiceFaultError():
            return "unknown"
        case QuotaExceededError():
            return "later"
    return "rejected"


def _list(standings: tuple[Standing, ...]) -> list[dict[str, Any]]:
    return [_plain(standing) for standing in standings]


def _plain(value: Any) -> dict[str, Any]:
    return {name: str(one) if isinstance(one, UUID) else one for name, one in asdict(value).items()}


async def main() -> None:
    """Answer a line for each line, until there are no more."""
    adapter = Adapter()
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        print(json.dumps(await answer(getattr(adapter, asked.pop("do")), asked)), flush=True)  # noqa: T201
    await adapter.close({})


if __name__ == "__main__":
    asyncio.run(main())
