#!/usr/bin/env bash
# gRPC for Python 1.85.1: a stream that gives up on its first message can tell its caller no status any more.
#
# A handler of `grpc.aio` may bound a write with `asyncio.timeout` and then `abort`, for a reader that does not read.
# That works from the second message on. While the first one is on its way, the headers count as unsent, the status
# brings them again, and `abort` raises ExecuteBatchError (GRPC_CALL_ERROR_TOO_MANY_OPERATIONS). The caller waits for its
# deadline. With `send_initial_metadata` awaited before the first write, the status arrives.
# Seen on Linux x86-64, Python 3.11, with messages of 1 MiB and a deadline of 5 s:
#
#     first message, headers with it: DEADLINE_EXCEEDED
#     first message, headers before: RESOURCE_EXHAUSTED
#     second message, headers with it: RESOURCE_EXHAUSTED
#
# Needs python3 with venv, and a package index. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || python3 -m virtualenv --quiet "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install grpcio==1.85.1

cat >"$folder/status.py" <<'PROGRAM'
import asyncio
import logging

import grpc

LARGE = bytes(1 << 20)  # More than the caller's side takes in before it is read.


async def end(taken, headers_before):
    stalled = asyncio.Event()

    async def send(_request, context):
        if headers_before:
            await context.send_initial_metadata(())
        try:
            for _ in range(taken):
                await context.write(b"small")
            async with asyncio.timeout(0.3):
                while True:
                    await context.write(LARGE)
        except TimeoutError:
            stalled.set()
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "not read")

    server = grpc.aio.server()
    methods = {"Method": grpc.unary_stream_rpc_method_handler(send)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.Service", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = [("grpc.enable_http_proxy", 0), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        call = channel.unary_stream("/a.Service/Method")(b"", timeout=5)
        await stalled.wait()
        try:
            async for _ in call:
                pass
            outcome = "OK"
        except grpc.aio.AioRpcError as error:
            outcome = error.code().name
    await server.stop(None)
    which = "second" if taken else "first"
    return f"{which} message, headers {'before' if headers_before else 'with it'}: {outcome}"


async def main():
    for taken, headers_before in ((0, False), (0, True), (1, False)):
        print(await end(taken, headers_before))


logging.disable()
asyncio.run(main())
PROGRAM

seen=$("$folder/venv/bin/python" "$folder/status.py")
echo "$seen"
test "$seen" = 'first message, headers with it: DEADLINE_EXCEEDED
first message, headers before: RESOURCE_EXHAUSTED
second message, headers with it: RESOURCE_EXHAUSTED'
