"""How long a ledger is to be, as it is asked for."""

import pytest

from bench.ledgers.size import LedgerSize, LedgerSizeError


def test_size_is_read_from_the_environment_and_has_defaults() -> None:
    assert LedgerSize.read({}) == LedgerSize(1_000_000, 1, "128MB")
    environment = {"LEDGER_AWARDS": "3000", "LEDGER_BOARDS": "10", "LEDGER_SHARED_BUFFERS": "2GB"}
    assert LedgerSize.read(environment) == LedgerSize(3000, 10, "2GB")


@pytest.mark.parametrize(
    "environment",
    [
        {"LEDGER_AWARDS": "0"},
        {"LEDGER_AWARDS": "1e6"},
        {"LEDGER_AWARDS": "10000000001"},
        {"LEDGER_AWARDS": "10", "LEDGER_BOARDS": "11"},
        {"LEDGER_BOARDS": "-1"},
        {"LEDGER_SHARED_BUFFERS": "2"},
        {"LEDGER_SHARED_BUFFERS": "2GB'; DROP"},
    ],
)
def test_size_that_cannot_be_names_what_is_wrong(environment: dict[str, str]) -> None:
    with pytest.raises(LedgerSizeError, match=next(reversed(environment))):
        LedgerSize.read(environment)


def test_awards_and_users_are_spread_over_the_boards() -> None:
    assert (LedgerSize(3_000_000, 1_000).awards_a_board, LedgerSize(3_000_000, 1_000).users_a_board) == (
        3000,
        100,
    )
    assert LedgerSize(50, 1).users_a_board == 50
    assert LedgerSize(400_000, 200_000).users_a_board == 1


def test_disk_grows_with_the_awards() -> None:
    assert LedgerSize(100_000_000).disk_bytes > 30 * 10**9
    assert LedgerSize(1_000_000).disk_bytes < 6 * 10**9
