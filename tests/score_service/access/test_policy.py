"""The policy: deny by default, and reject a file with any fault."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.contract import declared_methods

from score_service.access.policy import SERVICES, Grant, Policy
from score_service.errors import NotAllowedError
from service_runtime.errors import SetupError

BACKEND = "spiffe://laurel.test/backend"
AWARD = "score_api.v1.ScoreService/AwardPoints"
GOOD = f"""
[[identity]]
spiffe_id = "{BACKEND}"
methods = ["score_api.v1.ScoreService/*", "score_api.v1.LeaderboardService/GetStanding"]
boards = ["main", "season-*"]
max_points = 1_000
awards_per_second = 10
points_per_minute = 5_000

[[identity]]
spiffe_id = "spiffe://laurel.test/reader"
methods = ["score_api.v1.LeaderboardService/*"]
boards = ["*"]
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(SetupError) as caught:
        Policy.parse(text)
    return list(caught.value.faults)


def grant(**changes: object) -> Grant:
    known = {
        "spiffe_id": BACKEND,
        "methods": frozenset({AWARD}),
        "boards": ("main",),
        "max_points": 10,
        "awards_per_second": 1,
        "points_per_minute": 10,
    }
    return Grant(**(known | changes))  # type: ignore[arg-type]


def test_every_method_of_the_contract_can_be_granted() -> None:
    assert {method for methods in SERVICES.values() for method in methods} == set(declared_methods())


def test_a_named_method_is_granted_with_its_amounts() -> None:
    granted = Policy.parse(GOOD).grant_of(BACKEND, AWARD)
    assert (granted.max_points, granted.awards_per_second, granted.points_per_minute) == (1_000, 10, 5_000)


