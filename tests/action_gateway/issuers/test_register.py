"""The register of issuers: files that change are taken in, and faulty ones are not."""

from pathlib import Path

import pytest
from tests.fixtures.clients.outside_issuers import OutsideIssuer, replace_file, write_issuers

from action_gateway.issuers.register import Register
from service_runtime.errors import SetupError


class MovableTime:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> MovableTime:
    return MovableTime()


@pytest.fixture
def register(issuers_file: Path, time: MovableTime) -> Register:
    return Register(issuers_file, own_issuer="laurel", monotonic=time)


def test_without_a_file_nobody_is_registered() -> None:
    register = Register(None, own_issuer="laurel")

    assert register.find("https://match.example.org") is None
    assert (register.count, register.is_faulty) == (0, False)


@pytest.mark.parametrize("content", [None, b"\xff", b"x", b"#" * 300_000])
def test_a_faulty_file_is_no_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ticket-issuers.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SetupError) as caught:
        Register(file, own_issuer="laurel")
    assert caught.value.faults[0].startswith("ticket-issuers.toml: ")


def test_keys_are_found_among_those_of_their_issuer_only(
    register: Register, match_issuer: OutsideIssuer, quiz_issuer: OutsideIssuer
) -> None:
    key_id = match_issuer.keys[0].key_id

    assert register.find_key(match_issuer.issuer, key_id) is not None
    assert register.find_key(quiz_issuer.issuer, key_id) is None
    assert register.find_key("laurel", key_id) is None


def test_a_key_that_is_added_is_found_at_once_and_one_that_is_removed_is_gone_in_seconds(
    register: Register, match_issuer: OutsideIssuer, time: MovableTime
) -> None:
    first, second = match_issuer.keys[0], match_issuer.add_key()
    match_issuer.publish()
    time.seconds += 0.6
    assert register.find_key(match_issuer.issuer, second.key_id) is not None
    assert register.find_key(match_issuer.issuer, first.key_id) is not None

    match_issuer.publish([second])
    time.seconds += 6
    assert register.find(match_issuer.issuer) is not None
    assert register.find_key(match_issuer.issuer, first.key_id) is None


def test_strangers_do_not_have_the_files_read_all_the_time(
    register: Register, issuers_file: Path, quiz_issuer: OutsideIssuer, match_issuer: OutsideIssuer
) -> None:
    write_issuers(issuers_file, [quiz_issuer.entry()])
    assert register.find("https://stranger.example.org") is None
    assert register.find(match_issuer.issuer) is not None


def test_an_issuer_is_added_and_removed_without_a_restart(
    register: Register,
    issuers_file: Path,
    match_issuer: OutsideIssuer,
    quiz_issuer: OutsideIssuer,
    time: MovableTime,
) -> None:
    write_issuers(issuers_file, [quiz_issuer.entry()])
    time.seconds += 6
    assert register.find(match_issuer.issuer) is None
    assert register.count == 1

    write_issuers(issuers_file, [match_issuer.entry(), quiz_issuer.entry()])
    time.seconds += 0.6
    assert register.find(match_issuer.issuer) is not None


def test_what_has_faults_leaves_everything_as_it_was_until_it_is_mended(
    register: Register,
    issuers_file: Path,
    match_issuer: OutsideIssuer,
    quiz_issuer: OutsideIssuer,
    time: MovableTime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    match_issuer.keys_file.write_text("{")
    write_issuers(issuers_file, [match_issuer.entry()])
    time.seconds += 6
    assert register.is_faulty
    assert register.find(quiz_issuer.issuer) is not None
    assert register.find_key(match_issuer.issuer, match_issuer.keys[0].key_id) is not None
    time.seconds += 6
    assert register.is_faulty
    assert capsys.readouterr().out.count("ticket_issuers_rejected") == 1

    match_issuer.publish()
    time.seconds += 6
    assert not register.is_faulty
    assert register.count == 1


@pytest.mark.parametrize("name", ["", ".", "x" * 300, "none.json/", "a\0b"])
def test_a_key_set_of_a_name_that_no_file_can_have_is_a_fault_like_any_other(
    register: Register, issuers_file: Path, match_issuer: OutsideIssuer, time: MovableTime, name: str
) -> None:
    write_issuers(issuers_file, [match_issuer.entry() | {"keys_file": name}])
    time.seconds += 6

    assert register.is_faulty
    assert register.find(match_issuer.issuer) is not None


def test_a_file_that_is_gone_leaves_everything_as_it_was(
    register: Register, issuers_file: Path, match_issuer: OutsideIssuer, time: MovableTime
) -> None:
    text = issuers_file.read_text()
    issuers_file.unlink()
    time.seconds += 6
    assert register.is_faulty
    assert register.find(match_issuer.issuer) is not None

    replace_file(issuers_file, text)
    time.seconds += 6
    assert not register.is_faulty
