"""What became of the cases, for people and for programs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from rich.text import Text

from conformance.run import Outcome, Verdict

_STYLES: Final = {Outcome.OK: "green", Outcome.VIOLATED: "bold red", Outcome.SKIPPED: "yellow"}
_INDENT: Final = " " * 10


def describe(verdict: Verdict) -> Text:
    """Return a line for a case, and what was expected and seen if it is violated."""
    case, outcome = verdict.case, verdict.outcome
    text = Text.assemble((f"{outcome:8}  ", _STYLES[outcome]), case.name)
    if outcome is Outcome.VIOLATED:
        text.append(f"\n{_INDENT}rule      {case.rule} ({case.source})")
        text.append(f"\n{_INDENT}expected  {verdict.expected}")
        text.append(f"\n{_INDENT}seen      {verdict.seen.replace(chr(10), chr(10) + _INDENT * 2)}")
    elif outcome is Outcome.SKIPPED:
        text.append(f": {verdict.seen}")
    return text


def summarize(verdicts: Sequence[Verdict]) -> str:
    """Return how many cases ended in which way."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)


def make_figures(command: Sequence[str], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the same for programs."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    return {
        "command": list(command),
        **{str(outcome): counts[outcome] for outcome in Outcome},
        "cases": [
            {
                "name": verdict.case.name,
                "rule": verdict.case.rule,
                "source": verdict.case.source,
                "outcome": str(verdict.outcome),
                "expected": verdict.expected,
                "seen": verdict.seen,
                "seconds": round(verdict.seconds, 2),
            }
            for verdict in verdicts
        ],
    }
