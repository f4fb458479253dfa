"""Numbers as people write them, and what is near enough."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from action_gateway.domain.answer_form import fold
from action_gateway.domain.number import MAX_DIGITS, MAX_MAGNITUDE, Number, is_bounded, read_number


def accepts(value: str, answer: str, **rules: object) -> bool:
    return Number(Decimal(value), **rules).accepts(answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "answers"),
    [
        (
            "1000",
            [
                "1000",
                "1,000",
                "1.000",
                "1 000",
                "1\u202f000",
                "1'000",
                "1\u2019000",
                "1_000",
                "1,000.00",
                "1e3",
            ],
        ),
        (
            "1000",
            [
                "\uff11\uff10\uff10\uff10",
                "+1000",
                " 1000 ",
                "01000",
                "1000.",
                "1.000,0",
                "1E+3",
                "\u0661\u0660\u0660\u0660",
            ],
        ),
        ("40", ["40", "40.00", "40,00", "4e1", "40\u200b"]),
        ("0.5", [".5", "0.5", "0,5", "0,500", "5e-1", "\u0660\u066b\u0665"]),
        ("-7", ["-7", "\u22127", "\u20137.0"]),
        ("1234567.89", ["1,234,567.89", "1.234.567,89", "1 234 567,89", "12,34,567.89"]),
        ("0", ["0", "-0", "0.000"]),
    ],
)
def test_a_number_is_right_however_it_is_written(value: str, answers: list[str]) -> None:
    assert [answer for answer in answers if not accepts(value, answer)] == []


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "-",
        "4O",
        "40 0",
        "4,0",
        "40,0,0",
        "forty",
        "40 m",
        "40%",
        "--40",
        "40-",
        "4 0",
        "0x28",
        "400e",
        "8*5",
        "40/1",
    ],
)
def test_anything_else_is_not_that_number(answer: str) -> None:
    assert not accepts("40", answer)


@pytest.mark.parametrize(
    "text", ["nan", "inf", "Infinity", "1e61", "1e-61", "1e9999", "9" * 41, "1" + "0" * 99, "1.2.3"]
)
def test_a_number_out_of_bounds_is_rejected(text: str) -> None:
    assert read_number(fold(text)) == set()


def test_a_tolerance_includes_its_ends_exactly() -> None:
    for answer in ("6.27", "6.28", "6.290", "6,27"):
        assert accepts("6.28", answer, tolerance=Decimal("0.01"))
    for answer in ("6.2699999999999999999", "6.29000000000000000001", "-6.28"):
        assert not accepts("6.28", answer, tolerance=Decimal("0.01"))
    for answer in ("-99", "-100", "-101"):
        assert accepts("-100", answer, relative_tolerance=Decimal("0.01"))
    assert not accepts("-100", "-101.00000000000001", relative_tolerance=Decimal("0.01"))


def test_a_unit_may_stand_before_or_after_and_no_other_may() -> None:
    units = ["m", "metres", "m\u00b2", "$", "\u00b0C", "%"]
    for answer in (
        "40",
        "40 m",
        "40m",
        "40 Metres",
        "40 m\u00b2",
        "40 m2",
        "$40",
        "$ 40.00",
        "40 \u2103",
        "40 %",
    ):
        assert accepts("40", answer, units=units)
    for answer in ("40 km", "40 k", "m", "40 m m", "40 seconds", "$40%", "m40s"):
        assert not accepts("40", answer, units=units)


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False).filter(is_bounded)


@given(NUMBERS)
def test_every_number_is_read_as_it_is_printed(number: Decimal) -> None:
    assert number in read_number(fold(str(number)))
    assert accepts(str(number), str(number))


@given(st.integers(-(10**15), 10**15))
def test_grouped_digits_are_the_same_number(number: int) -> None:
    for mark in (",", ".", " ", "'", "_", "\u00a0", "\u2019"):
        assert accepts(str(number), f"{number:,}".replace(",", mark))


@given(NUMBERS, NUMBERS)
def test_numbers_that_differ_are_not_taken_for_each_other(one: Decimal, other: Decimal) -> None:
    assert accepts(str(one), f"{other:f}".rstrip(".")) == (one in read_number(fold(f"{other:f}")))


@given(st.text(max_size=1000))
def test_any_text_can_be_read(text: str) -> None:
    Number(Decimal(1), units=["m"]).accepts(text)


def test_no_text_of_any_length_takes_long() -> None:
    began = time.thread_time()
    for text in ("1" * 1000, "1,111" * 200, "1e" * 500, "-" * 1000, " 1" * 500, "m" * 1000):
        accepts("1", text, units=["m"] * 100, tolerance=Decimal(f"1e{MAX_MAGNITUDE}"))

    # Not a measurement: what backtracks takes minutes.
    assert time.thread_time() - began < 5
    assert MAX_DIGITS == 40
