"""Passwords: argon2id in a bounded number of threads.

A hash takes 19 MiB and tens of milliseconds on purpose, so it runs beside the event loop, only so many at
once, with a bounded line before it. Who comes when the line is full is told to come again.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from action_gateway.accounts.password_form import find_forms, prepare
from action_gateway.errors import UnavailableError

HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a password that was tried."""

    right: bool
    new_hash: str | None = None
    """A hash of today's form by today's parameters, where the one that was tried is of another."""


class Passwords:
    """Makes and checks password hashes. A context manager."""

    def __init__(self, *, workers: int, queue: int, hasher: PasswordHasher = HASHER) -> None:
        """Take how many hashes may be made at once, and how many may wait for that."""
        self._hasher = hasher
        self.capacity = self._room = workers + queue
        """How many hashes may be made or wait, at most."""
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._nobody = hasher.hash(secrets.token_bytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    @property
    def under_way(self) -> int:
        """How many hashes are made or wait."""
        return self.capacity - self._room

    async def hash(self, password: str) -> str:
        """Make the hash to keep of a password.

        Raises:
            ValueError: it is none, see `password_form`.
            UnavailableError: too many wait.
        """
        prepared = prepare(password)
        return await self._run(lambda: self._hasher.hash(prepared))

    async def verify(self, password_hash: str | None, password: str) -> Verdict:
        """Try a password against a hash; None stands for a user that does not exist.

        That takes as long as any other, so that nobody learns from the time who has an account: how many
        forms of a wrong password are tried depends on the password alone. Raises UnavailableError if too many
        wait.
        """
        tried = self._nobody if password_hash is None else password_hash
        return await self._run(lambda: self._try(tried, password))

    def _try(self, password_hash: str, password: str) -> Verdict:
        forms = find_forms(password)
        right = next((form for form in forms if self._fits(password_hash, form)), None)
        if right is None:
            return Verdict(right=False)
        outdated = right != forms[0] or self._hasher.check_needs_rehash(password_hash)
        return Verdict(right=True, new_hash=self._hasher.hash(forms[0]) if outdated else None)

    def _fits(self, password_hash: str, form: str) -> bool:
        try:
            return self._hasher.verify(password_hash, form)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        if self._room == 0:
            raise UnavailableError
        self._room -= 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        # Given back by the future: a caller that is cancelled does not stop the thread.
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    def _leave(self, _: object) -> None:
        self._room += 1
