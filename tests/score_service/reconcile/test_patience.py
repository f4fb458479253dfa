"""Bulk work asks again while a store is unavailable, and only then."""

import pytest

from score_service.errors import BoardNotFoundError, ProjectionUnavailableError, RecordUnavailableError
from score_service.reconcile.patience import Patience


class Store:
    """Fails a number of times before it answers."""

    def __init__(self, *errors: Exception) -> None:
        self.asked = 0
        self._errors = list(errors)

    async def answer(self, word: str, *, suffix: str = "") -> str:
        """Repeat a word."""
        self.asked += 1
        if self._errors:
            raise self._errors.pop(0)
        return word + suffix


async def test_question_is_asked_until_there_is_an_answer() -> None:
    patience = Patience(60, pause=0.001)
    store = Store(ProjectionUnavailableError(), RecordUnavailableError())

    assert await patience.ask(store.answer, "word", suffix="s") == "words"
    assert (store.asked, patience.repeated) == (3, 2)


async def test_patience_ends() -> None:
    patience = Patience(0.02, pause=0.001)
    store = Store(*(ProjectionUnavailableError() for _ in range(1_000)))

    with pytest.raises(ProjectionUnavailableError):
        await patience.ask(store.answer, "word")

    assert patience.repeated == store.asked - 1


@pytest.mark.parametrize("error", [BoardNotFoundError(), ZeroDivisionError()])
async def test_what_no_store_was_unavailable_for_is_not_asked_again(error: Exception) -> None:
    patience, store = Patience(60), Store(error)

    with pytest.raises(type(error)):
        await patience.ask(store.answer, "word")

    assert (store.asked, patience.repeated) == (1, 0)
