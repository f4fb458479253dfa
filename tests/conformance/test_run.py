"""The kit finds what clients do wrong, and nothing wrong in those that do not."""

from pathlib import Path

import pytest
from tests.conformance.planted import MISTAKES
from tests.fixtures.clients.conformance import (
    PYTHON_ADAPTER,
    ROOT,
    judge,
    judge_at_once,
    list_faults,
    planted,
    write_script,
)

from conformance.adapter.process import AdapterFault
from conformance.cases.case import PAGE
from conformance.run import CASES, Outcome


async def test_the_python_client_keeps_all_rules() -> None:
    assert list_faults(await judge_at_once(PYTHON_ADAPTER)) == []


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_planted_mistake_is_found_by_its_cases(mistake: str) -> None:
    _, names = MISTAKES[mistake]
    verdicts = await judge_at_once(planted(mistake), *names, answer_seconds=15.0)
    assert {verdict.case.name for verdict in verdicts if verdict.outcome is Outcome.VIOLATED} == names
    assert [verdict.seen for verdict in verdicts if "exit code" in verdict.seen] == []


def test_every_case_can_be_violated() -> None:
    found = {name for _, names in MISTAKES.values() for name in names}
    assert found == {case.name for case in CASES}


def test_every_case_has_a_name_of_its_own_and_a_rule_of_the_page() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    headings = {
        line.strip("# ").lower().replace(" ", "-") for line in page.splitlines() if line.startswith("#")
    }
    assert {case.section for case in CASES} <= headings


async def test_a_client_that_cannot_do_something_is_skipped_there_and_says_why(tmp_path: Path) -> None:
    command = write_script(
        tmp_path,
        "import sys, json\n"
        "for line in sys.stdin:\n"
        "    done = json.loads(line)['do'] in ('open', 'close')\n"
        "    print(json.dumps({'result': {}} if done else {'unsupported': 'no feeds'}), flush=True)\n",
    )
    [verdict] = await judge(command, "a_feed_begins_at_the_start")
    assert (verdict.outcome, verdict.seen) == (Outcome.SKIPPED, "no feeds")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "it ended with exit code 0"),
        (
            'import sys\nfor line in sys.stdin:\n    print(\'{"unsupported": "not yet"}\', flush=True)\n',
            "'close' is not done: not yet",
        ),
    ],
)
async def test_a_program_that_cannot_even_close_is_no_adapter(tmp_path: Path, source: str, told: str) -> None:
    with pytest.raises(AdapterFault) as caught:
        await judge(write_script(tmp_path, source), "chosen_ids_are_sent", "a_feed_begins_at_the_start")
    assert str(caught.value) == told


async def test_an_adapter_that_cannot_close_any_more_is_told_as_a_fault_of_it(tmp_path: Path) -> None:
    command = write_script(
        tmp_path,
        "import sys\n"
        "sys.stdin.readline()\n"
        "print('{\"result\": {}}', flush=True)\n"
        "for line in sys.stdin:\n"
        '    print(\'{"unsupported": "not yet"}\', flush=True)\n',
    )
    [verdict] = await judge(command, "chosen_ids_are_sent")
    assert (verdict.outcome, verdict.seen) == (Outcome.VIOLATED, "'close' is not done: not yet")


async def test_an_adapter_that_dies_is_replaced_for_the_next_case(tmp_path: Path) -> None:
    command = write_script(
        tmp_path,
        "import sys, json\n"
        "for line in sys.stdin:\n"
        "    if json.loads(line)['do'] == 'award':\n"
        "        sys.exit('no awards')\n"
        '    print(\'{"unsupported": "it"}\' if \'"entries"\' in line else \'{"result": {}}\', flush=True)\n',
    )
    first, second, third = await judge(
        command, "chosen_ids_are_sent", "an_unset_rank_is_no_rank", "a_feed_begins_at_the_start"
    )
    assert first.outcome is second.outcome is Outcome.VIOLATED
    assert first.seen == "it ended with exit code 1; its last lines of errors:\nno awards"
    assert third.outcome is Outcome.SKIPPED
