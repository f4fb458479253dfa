"""Oversized input is rejected as such by both services, without an effect on others."""

import asyncio

import grpc
import pytest
from tests.fixtures.clients.browser import edge, join, receive_event
from tests.fixtures.clients.wire import upgrade, wire
from tests.fixtures.services.score_service import Stubs, award_request, credentials_of
from tests.fixtures.services.stack import Stack, target_of
from tests.fixtures.services.watching import memory_of

from local_stack.certificates import CertificateFiles
from score_api.v1 import score_service_pb2 as score_pb

MEBIBYTE = 1024 * 1024
LONG = b"x" * 17_000
LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: laurel\r\nContent-Type: application/json\r\n"
REQUESTS = {
    "a header": (b"GET /livez HTTP/1.1\r\nHost: laurel\r\nX: " + LONG + b"\r\n\r\n", {431, 400}),
    "an address": (b"GET /livez?" + LONG + b" HTTP/1.1\r\nHost: laurel\r\n\r\n", {431, 400}),
    "headers without end": (b"GET /livez HTTP/1.1\r\nX: " + 64 * LONG, {400}),
    "many headers": (b"GET /livez HTTP/1.1\r\nHost: laurel\r\n" + b"X: y\r\n" * 5_000 + b"\r\n", {431, 400}),
    "a body": (LOGIN + b"Content-Length: 17000\r\n\r\n" + LONG, {413}),
    "a body that says it is": (LOGIN + b"Content-Length: 99999999999\r\n\r\n" + 2 * LONG, {413}),
    "a chunk": (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n4268\r\n" + LONG + b"\r\n0\r\n\r\n", {413}),
}


async def test_only_oversized_requests_are_rejected(stack: Stack) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service))
    address = gateway.addresses["http"]
    for name, (request, statuses) in REQUESTS.items():
        async with wire(address) as connection:
            connection.writer.write(request)
            assert (await connection.answer()).status in statuses, name
        async with wire(address) as connection:
            assert (await connection.ask("GET", "/livez")).status == 200, name
    assert "Traceback" not in gateway.log()


FRAMES = {
    "a text longer than allowed": b"\x81\xfe\x10\x01" + bytes(4 + 4097),
    "the header of a text of 64 MiB": b"\x81\xff" + (64 * MEBIBYTE).to_bytes(8) + bytes(4),
    "fragments": b"\x01\xfe\x08\x00" + bytes(4 + 2048) + 2 * (b"\x00\xfe\x08\x00" + bytes(4 + 2048)),
    "bytes": b"\x82\xfe\x10\x01" + bytes(4 + 4097),
}


async def test_oversized_frames_close_their_socket_only(stack: Stack) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service))
    async with edge(gateway.addresses["http"]) as http:
        player = await join(http, "ada")
        async with player.socket() as other:
            await receive_event(other, "leaderboard:initial")
            before = memory_of(gateway)
            for name, frame in FRAMES.items():
                async with wire(gateway.addresses["http"]) as connection, asyncio.timeout(60):
                    connection.writer.write(upgrade(player.token))
                    await connection.reader.readuntil(b"\r\n\r\n")
                    connection.writer.write(frame)
                    rest = await connection.reader.read()
                    # Its last frame is a close with a code of two bytes and a reason.
                    assert (1009).to_bytes(2) in rest, name
            await player.complete(await player.start("quick"), "yes")
            assert (await receive_event(other, "score:update"))["newScore"] == 5
            assert memory_of(gateway) < before + 16 * MEBIBYTE
    assert "Traceback" not in gateway.log()


async def test_only_oversized_calls_are_rejected(stack: Stack, backend_certificate: CertificateFiles) -> None:
    service = await stack.start_score_service()
    async with grpc.aio.secure_channel(target_of(service), credentials_of(backend_certificate)) as channel:
        stubs = Stubs.on(channel)
        large = score_pb.AwardPointsRequest(request_id="x" * (2 * MEBIBYTE + 1))
        long = [("x-long", "x" * 64 * 1024)]
        many = [(f"x-{number}", "x" * 100) for number in range(1_000)]
        for call in (
            stubs.score.AwardPoints(large),
            stubs.score.AwardPoints(award_request(), metadata=long),
            stubs.score.AwardPoints(award_request(), metadata=many),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, caught.value.details()
            assert (await stubs.score.AwardPoints(award_request())).result.points == 10
    assert "Traceback" not in service.log()
