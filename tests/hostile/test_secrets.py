"""The guard over everything that is logged, which the whole suite runs under: it finds what is planted."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.secrets import SECRETS, Secrets, find_leaks

SECRET = "correct horse battery staple"
ROOT = Path(__file__).parents[2]
PLANTED = f"""
import logging, subprocess, sys
import jwt
from tests.fixtures.secrets import SECRETS
SECRETS.note("a password", {SECRET!r})

def test_nothing(): pass
def test_printed(): print("login of ada with", {SECRET!r})
def test_warned(): logging.getLogger("x").warning("tried %s", {SECRET!r})
def test_file(tmp_path): (tmp_path / "gateway-1.log").write_text("password=" + {SECRET!r})
def test_command():
    subprocess.run([sys.executable, "-c", "print({SECRET!r})"], capture_output=True)
def test_signed(capsys): SECRETS.note_output("a log", "for " + jwt.encode({{"sub": "ada"}}, "k" * 32))
def test_shape(): print("kept as $argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaA")
"""


def test_every_planted_secret_fails_its_test(tmp_path: Path) -> None:
    planted, said = tmp_path / "test_planted.py", tmp_path / "said"
    planted.write_text(PLANTED, encoding="utf-8")
    options = ["-p", "tests.fixtures.secrets", "-p", "no:schemathesis", "-p", "no:cacheprovider", "-rpE"]
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        *options,
        "-c",
        "/dev/null",
        "--rootdir",
        tmp_path,
        planted,
    ]
    with said.open("w") as output:
        subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False)

    summary = said.read_text(encoding="utf-8").rpartition("short test summary info")[2]
    failed = set(re.findall(r"^ERROR \S+::(\w+)", summary, re.MULTILINE))
    passed = set(re.findall(r"^PASSED \S+::(\w+)", summary, re.MULTILINE))
    assert passed - failed == {"test_nothing"}
    assert failed == {"test_printed", "test_warned", "test_file", "test_command", "test_signed", "test_shape"}


def test_a_secret_is_found_wherever_it_stands_in_a_text() -> None:
    secrets = Secrets()
    secrets.note("a password", SECRET)

    assert find_leaks(secrets, {"a log": f"x{SECRET}y", "another": SECRET[:-1]}) == ["a log: a password"]


def test_short_texts_are_not_treated_as_secrets() -> None:
    secrets = Secrets()
    secrets.note("an answer", "ABC")
    secrets.note("a password", "0" * 40)

    assert secrets.known == {}


@pytest.mark.parametrize("role", ["score_owner", "score_runtime", "gateway_owner", "gateway_runtime"])
def test_the_guard_knows_the_passwords_of_the_stores(password_files: Path, role: str) -> None:
    assert (password_files / role).read_text(encoding="ascii") in SECRETS.known
