"""What a case is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from conformance.trial import Trial

PAGE: Final = "docs/clients.md"

Play = Callable[[Trial], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """A rule, and how it is tried.

    Attributes:
        name: Names it in reports.
        rule: What a client does.
        section: The heading of the page of rules that it is from, as an anchor.
        play: Plays the scene, and raises Violation.
        environment: What the adapter's environment has besides.
    """

    name: str
    rule: str
    section: str
    play: Play
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Where the rule stands."""
        return f"{PAGE}#{self.section}"


def case(section: str, rule: str, **environment: str) -> Callable[[Play], Case]:
    """Make a case of a scene, with its name."""

    def make(play: Play) -> Case:
        return Case(getattr(play, "__name__", ""), rule, section, play, environment)

    return make
