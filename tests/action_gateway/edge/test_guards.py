"""The outer layers, where it takes a client of its own to see them."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from action_gateway.edge.guards import MAX_BODY_BYTES, RequestGuard

SCOPE: Scope = {"type": "http", "headers": [], "raw_path": b"/", "query_string": b""}


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    """Read a body and then wait for the client to leave, as an event stream does."""
    while (message := await receive()).get("more_body"):
        pass
    assert message["type"] == "http.request"
    assert (await receive())["type"] == "http.disconnect"


async def ignore(message: Message) -> None:
    """Send nothing."""


async def test_a_body_that_does_not_arrive_in_time_is_rejected() -> None:
    async def drip() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(HTTPException) as rejected:
        await RequestGuard(read_all, seconds=0.1)(SCOPE, drip, ignore)

    assert rejected.value.status_code == 408


async def test_a_body_in_several_parts_is_limited_as_a_whole() -> None:
    async def pour() -> Message:
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    with pytest.raises(HTTPException) as rejected:
        await RequestGuard(read_all)(SCOPE, pour, ignore)

    assert rejected.value.status_code == 413


async def test_after_the_body_there_is_no_deadline() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"x" * MAX_BODY_BYTES},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        if len(messages) == 1:
            await asyncio.sleep(0.1)
        return messages.pop(0)

    await RequestGuard(read_all, seconds=0.05)(SCOPE, receive, ignore)

    assert not messages
