"""Whether the stack came to rest after the last fault was healed."""

from collections.abc import Iterable

from faults.model.findings import Finding, Kind
from faults.model.liveness import Liveness


def check_liveness(liveness: Liveness) -> Iterable[Finding]:
    """Find what did not come to rest."""
    for process, seconds in liveness.lag_seconds.items():
        if seconds is None or seconds > liveness.patience:
            yield Finding(Kind.LAG_LONG, f"{process}: {seconds} s")
    for process, waiting in liveness.waiting.items():
        if waiting:
            yield Finding(Kind.WORK_STUCK, f"{process}: {waiting} wait")
    for resource in liveness.resources:
        if resource.after > resource.before + resource.slack:
            yield Finding(Kind.RESOURCE_LEAKED, str(resource))
    for complaint in liveness.complaints:
        yield Finding(Kind.CHECK_COMPLAINED, complaint)
    for stream in liveness.unsettled:
        yield Finding(Kind.STREAM_UNSETTLED, stream)
