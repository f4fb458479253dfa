#!/usr/bin/env bash
# gRPC for Python 1.85.1 does not retry a call whose server pushes it back by 0 ms; the call fails at its deadline.
#
# gRFC A6 (client retries): the trailer `grpc-retry-pushback-ms` says after how many milliseconds to retry, and only a
# negative or unparsable value means not to. So 0 should be a retry at once, as `@grpc/grpc-js` 1.14.7 makes it.
# Seen on Linux x86-64, Python 3.11, with a deadline of 3 s and a server that answers UNAVAILABLE twice:
#
#     pushback 1: OK, attempts 3
#     pushback 0: DEADLINE_EXCEEDED, attempts 1
#
# Needs python3 with venv, and a package index. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || python3 -m virtualenv --quiet "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install grpcio==1.85.1

cat >"$folder/pushback.py" <<'PROGRAM'
import json
from concurrent.futures import ThreadPoolExecutor

import grpc

POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "0.1s",
    "backoffMultiplier": 1,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
CONFIG = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": POLICY}]})


def call(pushback):
    attempts = 0

    def answer(_request, context):
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            context.set_trailing_metadata((("grpc-retry-pushback-ms", pushback),))
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        return b""

    server = grpc.server(ThreadPoolExecutor(2))
    methods = {"Method": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.Service", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    options = (("grpc.service_config", CONFIG), ("grpc.enable_http_proxy", 0))
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        try:
            channel.unary_unary("/a.Service/Method")(b"", timeout=3)
            outcome = "OK"
        except grpc.RpcError as error:
            outcome = error.code().name
    server.stop(None).wait()
    return f"pushback {pushback}: {outcome}, attempts {attempts}"


for value in ("1", "0"):
    print(call(value), flush=True)
PROGRAM

seen=$("$folder/venv/bin/python" "$folder/pushback.py")
echo "$seen"
test "$seen" = 'pushback 1: OK, attempts 3
pushback 0: DEADLINE_EXCEEDED, attempts 1'
