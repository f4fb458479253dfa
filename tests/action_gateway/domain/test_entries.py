"""The rows of a leaderboard."""

from hypothesis import given
from hypothesis import strategies as st

from action_gateway.domain.entries import Entry, changed_ranks, name_entries, remove_names, without_hidden
from score_client.types import Standing

ENTRIES = st.lists(
    st.builds(
        Entry,
        rank=st.none() | st.integers(1, 3),
        user_id=st.sampled_from("abc"),
        username=st.none() | st.just("name"),
        score=st.integers(0, 2),
    ),
    max_size=5,
)


@given(ENTRIES)
def test_nothing_changes_between_equal_leaderboards(entries: list[Entry]) -> None:
    assert changed_ranks(entries, list(entries)) == ()


@given(ENTRIES, ENTRIES)
def test_replacing_the_rows_of_the_changed_ranks_makes_the_new_leaderboard(
    before: list[Entry], after: list[Entry]
) -> None:
    rows = dict(enumerate(before, start=1))
    for rank in changed_ranks(before, after):
        rows.pop(rank, None)
        if rank <= len(after):
            rows[rank] = after[rank - 1]
    assert [rows[rank] for rank in sorted(rows)] == after


@given(ENTRIES, ENTRIES)
def test_ranks_of_equal_rows_are_not_reported(before: list[Entry], after: list[Entry]) -> None:
    for rank in changed_ranks(before, after):
        assert before[rank - 1 : rank] != after[rank - 1 : rank]


def test_a_user_that_the_gateway_does_not_know_has_no_name() -> None:
    standings = [
        Standing(user_id="u1", total=20, rank=1, reached_revision=2),
        Standing(user_id="u2", total=10, rank=None, reached_revision=1),
    ]
    assert name_entries(standings, {"u1": "ada", "u2": None}) == (
        Entry(rank=1, user_id="u1", username="ada", score=20),
        Entry(rank=None, user_id="u2", username=None, score=10),
    )


def hidden(user_id: str, rank: int | None) -> Standing:
    return Standing(user_id=user_id, total=5, rank=rank, reached_revision=1, hidden=True)


def test_a_hidden_user_is_shown_to_nobody_else() -> None:
    ada = Standing(user_id="ada", total=9, rank=1, reached_revision=1)
    standings = (ada, hidden("bob", None), hidden("eve", 2))

    assert without_hidden(standings) == (ada,)
    assert without_hidden(standings, own="bob") == (ada,)
    assert without_hidden(standings, own="eve") == (ada, hidden("eve", 2))


def test_a_user_who_has_left_has_no_name() -> None:
    entries = tuple(Entry(rank=1, user_id=one, username=one, score=1) for one in ("ada", "bob"))

    assert [entry.username for entry in remove_names(entries, ["bob"])] == ["ada", "former player"]
    assert remove_names(entries, []) == entries
