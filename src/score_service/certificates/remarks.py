"""Remarks on certificate files: what is well, what is doubtful and what is wrong. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from score_service.certificates.phrases import number


class Mark(StrEnum):
    """How a remark is meant."""

    FINE = "ok"
    DOUBTFUL = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence whose subject is the file."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """What is to be said of one file."""

    title: str
    remarks: Sequence[Remark]


def fine(text: str) -> Remark:
    """Remark on what is well."""
    return Remark(Mark.FINE, text)


def doubtful(text: str) -> Remark:
    """Remark on what works now, and should be different."""
    return Remark(Mark.DOUBTFUL, text)


def wrong(text: str) -> Remark:
    """Remark on what does not work."""
    return Remark(Mark.WRONG, text)


def is_well(sections: Iterable[Section]) -> bool:
    """Return whether nothing is wrong."""
    return not _count(sections, Mark.WRONG)


def conclude(sections: Sequence[Section]) -> str:
    """Return the state in one line."""
    faults, warnings = _count(sections, Mark.WRONG), _count(sections, Mark.DOUBTFUL)
    return f"{number(faults, 'thing')} wrong, {number(warnings, 'warning')}"


def _count(sections: Iterable[Section], mark: Mark) -> int:
    return sum(remark.mark is mark for section in sections for remark in section.remarks)