@pytest.mark.parametrize(
    ("caller", "method"),
    [
        ("spiffe://laurel.test/unknown", AWARD),
        ("spiffe://laurel.test/unknown", "grpc.health.v1.Health/Check"),
        ("spiffe://laurel.test/unknown", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
        ("spiffe://laurel.test/reader", AWARD),
        (BACKEND, "score_api.v1.LeaderboardService/WatchLeaderboard"),
        (BACKEND, "score_api.v1.LeaderboardService/Unheard"),
        (BACKEND, "score_api.v1.ScoreService/*"),
        (BACKEND, "grpc.health.v1.HealthX/Check"),
        (BACKEND, ""),
    ],
)
def test_what_is_not_named_is_denied(caller: str, method: str) -> None:
    with pytest.raises(NotAllowedError):
        Policy.parse(GOOD).grant_of(caller, method)


@pytest.mark.parametrize("caller", [BACKEND, "spiffe://laurel.test/reader"])
@pytest.mark.parametrize(
    "method",
    [
        "grpc.health.v1.Health/Check",
        "grpc.health.v1.Health/Watch",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
def test_health_and_reflection_are_open_to_everyone_named(caller: str, method: str) -> None:
    assert Policy.parse(GOOD).grant_of(caller, method).spiffe_id == caller


@pytest.mark.parametrize(
    ("patterns", "board", "allowed"),
    [
        (("main",), "main", True),
        (("main",), "mainly", False),
        (("main",), "Main", False),
        (("season-*",), "season-1", True),
        (("season-*",), "season-", True),
        (("season-*",), "seasons", False),
        (("season-*",), "pre-season-1", False),
        (("*",), "anything", True),
        (("a", "b*"), "bee", True),
    ],
)
def test_a_board_is_matched_whole_or_by_prefix(
    patterns: tuple[str, ...], board: str, *, allowed: bool
) -> None:
    assert grant(boards=patterns).allows_board(board) is allowed


@given(
    st.lists(st.sampled_from(["main", "season-*", "season-1", "s*", "*", "z"]), min_size=1, unique=True),
    st.text("aeimnosz-189._:@AZ", min_size=1, max_size=10) | st.sampled_from(["main", "season-1", "z"]),
)
def test_the_runs_of_boards_have_those_that_are_allowed(patterns: list[str], board: str) -> None:
    allowed = grant(boards=tuple(patterns))

    is_in_a_run = any(first <= board <= last for first, last in allowed.board_ranges)
    assert is_in_a_run == allowed.allows_board(board)


def test_all_faults_are_reported_at_once_each_with_its_path() -> None:
    faults = faults_of("""
colour = "red"
[[identity]]
spiffe_id = "https://laurel.test/backend"
methods = ["score_api.v1.ScoreService/AwardPoints", "score_api.v1.ScoreService/Steal"]
boards = ["ma*in"]
max_point = 7
[[identity]]
spiffe_id = "spiffe://laurel.test/b"
methods = []
boards = ["main", "main"]
max_points = "7"
[[identity]]
spiffe_id = "spiffe://laurel.test/b"
methods = ["score_api.v1.ScoreService/*"]
boards = ["main"]
max_points = 1000
points_per_minute = 999
""")
    assert {fault.split(": ")[0] for fault in faults} == {
        "colour",
        "identity[0].spiffe_id",
        "identity[0].methods[1]",
        "identity[0].boards[0]",
        "identity[0].max_point",
        "identity[1].methods",
        "identity[1].boards",
        "identity[1].max_points",
        "identity[2].spiffe_id",
        "identity[2].awards_per_second",
        "identity[2].points_per_minute",
    }


@pytest.mark.parametrize(
    "method",
    [
        "ScoreService/AwardPoints",
        "/score_api.v1.ScoreService/AwardPoints",
        "score_api.v1.ScoreService/awardPoints",
        "score_api.v1.ScoreService",
        "score_api.v1.*",
        "*",
        "",
    ],
)
def test_a_method_that_is_not_of_the_service_stops_the_start(method: str) -> None:
    text = GOOD.replace("score_api.v1.LeaderboardService/*", method)
    assert [fault.split(": ")[0] for fault in faults_of(text)] == ["identity[1].methods[0]"]


@pytest.mark.parametrize("quota", ["max_points", "awards_per_second", "points_per_minute"])
def test_who_may_award_needs_every_quota(quota: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith(quota)]
    assert f"identity[0].{quota}" in {fault.split(": ")[0] for fault in faults_of("\n".join(lines))}


def test_who_only_reads_awards_needs_no_quota() -> None:
    text = f"""
[[identity]]
spiffe_id = "{BACKEND}"
methods = ["score_api.v1.ScoreService/GetAward"]
boards = ["main"]
"""
    assert Policy.parse(text).grant_of(BACKEND, "score_api.v1.ScoreService/GetAward").max_points == 0


@pytest.mark.parametrize(
    "method",
    [
        "score_api.v1.BoardService/UpdateBoard",
        "score_api.v1.CorrectionService/ReverseAward",
        "score_api.v1.CorrectionService/ReverseAwards",
        "score_api.v1.CorrectionService/SetUserVisibility",
        "score_api.v1.LedgerService/ListAwards",
        "score_api.v1.LedgerService/StreamEntries",
    ],
)
def test_what_changes_or_tells_more_than_a_board_is_denied_unless_it_is_named(
    method: str,
) -> None:
    with pytest.raises(NotAllowedError):
        Policy.parse(GOOD).grant_of(BACKEND, method)
    for text in (method, f"{method.partition('/')[0]}/*"):
        named = GOOD.replace("score_api.v1.LeaderboardService/GetStanding", text)
        assert Policy.parse(named).grant_of(BACKEND, method).spiffe_id == BACKEND


def test_an_award_may_say_when_it_happened_only_where_the_policy_says_how_long_ago() -> None:
    backdated = GOOD.replace("max_points", "backdate_seconds = 86_400\nmax_points")
    assert Policy.parse(GOOD).grant_of(BACKEND, AWARD).backdate_seconds == 0
    assert Policy.parse(backdated).grant_of(BACKEND, AWARD).backdate_seconds == 86_400


@pytest.mark.parametrize("seconds", ["-1", "2_592_001", "1.5", "true", '"600"'])
def test_a_faulty_backdate_is_rejected(seconds: str) -> None:
    text = GOOD.replace("max_points", f"backdate_seconds = {seconds}\nmax_points")
    assert [fault.split(": ")[0] for fault in faults_of(text)] == ["identity[0].backdate_seconds"]


@pytest.mark.parametrize("text", ["", "identity = []", "identity = 7", "[identity]", "identity = [7]"])
def test_a_policy_without_identities_is_rejected(text: str) -> None:
    assert faults_of(text)


def test_what_is_no_toml_is_rejected_with_the_line() -> None:
    assert "line 2" in faults_of("a = 1\nb =\n")[0]


def test_a_file_is_named_in_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(SetupError, match=r"rules\.toml: must be a readable"):
        Policy.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SetupError, match=r"rules\.toml: must be a readable"):
        Policy.load(path)
    path.write_text("x = 1", encoding="ascii")
    with pytest.raises(SetupError, match=r"rules\.toml: identity: is missing\nrules\.toml: x: is not known"):
        Policy.load(path)
    path.write_text(GOOD, encoding="ascii")
    assert Policy.load(path).names(BACKEND)
