"""The catalog of actions: what a file may say, and how it comes into force."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.gateway import ACTIONS

from action_gateway.actions.catalog import CatalogAction, read_catalog, replace_actions
from action_gateway.domain.action import Kind, Repeat
from action_gateway.domain.answer_key import AnswerKey
from action_gateway.domain.number import Number
from action_gateway.store.migrate import MIGRATION
from action_gateway.store.store import Store
from service_runtime.errors import SetupError
from service_runtime.postgres.pool import PoolSettings

GOOD = """
[[action]]
action_id = "a1"
title = "One"
prompt = "First line\\nsecond line"
answers = ["secret-1", "secret-2"]
points = 10
repeat = "daily"
min_seconds = 1.5
board_id = "season-1"

[[action]]
action_id = "a2"
title = "Two"
prompt = "?"
answer = "secret-3"
points = 1_000_000
repeat = "once"
min_seconds = 0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "actions.toml"


def read_faults(file: Path, text: str) -> str:
    """Read a faulty catalog and return the faults."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError) as error:
        read_catalog(file)
    return str(error.value)


def test_a_catalog_is_read(file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    first, second = read_catalog(file)

    assert (first.action_id, first.repeat, first.min_seconds, first.board_id) == (
        "a1",
        Repeat.DAILY,
        1.5,
        "season-1",
    )
    assert first.all_answers == ["secret-1", "secret-2"]
    assert second.all_answers == ["secret-3"]
    assert second.board_id is None


INSTANT = """
[[action]]
action_id = "wave"
kind = "instant"
title = "Wave"
prompt = "Say hello."
points = 1
repeat = "daily"
per_minute = 5
"""


def test_an_instant_action_has_a_rate_and_nothing_of_a_puzzle(file: Path) -> None:
    file.write_text(GOOD + INSTANT, encoding="utf-8")
    *puzzles, instant = read_catalog(file)

    assert [one.kind for one in (*puzzles, instant)] == [Kind.PUZZLE, Kind.PUZZLE, Kind.INSTANT]
    assert (instant.per_minute, instant.all_answers, instant.min_seconds) == (5, [], None)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("per_minute = 5\n", "", "is instant, and needs `per_minute`"),
        ("per_minute = 5", "per_minute = 0", "action 1 per_minute"),
        ("per_minute = 5", 'per_minute = 5\nanswer = "secret-4"', "has neither an answer nor"),
        ("per_minute = 5", "per_minute = 5\nmin_seconds = 0", "nor `min_seconds`"),
        ('kind = "instant"\n', "", "needs `min_seconds`"),
        ('kind = "instant"\n', "min_seconds = 1\n", "is a puzzle, and has no `per_minute`"),
        ('"instant"', '"slow"', "action 1 kind"),
    ],
)
def test_a_faulty_instant_action_is_reported(file: Path, before: str, after: str, fault: str) -> None:
    assert before in INSTANT
    faults = read_faults(file, INSTANT.replace(before, after))
    assert fault in faults
    assert "secret" not in faults


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ('repeat = "once"', 'repeat = "twice"', "action 2 repeat"),
        ("points = 10\n", "points = 0\n", "action 1 points"),
        ("points = 10\n", "points = 1_000_001\n", "action 1 points"),
        ("points = 10\n", 'points = "10"\n', "action 1 points"),
        ("points = 10\n", "points = 1.5\n", "action 1 points"),
        ("min_seconds = 0", "min_seconds = -1", "action 2 min_seconds"),
        ("min_seconds = 0", "min_seconds = nan", "action 2 min_seconds"),
        ('action_id = "a2"', 'action_id = "a 2"', "action 2 action_id"),
        ('action_id = "a2"', 'action_id = "a1"', "a1: is there 2 times"),
        ('title = "Two"', 'title = ""', "action 2 title"),
        ('title = "Two"', 'titel = "Two"', "action 2 titel"),
        ('title = "Two"\n', "", "action 2 title"),
        ('answer = "secret-3"\n', "", "action 2"),
        ('answer = "secret-3"\n', 'answer = "secret-3"\nanswers = ["secret-4"]\n', "action 2"),
        ('answer = "secret-3"\n', "answers = []\n", "action 2"),
        ('answer = "secret-3"\n', 'answer = "  "\n', "action 2"),
        ('answer = "secret-3"\n', 'answer = "\\u00ad\\u200b"\n', "action 2"),
        ('answer = "secret-3"\n', 'answer = "secret-3\\u0000"\n', "action 2 answer"),
        ('answer = "secret-3"\n', 'answer = "secret-3"\nnumeric = { value = 1 }\n', "action 2"),
        ('answer = "secret-3"\n', "numeric = {}\n", "action 2 numeric value"),
        ('answer = "secret-3"\n', 'numeric = { value = "secret" }\n', "action 2 numeric value"),
        ('answer = "secret-3"\n', "numeric = { value = true }\n", "action 2 numeric value"),
        ('answer = "secret-3"\n', "numeric = { value = nan }\n", "action 2 numeric value"),
        ('answer = "secret-3"\n', "numeric = { value = 1e61 }\n", "action 2 numeric value"),
        ('answer = "secret-3"\n', f"numeric = {{ value = {'9' * 41} }}\n", "action 2 numeric value"),
        ('answer = "secret-3"\n', "numeric = { value = 1, tolerance = -1 }\n", "action 2 numeric tolerance"),
        (
            'answer = "secret-3"\n',
            "numeric = { value = 1, relative_tolerance = 1 }\n",
            "action 2 numeric relative_tolerance",
        ),
        (
            'answer = "secret-3"\n',
            "numeric = { value = 1, tolerance = 1, relative_tolerance = 0.1 }\n",
            "action 2 numeric",
        ),
        ('answer = "secret-3"\n', 'numeric = { value = 1, units = ["5m"] }\n', "action 2 numeric units 1"),
        ('answer = "secret-3"\n', 'numeric = { value = 1, units = [" "] }\n', "action 2 numeric units 1"),
        ('answer = "secret-3"\n', "numeric = { value = 1, unit = [] }\n", "action 2 numeric unit"),
        ('board_id = "season-1"', 'board_id = "season 1"', "action 1 board_id"),
        ("[[action]]", "[[activity]]", "activity"),
        ("[[action]]", "[[action]", "line"),
    ],
)
def test_a_fault_is_reported_with_its_location_and_without_answers(
    file: Path, before: str, after: str, place: str
) -> None:
    faults = read_faults(file, GOOD.replace(before, after))

    for line in faults.splitlines():
        assert line.count(str(file)) == 1
    assert faults.count(place) == 1
    assert "secret" not in faults


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"secret-3"', '"secret-3\\t"', "action 2 answer: must be one line, without control characters"),
        ('title = "Two"', 'title = "Two\\n"', "action 2 title: must be one line, without control characters"),
        (
            'answer = "secret-3"',
            'numeric = { value = 1, units = ["m\\u007f"] }',
            "units 1: must be one line, without control characters",
        ),
        ('prompt = "', 'prompt = "\\u0000', "prompt: must not contain the character NUL"),
        ('"season-1"', '"season 1"', "action 1 board_id: must consist of letters, digits and . _ : @ -"),
        ('answer = "secret-3"', "", "needs either `answer`"),
    ],
)
def test_a_fault_is_a_sentence_without_the_words_of_a_library(
    file: Path, before: str, after: str, said: str
) -> None:
    faults = read_faults(file, GOOD.replace(before, after, 1))
    assert said in faults
    for words in ("pattern", "Value error", "^["):
        assert words not in faults


def test_all_faults_are_reported_at_once(file: Path) -> None:
    faults = read_faults(file, GOOD.replace("points = 10\n", "points = 0\n").replace('"once"', '"x"'))

    assert len(faults.splitlines()) == 2


def test_a_file_that_is_not_there_is_a_fault(file: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        read_catalog(file)


def load(file: Path, text: str, database: Database) -> None:
    """Load a catalog of this text."""
    file.write_text(text, encoding="utf-8")
    replace_actions(database.gateway_owner_dsn, None, read_catalog(file))


def versions(database: Database) -> list[tuple[Any, ...]]:
    """Return which editions are offered."""
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        statement = "SELECT action_id, version FROM gateway.action WHERE active ORDER BY place"
        return connection.execute(statement).fetchall()


async def test_loading_the_same_again_changes_nothing(database: Database) -> None:
    for _ in range(2):
        replace_actions(database.gateway_owner_dsn, None, ACTIONS)

        assert versions(database) == [(action.action_id, 1) for action in ACTIONS]


async def test_an_edited_action_becomes_a_new_version_and_a_removed_one_is_not_offered(
    database: Database,
) -> None:
    replace_actions(database.gateway_owner_dsn, None, ACTIONS)
    edited = ACTIONS[0].model_copy(update={"answer": "XYZ"})
    replace_actions(database.gateway_owner_dsn, None, [edited, ACTIONS[1]])

    assert versions(database) == [("puzzle_123", 2), ("quick", 1)]
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        assert (await store.get_answers("puzzle_123", 1)).texts == ["ABC"]
        assert (await store.get_answers("puzzle_123", 2)).texts == ["XYZ"]
        assert (await store.get_answers("once", 1)).texts == ["1"]


async def test_an_action_that_is_added_again_is_a_new_version(database: Database) -> None:
    for actions in ([ACTIONS[0]], [], [ACTIONS[0]]):
        replace_actions(database.gateway_owner_dsn, None, actions)

    assert versions(database) == [("puzzle_123", 2)]


async def test_every_field_is_kept(database: Database) -> None:
    action = CatalogAction(
        action_id="a1",
        title="Titel ü",
        prompt="Zeile 1\nZeile 2 %s %(x)s '\"",
        answers=["ja", "jä"],
        points=1_000_000,
        repeat=Repeat.DAILY,
        min_seconds=1.2345,
        board_id="season-1",
    )
    replace_actions(database.gateway_owner_dsn, None, [action])
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        offered = await store.get_action("a1")
        key = await store.get_answers("a1", 1)

    assert (offered.title, offered.prompt) == (action.title, action.prompt)
    assert (offered.points, offered.repeat, offered.min_ms, offered.board_id) == (
        1_000_000,
        Repeat.DAILY,
        1234,
        "season-1",
    )
    assert (key.texts, key.number) == (["ja", "jä"], None)
    assert "ja" not in repr(key)


async def test_a_number_is_kept_exactly_and_loaded_again_changes_nothing(
    file: Path, database: Database
) -> None:
    numeric = 'numeric = { value = 0.10, relative_tolerance = 1e-3, units = ["m", "m²"] }'
    for _ in range(2):
        load(file, GOOD.replace('answer = "secret-3"', numeric), database)
        assert versions(database) == [("a1", 1), ("a2", 1)]
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        key = await store.get_answers("a2", 1)

    assert key == AnswerKey([], Number(Decimal("0.10"), Decimal(0), Decimal("0.001"), ["m", "m²"]))
    assert "0.1" not in repr(key)
    load(file, GOOD.replace('answer = "secret-3"', numeric.replace("0.10", "0.11")), database)
    assert versions(database) == [("a1", 1), ("a2", 2)]


def test_an_action_that_was_loaded_before_there_were_numbers_stays_as_it_is(database: Database) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA gateway CASCADE")
        connection.execute("CREATE SCHEMA gateway AUTHORIZATION gateway_owner")
    first, *later = sorted((MIGRATION.revisions / "versions").glob("*.sql"))
    action = ACTIONS[0]
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        connection.execute(first.read_bytes())
        connection.execute(
            "INSERT INTO gateway.action VALUES (%s, 1, true, 1, %s, %s, %s, %s, %s, 1000, NULL)",
            [action.action_id, action.title, action.prompt, action.all_answers, 10, action.repeat],
        )
        for step in later:
            connection.execute(step.read_bytes())
    replace_actions(database.gateway_owner_dsn, None, [action])

    assert versions(database) == [("puzzle_123", 1)]
