"""The form of a text that counts when answers are compared.

People type glyphs, and keyboards, phones and word processors make of an apostrophe U+0027, U+2019 or U+02BC.
All of these are one answer. The profile is that of compatibility caseless matching of the Unicode Standard
(3.13, D146), which disregards letter case, width, ligatures, superscripts and composition, and with it

- default-ignorable code points do not count (UAX #44, as in NFKC_Casefold): soft hyphens, joiners, marks of
  direction, variation selectors;
- the marks below are one, by the properties Dash and Quotation_Mark of PropList.txt and what UTS #39 has as
  confusable with them, as far as keyboards give it;
- the dot of a dotted i does not count, so that VENİ is veni;
- white space counts as one space between words, and not around them;
- ½ is 1/2, also after a digit: 1½ is 1 1/2, and not 11/2.

Accents, letters of other scripts and the dotless i count: they make other words. So do all other marks.
"""

import unicodedata
from typing import Final

from precis_i18n.unicode import UnicodeData

_APOSTROPHES: Final = (
    "\u0060\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u05f3\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a"
    "\u275b\u275c\ua78b\ua78c"
)
_QUOTES: Final = "\u00ab\u00bb\u02ba\u02ee\u05f4\u201c\u201d\u201e\u201f\u275d\u275e\u2e42\u301d\u301e\u301f"
_DASHES: Final = (
    "\u058a\u05be\u1400\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d"
    "\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d\U00010ead"
)
_WAVES: Final = "\u2053\u301c\u3030"
"""Dashes too, but where one system has them, another has a tilde."""
_SLASHES: Final = "\u2044\u2215"
_FRACTIONS: Final = (
    "\u00bc\u00bd\u00be\u2150\u2151\u2152\u2153\u2154\u2155\u2156\u2157\u2158\u2159\u215a\u215b\u215c\u215d"
    "\u215e\u2189"
)
_DOTTED_I: Final = "i\u0307"

_UCD: Final = UnicodeData()


class _Glyphs(dict[int, str]):
    """What is put in the place of a code point."""

    def __missing__(self, code_point: int) -> int | None:
        return None if _UCD.default_ignorable(code_point) else code_point


_GLYPHS: Final = _Glyphs(
    {ord(mark): "'" for mark in _APOSTROPHES}
    | {ord(mark): '"' for mark in _QUOTES}
    | {ord(mark): "-" for mark in _DASHES}
    | {ord(mark): "~" for mark in _WAVES}
    | {ord(mark): "/" for mark in _SLASHES}
    | {ord(mark): " " + unicodedata.normalize("NFKC", mark) for mark in _FRACTIONS}
)


def fold(text: str) -> str:
    """Reduce a text to what counts of it. What is reduced already stays as it is."""
    text = unicodedata.normalize("NFD", text).translate(_GLYPHS)
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text.casefold())
    text = unicodedata.normalize("NFKC", text.replace(_DOTTED_I, "i"))
    # Two apostrophes are how some write a quotation mark, and what a double prime becomes.
    text = text.translate(_GLYPHS).replace("''", '"')
    return " ".join(text.split())
