"""Judges a run: lists what no promise of the services explains. Pure.

It imports nothing of the services: what they promise is written down a second time in the modules that end in
`_rules`, on purpose.
"""

from collections.abc import Sequence

from faults.findings import Findings
from faults.history import History
from faults.ledger import Record
from faults.liveness import Liveness, check_liveness
from faults.projection import Projection


def check(
    history: History,
    epochs: Sequence[Record],
    projections: Sequence[Projection],
    liveness: Liveness,
    samples: Sequence[Projection] = (),
) -> Findings:
    """Find what cannot be explained.

    Args:
        history: all that was asked and seen.
        epochs: the record before each restore, and at the end: one more than the history has restores.
        projections: every board, after all was mended and at rest.
        liveness: what was measured then.
        samples: boards as they were read from Redis while things were broken.
    """
    findings = Findings()
    findings.extend(check_liveness(liveness))
    return findings
