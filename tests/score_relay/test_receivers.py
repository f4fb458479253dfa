"""The file of receivers: what it takes, and how its faults are told."""

from pathlib import Path

import pytest

from score_client import EntryKind
from score_relay.receivers import Start, load_receivers
from service_runtime.errors import SetupError

GOOD = """
[[receiver]]
name = "shop"
url = "https://shop.example.org/hooks?key=1"
boards = ["main", "season-1"]
secret_files = ["{secret}"]
"""


@pytest.fixture
def write(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("whsec_", encoding="ascii")
    return tmp_path / "receivers.toml"


def put(path: Path, text: str) -> Path:
    path.write_text(text.replace("{secret}", str(path.parent / "secret")), encoding="utf-8")
    return path


def faults_of(path: Path, text: str) -> list[str]:
    with pytest.raises(SetupError) as caught:
        load_receivers(put(path, text))
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]


def test_a_receiver_has_defaults_for_all_that_may_be_left_out(write: Path) -> None:
    [receiver] = load_receivers(put(write, GOOD))

    assert (receiver.name, receiver.boards, receiver.kinds) == ("shop", ("main", "season-1"), ())
    assert (receiver.start, receiver.timeout_seconds, receiver.retry_max_seconds) == (
        Start.BEGINNING,
        10,
        300,
    )
    assert receiver.give_up_seconds == 3 * 86_400


def test_kinds_and_the_start_are_named(write: Path) -> None:
    [receiver] = load_receivers(put(write, f'{GOOD}kinds = ["award", "reversal"]\nstart = "now"\n'))

    assert receiver.kinds == (EntryKind.AWARD, EntryKind.REVERSAL)
    assert receiver.start is Start.NOW


def test_a_url_is_not_shown(write: Path) -> None:
    [receiver] = load_receivers(put(write, GOOD))

    assert "example.org" not in repr(receiver)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"shop"', '"Shop"', "receiver[0].name"),
        ("https://", "http://", "receiver[0].url"),
        ("https://", "ftp://", "receiver[0].url"),
        ("https://", "https://user:word@", "receiver[0].url"),
        ('"https://shop.example.org/hooks?key=1"', '"shop"', "receiver[0].url"),
        ('"main", "season-1"', "", "receiver[0].boards"),
        ('"main", "season-1"', '"main", "main"', "receiver[0].boards"),
        ('"main", "season-1"', '"a board"', "receiver[0].boards[0]"),
        ('["{secret}"]', "[]", "receiver[0].secret_files"),
        ('["{secret}"]', '["{secret}", "{secret}", "{secret}"]', "receiver[0].secret_files"),
        ('["{secret}"]', '["/nowhere"]', "receiver[0].secret_files[0]"),
        ("boards", "bords", "receiver[0].boards"),
    ],
)
def test_a_fault_is_told_with_its_place(write: Path, old: str, new: str, place: str) -> None:
    assert place in [fault.partition(":")[0] for fault in faults_of(write, GOOD.replace(old, new))]


@pytest.mark.parametrize(
    "line",
    [
        'kinds = ["nothing"]',
        'start = "never"',
        "timeout_seconds = 0",
        "retry_max_seconds = nan",
        "give_up_seconds = 1e9",
        'ca_file = "{secret}"',
    ],
)
def test_a_value_out_of_its_range_is_a_fault(write: Path, line: str) -> None:
    [fault] = faults_of(write, f"{GOOD}{line}\n")

    assert fault.startswith(f"receiver[0].{line.partition(' ')[0]}")


def test_http_is_for_this_machine_alone(write: Path) -> None:
    text = GOOD.replace("https://shop.example.org", "http://127.0.0.1:8080")

    assert load_receivers(put(write, text))


def test_names_differ(write: Path) -> None:
    [fault] = faults_of(write, GOOD + GOOD)

    assert fault == "receiver: names shop more than once"


@pytest.mark.parametrize("text", ["", "receiver = 1", "[[receiver", "x" * 10])
def test_a_file_that_is_no_such_file_is_told(write: Path, text: str) -> None:
    assert faults_of(write, text)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError):
        load_receivers(tmp_path / "nowhere")
