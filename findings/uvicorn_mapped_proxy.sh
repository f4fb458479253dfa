#!/usr/bin/env bash
# uvicorn 0.54.0 does not know a trusted proxy that reaches it over IPv4 on a socket of both families.
#
# Such a socket names an IPv4 peer by its IPv4-mapped address (RFC 4291, 2.5.5.2). `forwarded_allow_ips` compares that
# with 127.0.0.1 or 10.0.0.0/8 and finds it in neither, so X-Forwarded-For is ignored without a word: all clients of
# the proxy have the proxy's address. The same holds for proxies in the header itself. With `--host ::` one process
# listens on IPv6 alone, while with `--workers` the socket is one of both families on Linux.
# Seen on Linux x86-64, Python 3.11, with a proxy at 127.0.0.1 and `forwarded_allow_ips` 127.0.0.0/8:
#
#     socket of IPv4: 203.0.113.9
#     socket of both: ::ffff:127.0.0.1
#     chain of proxies: ::ffff:127.0.0.2
#
# Needs python3 with venv, and a package index. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || python3 -m virtualenv --quiet "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install uvicorn==0.54.0

cat >"$folder/peers.py" <<'PROGRAM'
import http.client
import socket
import threading

import uvicorn


async def name_client(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["client"][0].encode()})


def ask(listening, forwarded):
    config = uvicorn.Config(
        name_client, log_level="error", lifespan="off", proxy_headers=True, forwarded_allow_ips="127.0.0.0/8"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1], timeout=10)
    connection.request("GET", "/", headers={"X-Forwarded-For": forwarded})
    client = connection.getresponse().read().decode()
    connection.close()
    server.should_exit = True
    thread.join()
    return client


def of_ipv4():
    return socket.create_server(("127.0.0.1", 0))


def of_both():
    return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)


print("socket of IPv4:", ask(of_ipv4(), "203.0.113.9"))
print("socket of both:", ask(of_both(), "203.0.113.9"))
print("chain of proxies:", ask(of_ipv4(), "203.0.113.9, ::ffff:127.0.0.2"))
PROGRAM

seen=$("$folder/venv/bin/python" "$folder/peers.py")
echo "$seen"
test "$seen" = 'socket of IPv4: 203.0.113.9
socket of both: ::ffff:127.0.0.1
chain of proxies: ::ffff:127.0.0.2'
