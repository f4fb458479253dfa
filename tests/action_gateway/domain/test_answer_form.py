"""What counts of an answer, and what does not."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from action_gateway.domain.answer_form import fold

EVERY_CHARACTER = [
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) not in {"Cn", "Co", "Cs"}
]


@pytest.mark.parametrize(
    ("one", "others"),
    [
        (
            "don't panic",
            ["don\u2019t panic", "don\u2018t panic", "DON\u02bcT PANIC", "don`t panic", "don\u00b4t panic"],
        ),
        (
            "don't panic",
            ["don\u2032t panic", "don\uff07t\u00a0panic", "don't\u2003 panic\n", "\ufeffdon't\u200b panic"],
        ),
        (
            '"yes"',
            [
                "\u201cyes\u201d",
                "\u201eyes\u201c",
                "\u00abyes\u00bb",
                "\uff02yes\uff02",
                "''yes''",
                "\u2033yes\u2033",
            ],
        ),
        (
            "well-being",
            ["well\u2010being", "well\u2011being", "well\u2012being", "well\u2013being", "well\u2014being"],
        ),
        (
            "well-being",
            ["well\u2212being", "well\ufe63being", "Well\uff0dBeing", "well-\u00adbeing", "we\u00adll-being"],
        ),
        ("veni", ["VEN\u0130", "VENI\u0307", "veni\u0307", "VENI", "v\u200deni", "ve\u2060ni"]),
        ("hawai'i", ["Hawai\u02bbi", "HAWAI\u2018I"]),
        ("caf\u00e9", ["CAF\u00c9", "cafe\u0301", "cafe\u034f\u0301"]),
        ("stra\u00dfe", ["STRASSE", "stra\u1e9ee"]),
        ("\u2764", ["\u2764\ufe0f"]),
        ("1/2", ["\u00bd", "1\u20442"]),
        ("1 1/2", ["1\u00bd", "1 \u00bd"]),
        ("wait...", ["wait\u2026"]),
        ("10~20", ["10\uff5e20", "10\u301c20"]),
        ("abc", ["\uff21\uff22\uff23", "  ABC\n", "\u202aabc\u202c"]),
        ("two words", ["Two  Words", "two\u3000words", "two\twords"]),
    ],
)
def test_equivalent_spellings_fold_to_the_same_text(one: str, others: list[str]) -> None:
    assert {fold(other) for other in others} == {fold(one)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ABC", "A BC"),
        ("cafe", "caf\u00e9"),
        ("s\u0131n\u0131r", "sinir"),
        ("11/2", "1\u00bd"),
        ("well-being", "wellbeing"),
        ("well-being", "well being"),
        ("dont", "don't"),
        ("l", "1"),
        ("O", "0"),
        ("rn", "m"),
        ("paris", "p\u0430ris"),
        ("3", "\u0663"),
        ("x", "\u00d7"),
        ("-", "_"),
        ("-", "\u30fc"),
        ("a.b", "a,b"),
        ("\u6771\u4eac", "\u4eac\u6771"),
    ],
)
def test_different_words_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_folding_is_idempotent_for_every_character() -> None:
    for character in EVERY_CHARACTER:
        if unicodedata.category(character) == "Lo" and unicodedata.is_normalized("NFKD", character):
            continue  # Nothing is done to it.
        folded = fold(f"{character} i{character} {character}\u0301 1{character} '{character}")
        assert fold(folded) == folded, ascii(character)


@given(st.text(st.characters(codec="ascii", categories=["Ll", "Nd"])))
def test_plain_words_and_numbers_differ_as_they_are_written(text: str) -> None:
    assert fold(text) == fold(text.upper()) == text


def _match(text: str) -> str:
    """Fold as D146 of the Unicode Standard does."""
    for _ in range(2):
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    return " ".join(text.split())


def test_no_letter_or_digit_is_taken_for_another_beyond_what_the_standard_does() -> None:
    others = {
        character
        for character in EVERY_CHARACTER
        if unicodedata.category(character) in {"Lu", "Ll", "Lt", "Lo", "Mn", "Mc", "Nd", "Nl", "No"}
        and fold(character) not in {_match(character), ""}
    }

    assert others == set("\u0130\u0149\ua78b\ua78c") | {
        c for c in others if "FRACTION" in unicodedata.name(c)
    }


def test_all_dashes_are_equivalent() -> None:
    dashes = [character for character in EVERY_CHARACTER if unicodedata.category(character) == "Pd"]

    assert {fold(dash) for dash in dashes} == {"-", "~"}
    assert [dash for dash in dashes if fold(dash) == "~"] == ["\u301c", "\u3030"]
