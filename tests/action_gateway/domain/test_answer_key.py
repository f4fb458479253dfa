"""Right answers, as texts or as a number."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from action_gateway.domain.answer_form import fold
from action_gateway.domain.answer_key import AnswerKey
from action_gateway.domain.number import Number


@pytest.mark.parametrize("answer", ["ABC", "abc", " ABC\n", "don\u2019t panic", "DON'T PANIC"])
@pytest.mark.parametrize("texts", [["abc", "don't panic"], ["Don\u2019t  panic", "ABC"]])
def test_any_of_several_texts_is_right_by_what_counts_of_it(texts: list[str], answer: str) -> None:
    assert AnswerKey(texts).accepts(answer)


@pytest.mark.parametrize("answer", ["", "AB", "ABCD", "A BC", "x"])
def test_no_other_text_is_right(answer: str) -> None:
    assert not AnswerKey(["ABC", "y"]).accepts(answer)


@given(st.text())
def test_any_text_can_be_judged(answer: str) -> None:
    assert AnswerKey([answer]).accepts(answer) == bool(fold(answer))


@pytest.mark.parametrize("answer", ["", " ", "\u200b", "\u00ad\ufeff"])
def test_an_invisible_answer_is_wrong(answer: str) -> None:
    assert not AnswerKey([answer, "\u2060"]).accepts(answer)


def test_a_number_is_right_as_a_number() -> None:
    key = AnswerKey([], Number(Decimal(1000), units=["m"]))

    assert key.accepts("1,000.0 m")
    assert not key.accepts("1001")
    assert not key.accepts("")


def test_right_answers_are_not_in_the_repr() -> None:
    key = AnswerKey(["secret"], Number(Decimal(4711)))

    assert "secret" not in repr(key)
    assert "4711" not in repr(key)
    assert "4711" not in repr(key.number)
