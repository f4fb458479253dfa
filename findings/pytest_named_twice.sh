#!/usr/bin/env bash
# pytest 9.2.0 does not run a file that is named on its command line, if a folder above it is named there, too, and
# `norecursedirs` has a folder in between. Nothing says so, and the exit code is 0.
#
# An argument below another one is taken to be found from above anyway. What is in a folder of `norecursedirs` is not: such
# a file runs where it is named alone, and does not where the folder above is named beside it.
# Seen on Linux x86-64, Python 3.11:
#
#     tests/inner/test_inner.py: 1 passed
#     tests/test_outer.py tests/inner/test_inner.py: 2 passed
#     tests tests/inner/test_inner.py: 1 passed
#
# Needs python3 with venv, and a package index. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/project/tests/inner"
cd "$folder/project"
printf '[pytest]\nnorecursedirs = inner\n' >pytest.ini
echo 'def test_outer(): pass' >tests/test_outer.py
echo 'def test_inner(): pass' >tests/inner/test_inner.py

python3 -m venv "$folder/venv" 2>/dev/null || python3 -m virtualenv --quiet "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install pytest==9.2.0

run() {
    local said
    said=$("$folder/venv/bin/python" -m pytest -q "$@")
    printf '%s: %s\n' "$*" "$(tail -n 1 <<<"$said" | sed 's/ in .*//')"
}

seen=$(
    run tests/inner/test_inner.py
    run tests/test_outer.py tests/inner/test_inner.py
    run tests tests/inner/test_inner.py
)
printf '%s\n' "$seen"
[ "$seen" = 'tests/inner/test_inner.py: 1 passed
tests/test_outer.py tests/inner/test_inner.py: 2 passed
tests tests/inner/test_inner.py: 1 passed' ]
