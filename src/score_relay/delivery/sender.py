"""Sends events to one receiver over HTTP.

Invariants:
- An attempt ends in its time, whatever the receiver does, and no more of an answer is read than `_BODY_MAX`.
- No redirect is followed, no proxy of the environment is used, and certificates are verified.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, Self

import httpx2

from score_relay.delivery.attempt import Outcome, Verdict, judge_status
from score_relay.events.cloud_event import Event
from score_relay.events.signature import Signer
from score_relay.receivers import Receiver

_BODY_MAX: Final = 65_536
"""Bytes of an answer, which says nothing: a longer one costs its connection."""


class Sender:
    """Sends to one receiver."""

    def __init__(
        self, receiver: Receiver, client: httpx2.AsyncClient, now: Callable[[], datetime] | None = None
    ) -> None:
        """Take the time of day, in UTC.

        Raises:
            SetupError: a file of secrets holds none.
        """
        self._receiver = receiver
        self._client = client
        self._now = now or (lambda: datetime.now(UTC))
        self._signer = Signer(receiver.secret_files, _clock())

    @classmethod
    @asynccontextmanager
    async def open(cls, receiver: Receiver) -> AsyncIterator[Self]:
        """Make one, whether or not the receiver is there.

        Raises:
            SetupError: a file of secrets holds none.
        """
        async with httpx2.AsyncClient(
            verify=ssl.create_default_context(cafile=receiver.ca_file),
            follow_redirects=False,
            trust_env=False,
            timeout=receiver.timeout_seconds,
            limits=httpx2.Limits(max_connections=len(receiver.boards), max_keepalive_connections=10),
            headers={"user-agent": "laurel-score-relay"},
        ) as client:
            yield cls(receiver, client)

    async def send(self, event: Event) -> Outcome:
        """Make an attempt."""
        headers = {**event.headers, **self._signer.sign(event, self._now(), _clock())}
        try:
            async with asyncio.timeout(self._receiver.timeout_seconds):
                return await self._post(headers, event.body)
        except TimeoutError:
            return Outcome(Verdict.FAILED, "timeout")
        except httpx2.TimeoutException:
            return Outcome(Verdict.FAILED, "timeout")
        except httpx2.HTTPError as error:
            return Outcome(Verdict.FAILED, _name(error))

    async def _post(self, headers: dict[str, str], body: bytes) -> Outcome:
        request = self._client.stream("POST", self._receiver.url, content=body, headers=headers)
        async with request as response:
            size = 0
            async for part in response.aiter_raw():
                size += len(part)
                if size > _BODY_MAX:
                    break
            return judge_status(response.status_code, response.headers.get("retry-after"))


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _name(error: httpx2.HTTPError) -> str:
    """Name what went wrong. The text of the error may have the URL in it."""
    if isinstance(error, httpx2.ConnectError):
        return "tls" if isinstance(_root(error), ssl.SSLError) else "connection"
    return "connection" if isinstance(error, httpx2.NetworkError) else "protocol"


def _root(error: BaseException) -> BaseException:
    cause = error.__cause__ or error.__context__
    return _root(cause) if cause is not None else error
