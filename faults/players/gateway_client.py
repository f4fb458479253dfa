"""The gateway as a client without a library sees it: JSON over HTTP, and connections that get lost."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2 as httpx

API: Final = "/api/v1"
_REQUEST_SECONDS = 8.0
_CONNECTIONS_MAX = 100
_PAUSE_MAX = 2.0


class NotNowError(Exception):
    """There is no answer, or one that says to come again. What was asked for may have been done."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        """Take a stable word, and the seconds that were asked for before the next try."""
        super().__init__(reason)
        self.reason = reason
        self.retry_after = min(retry_after, _PAUSE_MAX)


class UnexpectedAnswerError(Exception):
    """An answer that the contract does not have, or that says that the workload asks wrongly."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer below status 500."""

    status: int
    body: dict[str, Any]
    retry_after: float = 0.0

    @property
    def code(self) -> str:
        """What went wrong, in a word; empty where nothing did."""
        return str(self.body.get("code", ""))

    def unexpected(self) -> UnexpectedAnswerError:
        """Make the error that ends the run."""
        return UnexpectedAnswerError(f"{self.status} {self.body.get('detail', self.code)}")


@dataclass(frozen=True, slots=True)
class GatewayClient:
    """Connections to one gateway, or to what stands before several. They are kept while they last."""

    url: str
    http: httpx.AsyncClient = field(repr=False)

    @classmethod
    def to(cls, url: str) -> "GatewayClient":
        """Make one for `http://host:port`; the caller closes its `http`."""
        limits = httpx.Limits(max_connections=_CONNECTIONS_MAX, max_keepalive_connections=_CONNECTIONS_MAX)
        # Nothing of the environment counts: no proxy, no certificates.
        http = httpx.AsyncClient(base_url=url, limits=limits, timeout=_REQUEST_SECONDS, trust_env=False)
        return cls(url, http)

    async def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Send JSON.

        Raises:
            NotNowError: The connection was lost, time was up, or the status is 500 or above.
        """
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                response = await self.http.post(API + path, json=body, headers=headers)
        except (httpx.TransportError, TimeoutError) as error:
            raise NotNowError(type(error).__name__) from None
        is_json = response.headers.get("content-type", "").endswith("json")
        answer = Answer(response.status_code, response.json() if is_json else {}, read_retry_after(response))
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise NotNowError(answer.code or str(answer.status), answer.retry_after)
        return answer


def read_retry_after(response: httpx.Response) -> float:
    """Return the seconds of the `Retry-After` header; 0 without one."""
    return float(response.headers.get("retry-after", 0.0))
