"""What authors are warned of."""

import pytest

from action_gateway.actions.answer_review import Doubt, review_answers


@pytest.mark.parametrize(
    ("answer", "doubt"),
    [
        ("\ue000", Doubt.UNTYPED_CHARACTER),
        ("a\u0378", Doubt.UNTYPED_CHARACTER),
        ("a\ufffdb", Doubt.UNTYPED_CHARACTER),
        ("\u2800", Doubt.UNTYPED_CHARACTER),
        ("\u0301a", Doubt.UNTYPED_CHARACTER),
        ("p\u0430ris", Doubt.MIXED_SCRIPTS),
        ("\u03bfmega", Doubt.MIXED_SCRIPTS),
        ("k\u03bc\u043e", Doubt.MIXED_SCRIPTS),
        ("\u0131\u015f\u0131k", Doubt.OTHER_IN_CAPITALS),
    ],
)
def test_an_answer_that_can_hardly_be_typed_is_doubtful(answer: str, doubt: Doubt) -> None:
    assert list(review_answers(["fine", answer])) == [(2, doubt)]


@pytest.mark.parametrize(
    "answer",
    [
        "ABC",
        "don\u2019t panic",
        "\u201cwell\u2013being\u201d",
        "VEN\u0130",
        "stra\u00dfe",
        "caf\u00e9",
        "\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1",
        "\u0434\u0430 yes",
        "\u6771\u4eac\u30bf\u30ef\u30fc",
        "\U0001f44d\U0001f3fd",
        "6\u00bd \u20ac",
        "2\u03c0",
        "5 \u00b5m",
        "k\u2126",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    ],
)
def test_what_keyboards_give_is_not(answer: str) -> None:
    assert list(review_answers([answer])) == []
