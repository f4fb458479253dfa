#!/usr/bin/env bash
# The asyncio client of gRPC for Python 1.85.1 reports INTERNAL instead of the status that a server ended a stream with, where a
# message is written after that status has come and before the event loop has got to it.
#
# A server may end a call whose client is still sending, as one does that rejects it; RFC 9113 section 8.1 has the client keep the
# answer. The client for threads does. With asyncio it takes an event loop that is busy for a moment between two messages. Known
# as https://github.com/grpc/grpc/issues/36066. Seen on Linux x86-64, Python 3.11; most of 20 calls each:
#
#     asyncio: INTERNAL Internal error from Core
#     threads: UNAUTHENTICATED no
#
# Needs python3 with venv, and a package index. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || python3 -m virtualenv --quiet "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install grpcio==1.85.1

cat >"$folder/status.py" <<'PROGRAM'
import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

CALLS = 20
DIRECT = (("grpc.enable_http_proxy", 0),)


def reject(_requests, context):
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")


def messages():
    yield b"first"
    time.sleep(0.2)  # Whatever else the program does; the rejection comes meanwhile.
    yield b"second"


async def ask(target):
    async def drawn():
        for message in messages():
            yield message

    async with grpc.aio.insecure_channel(target, DIRECT) as channel:
        try:
            async for _ in channel.stream_stream("/a.Service/Method")(drawn(), timeout=10):
                pass
        except grpc.RpcError as error:
            return f"{error.code().name} {error.details()}"


def ask_in_threads(target):
    with grpc.insecure_channel(target, DIRECT) as channel:
        try:
            list(channel.stream_stream("/a.Service/Method")(messages(), timeout=10))
        except grpc.RpcError as error:
            return f"{error.code().name} {error.details()}"


server = grpc.server(ThreadPoolExecutor(2))
methods = {"Method": grpc.stream_stream_rpc_method_handler(reject)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.Service", methods),))
target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()
told = {"asyncio": [asyncio.run(ask(target)) for _ in range(CALLS)]}
told["threads"] = [ask_in_threads(target) for _ in range(CALLS)]
for client, statuses in told.items():
    print(f"{client}: {max(set(statuses), key=statuses.count)}")
server.stop(None).wait()
PROGRAM

seen=$("$folder/venv/bin/python" "$folder/status.py")
echo "$seen"
test "$seen" = 'asyncio: INTERNAL Internal error from Core
threads: UNAUTHENTICATED no'
