"""The cache of user names."""

import asyncio
from collections.abc import Collection, Mapping

from action_gateway.errors import UnavailableError
from action_gateway.leaderboard.usernames import Usernames


class Names:
    """Names as the store would read them, and what it was asked for."""

    def __init__(self, **known: str | None) -> None:
        self.known = known
        self.asked: list[set[str]] = []
        self.unavailable = False

    async def fetch(self, user_ids: Collection[str]) -> Mapping[str, str | None]:
        self.asked.append(set(user_ids))
        if self.unavailable:
            raise UnavailableError
        return {user_id: self.known[user_id] for user_id in user_ids if user_id in self.known}


async def test_known_users_have_names_and_others_none() -> None:
    names = Names(u1="ada")
    assert await Usernames(names.fetch).names_of(["u1", "u2"]) == {"u1": "ada", "u2": None}


async def test_a_name_is_asked_for_once() -> None:
    names = Names(u1="ada", u2="bob")
    usernames = Usernames(names.fetch)
    await usernames.names_of(["u1"])
    await usernames.names_of(["u1", "u2"])
    assert names.asked == [{"u1"}, {"u2"}]


async def test_nothing_is_asked_where_all_is_known() -> None:
    names = Names(u1="ada")
    usernames = Usernames(names.fetch)
    await usernames.names_of(["u1"])
    await usernames.names_of(["u1"])
    await usernames.names_of([])
    assert names.asked == [{"u1"}]


async def test_a_user_is_unknown_for_a_while_only() -> None:
    names = Names()
    patient, eager = Usernames(names.fetch), Usernames(names.fetch, unknown_seconds=0)
    for usernames in (patient, eager):
        await usernames.names_of(["u1"])
    names.known["u1"] = "ada"
    assert await patient.names_of(["u1"]) == {"u1": None}
    assert await eager.names_of(["u1"]) == {"u1": "ada"}


async def test_names_are_missing_only_while_the_store_is_unavailable() -> None:
    names = Names(u1="ada")
    usernames = Usernames(names.fetch, unknown_seconds=0)
    names.unavailable = True
    assert await usernames.names_of(["u1"]) == {"u1": None}
    names.unavailable = False
    assert await usernames.names_of(["u1"]) == {"u1": "ada"}


async def test_a_bounded_number_of_names_is_kept_and_the_least_used_go_first() -> None:
    names = Names(u1="ada", u2="bob", u3="eve")
    usernames = Usernames(names.fetch, limit=2)
    await usernames.names_of(["u1", "u2"])
    await usernames.names_of(["u1"])
    await usernames.names_of(["u3"])
    names.asked.clear()
    assert await usernames.names_of(["u1", "u2", "u3"]) == {"u1": "ada", "u2": "bob", "u3": "eve"}
    assert names.asked == [{"u2"}]


async def test_more_names_than_are_cached_are_still_returned() -> None:
    names = Names(u1="ada", u2="bob", u3="eve")
    usernames = Usernames(names.fetch, limit=1)
    for _ in range(2):
        assert await usernames.names_of(["u1", "u2", "u3"]) == {"u1": "ada", "u2": "bob", "u3": "eve"}


async def test_a_bounded_number_of_unknown_users_is_remembered() -> None:
    names = Names()
    usernames = Usernames(names.fetch, limit=2)
    await usernames.names_of(["u1", "u2", "u3"])
    names.asked.clear()
    await usernames.names_of(["u1", "u2", "u3"])
    assert len(names.asked) == 1
    assert len(names.asked[0]) == 1


async def test_a_user_who_has_left_has_the_name_of_all_who_have() -> None:
    names = Names(u1="ada", u2=None)
    usernames = Usernames(names.fetch)
    assert await usernames.names_of(["u1", "u2"]) == {"u1": "ada", "u2": "former player"}
    usernames.forget(["u1"])
    assert await usernames.names_of(["u1", "u2"]) == {"u1": "former player", "u2": "former player"}


async def test_a_name_that_was_read_before_its_user_left_is_not_shown() -> None:
    reading, left = asyncio.Event(), asyncio.Event()

    async def fetch(user_ids: Collection[str]) -> dict[str, str | None]:
        reading.set()
        await left.wait()
        return dict.fromkeys(user_ids, "ada")

    usernames = Usernames(fetch)
    asked = asyncio.create_task(usernames.names_of(["u1"]))
    await reading.wait()
    usernames.forget(["u1"])
    left.set()

    assert await asked == {"u1": "former player"}
    assert await usernames.names_of(["u1"]) == {"u1": "former player"}
