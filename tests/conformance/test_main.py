"""The command: what it prints and writes, and its exit codes."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.fixtures.clients.conformance import PYTHON_ADAPTER, ROOT, planted, quoted, write_script
from tests.fixtures.servers.stores import eventually

from conformance.__main__ import main

_CASE = "whole_numbers_are_exact"
_SOURCE = "docs/clients.md#numbers-and-what-is-unset"
_KIT = "docs/clients.md#the-conformance-kit"


def test_rules_that_are_kept_are_a_line_each_and_exit_code_0(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ["--cases", f"chosen_ids_are_sent, {_CASE}", "--json", str(report)]
    result = CliRunner().invoke(main, [quoted(PYTHON_ADAPTER), *options])
    assert result.output.splitlines() == [
        "ok        chosen_ids_are_sent",
        "ok        whole_numbers_are_exact",
        "",
        "2 ok, 0 violated, 0 skipped",
    ]
    assert result.exit_code == 0
    told = json.loads(report.read_text(encoding="utf-8"))
    assert (told["command"], told["ok"], told["violated"]) == (list(PYTHON_ADAPTER), 2, 0)
    assert [case["outcome"] for case in told["cases"]] == ["ok", "ok"]


def test_a_rule_that_is_violated_is_told_with_what_was_expected_and_seen(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = quoted(planted("read_numbers_as_floats"))
    result = CliRunner().invoke(main, [command, "--cases", _CASE, "--json", str(report)])
    assert result.output.splitlines() == [
        "violated  whole_numbers_are_exact",
        f"          rule      Whole numbers of 64 bits arrive exactly. ({_SOURCE})",
        "          expected  a revision and a rank of 9007199254740993",
        "          seen      (9007199254740992, 9007199254740993)",
        "",
        "0 ok, 1 violated, 0 skipped",
    ]
    assert result.exit_code == 1
    [case] = json.loads(report.read_text(encoding="utf-8"))["cases"]
    assert (case["name"], case["outcome"]) == (_CASE, "violated")
    assert case["source"] == _SOURCE


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("true", "it ended with exit code 0"),
        (
            "sh -c 'echo no network >&2; exit 7'",
            "it ended with exit code 7; its last lines of errors:\nno network",
        ),
        ("echo hello", "a line that is no answer: 'hello'"),
    ],
)
def test_a_program_that_is_no_adapter_is_told_once_with_exit_code_2(
    tmp_path: Path, target: str, message: str
) -> None:
    report = tmp_path / "report.json"
    result = CliRunner().invoke(main, [target, "--json", str(report)])
    told = f"Error: TARGET does not speak as an adapter does, see {_KIT}: {message}\n"
    assert result.output.endswith(told)
    assert result.exit_code == 2
    assert "violated" not in result.output
    assert not report.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'TARGET'"),
        (["nothing-of-this-name"], "TARGET is no command that can be run: 'nothing-of-this-name'"),
        ([""], "TARGET is no command that can be run: ''"),
        (["'open"], "TARGET is no command: No closing quotation"),
        (["true", "--cases", "nothing"], "There is no case 'nothing'."),
        (["true", "--json", "no-such-folder/report.json"], "There is no folder 'no-such-folder'."),
        (["true", "--answer-seconds", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert message in result.output
    assert result.exit_code == 2


async def test_an_interrupted_run_ends_its_adapter_and_has_exit_code_130(tmp_path: Path) -> None:
    asked, left = tmp_path / "asked", tmp_path / "left"
    source = (
        "import pathlib, sys\n"
        "sys.stdin.readline()\n"
        f"pathlib.Path({str(asked)!r}).touch()\n"
        "sys.stdin.readline()\n"
        f"pathlib.Path({str(left)!r}).touch()\n"
    )
    target = quoted(write_script(tmp_path, source))
    # A start of its own has the handlers that a program at a terminal has.
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "conformance", target, cwd=ROOT)

    async def is_asked() -> bool:
        return await asyncio.to_thread(asked.exists)

    try:
        await eventually(is_asked)
        process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert left.exists()
