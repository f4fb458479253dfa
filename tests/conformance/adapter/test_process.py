"""An adapter that does not behave is told in words, and never waited for without end."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.fixtures.clients.conformance import write_script
from tests.fixtures.servers.stores import eventually

from conformance.adapter.process import AdapterFault, AdapterProcess

_ANSWERS = "import sys\nfor line in sys.stdin:\n    "


async def ask(command: tuple[str, ...], *, answer_seconds: float = 60.0) -> str:
    """Ask an adapter for something, and return what is wrong with it."""
    async with AdapterProcess(command, answer_seconds=answer_seconds) as process:
        with pytest.raises(AdapterFault) as caught:
            await process.ask({"do": "top"})
    return str(caught.value)


@pytest.mark.parametrize("said", ["garbage", "[]", "7", "{}", '{"result": {}, "error": {}}', "[" * 100_000])
async def test_a_line_that_is_no_answer_is_shown(tmp_path: Path, said: str) -> None:
    command = write_script(tmp_path, f"{_ANSWERS}print({said!r}, flush=True)\n")
    assert await ask(command) == f"a line that is no answer: {said[:120]!r}"


async def test_an_adapter_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    told = "import sys\nfor number in range(100): print(number, file=sys.stderr)\nsys.exit(3)\n"
    last = "\n".join(map(str, range(90, 100)))
    expected = f"it ended with exit code 3; its last lines of errors:\n{last}"
    assert await ask(write_script(tmp_path, told)) == expected


async def test_an_adapter_that_dies_within_an_answer_has_not_answered(tmp_path: Path) -> None:
    command = write_script(tmp_path, f"{_ANSWERS}sys.stdout.write('{{\"result\": {{}}}}'); sys.exit()\n")
    assert await ask(command) == "it printed '{\"result\": {}}' and ended with exit code 0"


async def test_a_program_that_does_not_read_is_told_with_what_it_printed(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    source = f"import os, pathlib\nos.close(0)\npathlib.Path({str(deaf)!r}).touch()\nprint('usage: this')\n"
    async with AdapterProcess(write_script(tmp_path, source), answer_seconds=60) as process:

        async def is_deaf() -> bool:
            return await asyncio.to_thread(deaf.exists)

        await eventually(is_deaf)
        with pytest.raises(AdapterFault) as caught:
            await process.ask({"do": "top"})
    assert str(caught.value) == "a line that is no answer: 'usage: this'"


async def test_an_adapter_that_closes_its_output_is_told(tmp_path: Path) -> None:
    command = write_script(tmp_path, "import os, sys\nos.close(1)\nsys.stdin.read()\n")
    assert await ask(command) == "it closed its output"


async def test_an_adapter_that_never_answers_is_given_up(tmp_path: Path) -> None:
    command = write_script(tmp_path, "import time\ntime.sleep(3600)\n")
    assert await ask(command, answer_seconds=0.2) == "no answer to 'top' within 0.2 s"


async def test_an_answer_without_an_end_is_given_up(tmp_path: Path) -> None:
    command = write_script(tmp_path, "import sys\nwhile True: sys.stdout.write('x' * 65536)\n")
    assert await ask(command) == "a line of more than 16,777,216 bytes"


async def test_a_command_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(AdapterFault, match="cannot be started: No such file or directory"):
        async with AdapterProcess([str(tmp_path / "nothing")], answer_seconds=1):
            pass


async def test_processes_that_an_adapter_started_end_with_it(tmp_path: Path) -> None:
    command = write_script(
        tmp_path,
        "import json, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
        "sys.stdin.readline()\n"
        "print(json.dumps({'result': {'pid': child.pid}}), flush=True)\n"
        "time.sleep(3600)\n",
    )
    async with AdapterProcess(command, answer_seconds=60) as process:
        pid = (await process.ask({"do": "top"}))["result"]["pid"]

    async def has_ended() -> bool:
        return await asyncio.to_thread(_has_ended, pid)

    await eventually(has_ended)


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_the_environment_is_that_of_here_and_more() -> None:
    source = "import json, os; print(json.dumps({'result': dict(os.environ)}), flush=True); input()"
    command = (sys.executable, "-c", source)
    async with AdapterProcess(command, answer_seconds=60, environment={"MORE": "than that"}) as process:
        told = (await process.ask({"do": "top"}))["result"]
    assert (told["MORE"], told["PATH"]) == ("than that", os.environ["PATH"])
