#!/usr/bin/env bash
# psycopg 3.3.9 says `failed to resolve host None` where the host comes from PGHOST.
#
# psycopg looks names up by itself, before libpq connects, also a name that it finds in PGHOST. Where that fails, its
# message takes the host from the connection string alone, so it names none, while the same host in the string is named.
# Of several hosts in PGHOST each is named.
# Seen with psycopg 3.3.9 (psycopg-binary 3.3.9) on Linux x86-64, Python 3.11:
#
#     in the string: failed to resolve host 'nowhere.invalid'
#     in PGHOST: failed to resolve host None
#     two in PGHOST: failed to resolve host 'elsewhere.invalid'
#
# Needs python3 with venv, and a package index. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || python3 -m virtualenv --quiet "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install psycopg==3.3.9 psycopg-binary==3.3.9

cat >"$folder/connect.py" <<'PROGRAM'
import os

import psycopg


def connect(words, conninfo, **environment):
    os.environ.update(environment)
    try:
        psycopg.connect(conninfo)
    except psycopg.OperationalError as error:
        print(f"{words}: {str(error).partition(': ')[0]}")


connect("in the string", "host=nowhere.invalid")
connect("in PGHOST", "", PGHOST="nowhere.invalid")
connect("two in PGHOST", "", PGHOST="nowhere.invalid,elsewhere.invalid")
PROGRAM
seen=$("$folder/venv/bin/python" "$folder/connect.py")
echo "$seen"
test "$seen" = "in the string: failed to resolve host 'nowhere.invalid'
in PGHOST: failed to resolve host None
two in PGHOST: failed to resolve host 'elsewhere.invalid'"
