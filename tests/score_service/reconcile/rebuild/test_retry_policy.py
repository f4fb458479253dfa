"""Bulk work asks again while a store is unavailable, and only then."""

import pytest

from score_service.errors import BoardNotFoundError, ProjectionUnavailableError, RecordUnavailableError
from score_service.reconcile.rebuild.retry_policy import RetryPolicy


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
    retries = RetryPolicy(60, pause=0.001)
    store = Store(ProjectionUnavailableError(), RecordUnavailableError())

    assert await retries.ask(store.answer, "word", suffix="s") == "words"
    assert (store.asked, retries.repeated) == (3, 2)


async def test_retries_end() -> None:
    retries = RetryPolicy(0.02, pause=0.001)
    store = Store(*(ProjectionUnavailableError() for _ in range(1_000)))

    with pytest.raises(ProjectionUnavailableError):
        await retries.ask(store.answer, "word")

    assert retries.repeated == store.asked - 1


@pytest.mark.parametrize("error", [BoardNotFoundError(), ZeroDivisionError()])
async def test_what_no_store_was_unavailable_for_is_not_asked_again(error: Exception) -> None:
    retries, store = RetryPolicy(60), Store(error)

    with pytest.raises(type(error)):
        await retries.ask(store.answer, "word")

    assert (store.asked, retries.repeated) == (1, 0)
