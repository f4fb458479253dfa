"""What the promise rests on: without it, a run finds what is lost."""

from pathlib import Path

from tests.faults.whole.test_run import LOAD

from faults.model.findings import Kind
from faults.nemesis.failovers import Failover
from faults.nemesis.injection import FaultKind
from faults.run import Plan, Run


class LateFailover(Failover):
    """A standby for which no commit waits takes over, without the last seconds."""

    async def inject(self) -> None:
        """Have nothing wait for it any more, and part it from the primary."""
        primary = self.pair.primary
        await primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        await primary.execute("SELECT pg_reload_conf()")
        self.pair.link.hold()

    async def heal(self) -> None:
        """End the primary, and have the standby take over."""
        await super().inject()
        await super().heal()


async def test_asynchronous_replication_loses_awards_and_the_checker_finds_it(tmp_path: Path) -> None:
    catalogue = {"late_failover": FaultKind(LateFailover, ("postgres",), hold=(3.0, 3.0))}
    run = Run(Plan(4, seconds=60, turns=1, load=LOAD, catalogue=catalogue, patience=30), tmp_path, print)

    findings = await run.execute()

    lost = {Kind.AWARD_LOST, Kind.REVERSAL_LOST, Kind.VISIBILITY_LOST, Kind.FEED_LOST}
    assert Kind.AWARD_LOST in findings.counts.keys() <= lost, findings.describe()
