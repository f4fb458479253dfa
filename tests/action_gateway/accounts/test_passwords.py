"""Password hashes in a bounded number of threads."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from action_gateway.accounts.password_form import prepare
from action_gateway.accounts.passwords import HASHER, Passwords, Verdict
from action_gateway.errors import UnavailableError

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class SlowHasher(PasswordHasher):
    """A hasher that waits until it may go on."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.may_go_on.wait()
        return super().hash(password, salt=salt)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    with Passwords(workers=1, queue=1, hasher=CHEAP) as passwords:
        yield passwords


def test_the_cost_is_what_owasp_asks_for() -> None:
    assert HASHER.hash("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_the_right_password_is_right_and_no_other(passwords: Passwords) -> None:
    password_hash = await passwords.hash("secret")

    assert (await passwords.verify(password_hash, "secret")).right
    assert not (await passwords.verify(password_hash, "Secret")).right
    assert not (await passwords.verify(password_hash, "")).right


async def test_the_same_password_has_another_hash_each_time(passwords: Passwords) -> None:
    assert await passwords.hash("secret") != await passwords.hash("secret")


async def test_an_unknown_user_has_no_password(passwords: Passwords) -> None:
    for password in ("", "secret"):
        assert not (await passwords.verify(None, password)).right


async def test_an_invalid_hash_matches_no_password(passwords: Passwords) -> None:
    for rubbish in ("", "rubbish", "$argon2id$"):
        assert not (await passwords.verify(rubbish, "")).right


async def test_a_hash_of_another_cost_is_to_be_renewed(passwords: Passwords) -> None:
    outdated = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("secret")
    verdict = await passwords.verify(outdated, "secret")

    assert verdict.right
    assert verdict.new_hash is not None
    assert (await passwords.verify(verdict.new_hash, "secret")).new_hash is None
    assert (await passwords.verify(outdated, "wrong")).new_hash is None


async def test_equivalent_spellings_of_a_password_are_accepted(passwords: Passwords) -> None:
    password_hash = await passwords.hash("cafe\N{COMBINING ACUTE ACCENT} cr\u00e8me")

    for typed in ("caf\u00e9 cre\u0300me", "cafe\u0301\N{NO-BREAK SPACE}cr\u00e8me"):
        assert await passwords.verify(password_hash, typed) == Verdict(right=True)
    for other in ("cafe creme", "CAF\u00c9 CR\u00c8ME", "caf\u00e9  cr\u00e8me", "caf\u00e9cr\u00e8me"):
        assert not (await passwords.verify(password_hash, other)).right


@pytest.mark.parametrize("typed", ["cre\u0300me\u00a0br\u00fbl\u00e9e", "ab\u200dcd", "tab\tbed", "\u0378"])
async def test_an_old_hash_of_the_typed_form_is_accepted_and_replaced(
    passwords: Passwords, typed: str
) -> None:
    verdict = await passwords.verify(CHEAP.hash(typed), typed)
    assert verdict.right
    try:
        prepared = prepare(typed)
    except ValueError:
        assert verdict.new_hash is None
        return
    assert verdict.new_hash is not None
    assert CHEAP.verify(verdict.new_hash, prepared)
    assert await passwords.verify(verdict.new_hash, typed) == Verdict(right=True)


@pytest.mark.parametrize(
    "password", ["", "tab\tbed", "in\u200bvisible", "\ue000 private", "\u0378 unassigned"]
)
async def test_a_password_that_the_profile_disallows_is_rejected(passwords: Passwords, password: str) -> None:
    with pytest.raises(ValueError, match="may not be empty, or hold") as rejected:
        await passwords.hash(password)

    assert rejected.value.__cause__ is None
    assert passwords.under_way == 0


async def test_a_password_above_the_queue_limit_is_rejected() -> None:
    hasher = SlowHasher()
    with Passwords(workers=1, queue=1, hasher=hasher) as passwords:
        hasher.may_go_on.clear()
        served, waiting = (asyncio.create_task(passwords.hash("x")) for _ in range(2))
        await asyncio.sleep(0)
        assert passwords.under_way == passwords.capacity == 2
        with pytest.raises(UnavailableError):
            await passwords.hash("x")
        hasher.may_go_on.set()
        await served
        await waiting
        assert passwords.under_way == 0

        assert await passwords.hash("x")


async def test_a_cancelled_check_keeps_its_slot_until_the_work_is_done() -> None:
    hasher = SlowHasher()
    with Passwords(workers=1, queue=0, hasher=hasher) as passwords:
        hasher.may_go_on.clear()
        leaving = asyncio.create_task(passwords.hash("x"))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        with pytest.raises(UnavailableError):
            await passwords.hash("x")
        hasher.may_go_on.set()
