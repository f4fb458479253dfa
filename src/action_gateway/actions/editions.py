"""The editions of actions, remembered, so that a start or an answer need not ask PostgreSQL for them.

An edition never changes, and what is right of it least of all. Which edition is offered changes with
`load-actions`; that is known a second later at the latest, as if the action had been started just before.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from action_gateway.domain.answer_key import AnswerKey
from action_gateway.store.store import OfferedAction, Store

OFFERED_SECONDS: Final = 1.0
"""How long an action counts as offered after it was read."""
_OFFERED_MAX: Final = 1_000
_ANSWERS_MAX: Final = 200

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Editions:
    """The actions of the store. What is not remembered is read, which raises as the store does."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take seconds that never step back."""
        self._store = store
        self._monotonic = monotonic
        self._offered = _Recent[str, tuple[OfferedAction, float]](_OFFERED_MAX)
        self._answers = _Recent[tuple[str, int], AnswerKey](_ANSWERS_MAX)

    async def get_action(self, action_id: str) -> OfferedAction:
        """Get an action that can be started. Raises ActionNotFoundError."""
        now = self._monotonic()
        if (known := self._offered.find(action_id)) and now < known[1]:
            return known[0]
        action = await self._store.get_action(action_id)
        self._offered.keep(action_id, (action, now + OFFERED_SECONDS))
        return action

    async def get_answers(self, action_id: str, version: int) -> AnswerKey:
        """Get what is right of an edition. Raises BadActionTokenError if there was never such an edition."""
        key = self._answers.find((action_id, version))
        if key is None:
            key = await self._store.get_answers(action_id, version)
            self._answers.keep((action_id, version), key)
        return key


class _Recent(Generic[_Key, _Value]):
    """The values that were used last, a bounded number of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values = OrderedDict[_Key, _Value]()

    def find(self, key: _Key) -> _Value | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def keep(self, key: _Key, value: _Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._limit:
            self._values.popitem(last=False)
