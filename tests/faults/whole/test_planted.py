"""Mistakes planted in a real score service under a real workload: the checker finds each.

Each run is a service of its own behind two proxies, one before it and one before Redis, with what brings the
mistake out. The same runs without a mistake have no findings.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias, TypeGuard
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from redis.asyncio import Redis
from tests.fixtures.certificates import BACKEND_ID
from tests.fixtures.ledgers.periods import save_settings
from tests.fixtures.servers.postgres import Database as Server
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.processes import RunningService
from tests.fixtures.services.stack import Stack

from action_gateway.actions.catalog import read_catalog, replace_actions
from conformance.certificates import RenewableFiles
from faults.cluster.actions import ACTIONS_FILE
from faults.cluster.command import AGED, ARCHIVED_DAYS, Command
from faults.cluster.endpoints import Endpoints
from faults.evidence.projection import read_projections
from faults.evidence.record import read_record
from faults.launchers import gateway_mistakes, score_mistakes
from faults.load.load import Load
from faults.model.board import Board
from faults.model.findings import Findings, Kind
from faults.model.fold import fold_at
from faults.model.history import (
    AwardCall,
    Fault,
    FeedArchived,
    History,
    Message,
    Outcome,
    Redemption,
    Restore,
    ReversalCall,
    VisibilityCall,
)
from faults.model.ledger import Ledger, Record
from faults.model.liveness import Liveness
from faults.model.projection import Projection
from faults.network.proxy import Proxy
from faults.rules.awards import EXPIRY_LEEWAY
from faults.rules.checker import check
from faults.rules.streams.progress import STALE
from faults.rules.tickets import LEEWAY
from faults.workload.workload import Workload
from local_stack.certificates import CertificateAuthority, CertificateFiles
from local_stack.services import issuer_settings
from local_stack.state import StateFolder
from score_client import ClientCredentials
from score_service.domain.board.board_settings import BoardSettings, Season
from score_service.record.boards import BoardStore
from score_service.record.database import Database
from service_runtime.postgres.pool import PoolSettings

LOAD = Load(
    awards_per_second=100.0,
    reads_per_second=30.0,
    corrections_per_second=10.0,
    completes_per_second=0.0,
    tickets_per_second=0.0,
    boards=("main",),
    users=30,
    players=0,
    watches=6,
    subscribers=1,
    sockets=0,
    event_streams=0,
    stay_seconds=0.3,
)
EDGE_LOAD = replace(
    LOAD, awards_per_second=40.0, completes_per_second=30.0, players=4, sockets=2, event_streams=1, watches=1
)
TICKETS_LOAD = replace(EDGE_LOAD, completes_per_second=0.0, tickets_per_second=20.0)
AWARDS = 60
"""Acknowledged before and after what is done to a run."""
OPEN_TICKETS = 40
"""Answers that leave open what became of a ticket. After one in four its bearer waits until it is late."""
LATE_TICKETS = 15
"""Shown when their time is over. Half of those who are late without need have shown theirs before."""
OLD_AWARDS = 2
"""Asked for, and taken back, after they were archived."""
POINTS_MAX = 50
"""The most that the outside issuer may give by a ticket."""
SEASON = timedelta(seconds=3)
BACKDATED = timedelta(minutes=10)
"""More than the activation delay."""
SHORT_LIFE = timedelta(seconds=12)
"""Longer than a client needs to see that its files were replaced."""


@dataclass(slots=True, kw_only=True)
class Run:
    """A service under load."""

    mistake: str
    edge_mistake: str | None = None
    """None where there is no gateway."""
    load: Load = LOAD
    stack: Stack
    database: Server
    redis_url: str
    door: Proxy
    """Before the service."""
    cache: Proxy
    """Before Redis."""
    issuers_file: Path
    """Issuers of tickets outside."""
    authority: CertificateAuthority
    certificate: RenewableFiles
    """Of the backends."""
    look_seconds: float = 0.5
    """Between two looks of the service at its projection."""
    service: RunningService | None = None
    gateway: RunningService | None = None
    history: History = field(default_factory=History)
    former: list[Record] = field(default_factory=list)
    ledgers: Path
    """The folder with the files of ledgers."""

    async def start(self) -> None:
        """Start the service, or start it again."""
        self.service = await self.stack.start_score_service(
            ("faults.launchers.planted", self.mistake),
            redis_url=urlunsplit(urlsplit(self.redis_url)._replace(netloc=self.cache.address)),
            watch_checkpoint_seconds=0.5,
            projector_seconds=self.look_seconds,
        )
        self.door.upstream = self.service.addresses["grpc"]
        if self.edge_mistake and self.gateway is None:
            launcher = "faults.launchers.planted", self.edge_mistake
            self.gateway = await self.stack.start_gateway(
                f"ipv4:{self.door.address}",
                launcher,
                score_server_name="localhost",
                score_timeout_seconds=3,
                ticket_seconds=1,
                redeems_per_minute=1_000_000,
                ticket_issuers_file=self.issuers_file,
            )

    @property
    def endpoints(self) -> Endpoints:
        """Where the load goes."""
        files = self.certificate.files
        backend = ClientCredentials(files.ca_file, files.certificate_file, files.key_file)
        gateway_url = f"http://{self.gateway.addresses['http'] if self.gateway else '127.0.0.1:1'}"
        return Endpoints(
            score_target=f"ipv4:{self.door.address}",
            backends=(backend, backend),
            server_name="localhost",
            gateway_url=gateway_url,
            gateway_urls=(gateway_url, gateway_url),
            issuers_file=self.issuers_file,
        )

    async def more(self, count: int = AWARDS) -> None:
        """Wait until so many more awards were answered as made."""
        due = self._acknowledged() + count

        async def are_acknowledged() -> bool:
            await asyncio.sleep(0)
            return self._acknowledged() >= due

        await eventually(are_acknowledged)

    async def ranked(self) -> None:
        """Wait until an award requested from now on is answered with its rank: Redis is asked again."""
        since = time.monotonic()

        def has_rank(event: object) -> bool:
            if not isinstance(event, AwardCall) or event.result is None:
                return False
            return event.began > since and event.result.rank is not None

        async def are_acknowledged() -> bool:
            await asyncio.sleep(0)
            return any(map(has_rank, self.history.events))

        await eventually(are_acknowledged)

    async def archive(self) -> None:
        """Archive what is some seconds old, once there is something that old."""
        arguments = ("ledger", "archive", str(self.ledgers), "--older-than", str(ARCHIVED_DAYS))
        login = self.database.logins["score_owner"]
        settings = {
            "SCORE_SERVICE_MIGRATION_DSN": login.url,
            "SCORE_SERVICE_MIGRATION_PASSWORD_FILE": str(login.password_file),
        }
        archiver = Command("archiver", arguments, settings, self.ledgers.with_suffix(".log"))
        archiver.launcher = (*AGED, "faults.launchers.planted", self.mistake)
        cut = self.read().cut

        async def is_cut() -> bool:
            assert await archiver.complete() == ""
            return self.read().cut >= cut + AWARDS

        await eventually(is_cut)

    def renew(self, valid_for: timedelta = timedelta(days=1)) -> None:
        """Replace the certificate of the backends by one that is in use at once, and valid for a time."""
        start = datetime.now(UTC) - BACKDATED
        life = BACKDATED + valid_for
        self.certificate.replace(
            self.authority.issue("renewed", uris=[BACKEND_ID], not_before=start, valid_for=life)
        )

    def read(self) -> Ledger:
        """Read the record, and what was deleted there."""
        return read_record(self.database.admin_dsn, self.former, self.ledgers)["main"]

    async def closed(self, count: int | None = None) -> None:
        """Wait until so many seasons are closed, or all that anyone has points in."""

        async def are_closed() -> bool:
            periods = (await asyncio.to_thread(self.read)).periods
            closed = sum(period.entry_revision is not None for period in periods)
            return closed >= (len(periods) if count is None else count)

        await eventually(are_closed)

    def _acknowledged(self) -> int:
        return sum(isinstance(event, AwardCall) and event.result is not None for event in self.history.events)

    @asynccontextmanager
    async def broken(self, name: str, target: str = "") -> AsyncIterator[None]:
        """Note that something is broken meanwhile."""
        began = time.monotonic()
        yield
        self.history.add(Fault(name=name, target=target, began=began, ended=time.monotonic()))


Trouble: TypeAlias = Callable[[Run], Awaitable[None]]


async def nothing(run: Run) -> None:
    await run.more(2 * AWARDS)


async def corrected(run: Run) -> None:
    """Have users hidden, and awards taken back more than once."""

    async def are_corrected() -> bool:
        await asyncio.sleep(0)
        calls = [call for call in run.history.events if isinstance(call, ReversalCall) and call.undone]
        hidden = [one for one in run.history.events if isinstance(one, VisibilityCall) and one.revision]
        return len(hidden) >= 4 and len(calls) >= len({call.reversal_id for call in calls}) + 4

    await run.more()
    await eventually(are_corrected)
    await run.more()


async def cut_replies(run: Run) -> None:
    """Lose so many answers of Redis that some are of scripts that write."""
    await run.more()
    async with run.broken("cut"):
        for _ in range(40):
            run.cache.cut_replies(after=0)
            await run.more(2)
    run.cache.release()
    await run.more()


async def redis_unavailable(run: Run) -> None:
    """Let nothing through to Redis for some awards, thrice: later awards may hide what is missing."""
    await run.more()
    for _ in range(3):
        async with run.broken("hole"):
            run.cache.hold()
            await run.more(AWARDS // 3)
            run.cache.reset()
            run.cache.release()
        await run.ranked()
    await run.more()


async def killed(run: Run) -> None:
    """Kill the service, and start it again."""
    await run.more()
    assert run.service
    async with run.broken("kill"):
        run.service.kill()
        await run.start()
    await run.more()


async def service_unavailable(run: Run) -> None:
    """Let nothing through to the score service for longer than a gateway waits for it."""

    def is_open(event: object) -> bool:
        return isinstance(event, Redemption) and event.reason == "unavailable"

    async def are_open() -> bool:
        await asyncio.sleep(0)
        return sum(map(is_open, run.history.events)) >= OPEN_TICKETS

    await run.more()
    async with run.broken("black_hole", "clients->score"):
        run.door.hold()
        await eventually(are_open)
        run.door.reset()
        run.door.release()
    await run.more()


async def tickets_late(run: Run) -> None:
    """Wait until enough tickets were shown when their time was over."""

    async def have_come() -> bool:
        await asyncio.sleep(0)
        return sum(map(is_late, run.history.events)) >= LATE_TICKETS

    await eventually(have_come)


async def tickets_exceed(run: Run) -> None:
    """Wait until enough tickets of an outside issuer were shown, some for more points than it may give."""

    async def have_come() -> bool:
        await asyncio.sleep(0)
        outside = [event for event in run.history.events if is_outside(event)]
        return sum(event.asked.points > POINTS_MAX for event in outside) >= 3 and len(outside) >= 20

    await eventually(have_come)


def is_outside(event: object) -> TypeGuard[Redemption]:
    return isinstance(event, Redemption) and event.asked.action_type.startswith("ticket:")


def is_late(event: object) -> bool:
    return isinstance(event, Redemption) and event.shown_at >= event.expires_at + LEEWAY


async def restored(run: Run) -> None:
    """Put the record back to what it was some awards ago."""
    await run.more()
    copied = time.monotonic()
    copy = read_record(run.database.admin_dsn)["main"]
    assert copy.head
    await run.more()
    began = time.monotonic()
    with psycopg.connect(run.database.admin_dsn) as connection:
        connection.execute("LOCK TABLE score.board IN EXCLUSIVE MODE")
        run.former.append(read_record(run.database.admin_dsn))
        connection.execute("DELETE FROM score.visibility")
        for table in ("award", "entry", "reversal"):
            connection.execute(f"DELETE FROM score.{table} WHERE revision > %s", [copy.head.revision])
        connection.execute("DELETE FROM score.commit WHERE last_revision > %s", [copy.head.revision])
        connection.execute("UPDATE score.board SET revision = %s, digest = %s", copy.head)
        connection.execute("DELETE FROM score.standing")
        line = Board("main", [{"main": copy}]).end
        (fold,) = fold_at(line.steps, [copy.head.revision])
        for user_id, (total, reached) in copy.standings.items():
            awarded = max(award.revision for award in line.awards if award.user_id == user_id)
            changed, last = (None if one == reached else one for one in (fold.version(user_id), awarded))
            row = "main", "all_time", user_id, total, reached, changed, last
            connection.execute("INSERT INTO score.standing VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
        for seen in filter(None, (line.visibilities(user_id)[-1:] for user_id in copy.standings)):
            connection.execute(
                "INSERT INTO score.visibility VALUES (%s, %s, %s, %s)",
                ("main", seen[0].user_id, seen[0].visibility, seen[0].revision),
            )
    run.history.add(Restore(began=began, ended=time.monotonic(), former="", copied=copied))
    await run.more()


async def writes_rejected(run: Run) -> None:
    """Have Redis reject writes for longer than streams may be stale, and so longer than reads."""
    await run.more()
    async with Redis.from_url(run.redis_url) as redis, run.broken("full"):
        await redis.config_set("maxmemory", 1)
        try:
            began = time.monotonic()
            while time.monotonic() < began + STALE + 1.5:
                await run.more(10)
        finally:
            await redis.config_set("maxmemory", 0)
    await run.ranked()
    await run.more()


async def seasons_follow(run: Run) -> None:
    """Give the board short seasons, one after the other, and let the first two be closed."""
    await run.more()
    start = datetime.now(UTC) + SEASON  # What was awarded before the settings counts in none.
    seasons = (Season(str(n), start + n * SEASON, start + (n + 1) * SEASON) for n in range(100))
    async with Database.open(PoolSettings(run.database.score_runtime_dsn)) as record:
        settings = BoardSettings(grace_seconds=1, seasons=tuple(seasons))
        await save_settings(BoardStore(record), settings=settings)
    await run.closed(2)
    await run.more()


async def archived(run: Run) -> None:
    """Archive awards twice, while they are asked for again and taken back."""

    async def are_asked_for() -> bool:
        await asyncio.sleep(0)
        later = [
            one
            for one in run.history.events
            if isinstance(one, AwardCall | ReversalCall) and one.began > since
        ]
        awards = {one.asked.award_id for one in later if isinstance(one, AwardCall)}
        reversals = {one.award_id for one in later if isinstance(one, ReversalCall)}
        return min(len(old & awards), len(old & reversals)) >= OLD_AWARDS

    await run.more(6 * AWARDS)
    for _ in range(2):
        await run.archive()
        ledger, since = run.read(), time.monotonic()
        old = {award.award_id for award in ledger.awards if award.revision <= ledger.cut}
        await eventually(are_asked_for)
    await run.more()


async def certificate_expires(run: Run) -> None:
    """Let the certificate of the backends expire while they use it, and renew it too late."""

    def is_judged(event: object) -> bool:
        return isinstance(event, AwardCall) and (event.expired_for or 0.0) > EXPIRY_LEEWAY

    async def are_judged() -> bool:
        await asyncio.sleep(0)
        return sum(map(is_judged, run.history.events)) >= AWARDS

    await run.more()
    run.renew(SHORT_LIFE)
    async with run.broken("expired"):
        await eventually(are_judged)
    run.renew()
    await run.more()


TROUBLES: tuple[Trouble, ...] = (
    nothing,
    corrected,
    cut_replies,
    redis_unavailable,
    killed,
    restored,
    writes_rejected,
    seasons_follow,
    archived,
    certificate_expires,
)
PLANTED: dict[str, tuple[Trouble, set[Kind]]] = {
    "retried_increment": (cut_replies, {Kind.PROJECTION_WRONG, Kind.READ_WRONG}),
    "no_gate": (redis_unavailable, {Kind.PROJECTION_WRONG, Kind.RANK_WRONG}),
    "ties_by_name": (nothing, {Kind.PROJECTION_WRONG, Kind.READ_WRONG, Kind.STREAM_WRONG}),
    "ranks_from_zero": (nothing, {Kind.RANK_WRONG}),
    "skipped_rows": (redis_unavailable, {Kind.PROJECTION_WRONG, Kind.CHANGE_NOT_SENT}),
    "early_answer": (killed, {Kind.AWARD_LOST}),
    "rejected_made": (nothing, {Kind.REJECTED_MADE}),
    "forgiven_conflict": (nothing, {Kind.PAYLOAD_WRONG}),
    "forgotten_request": (nothing, {Kind.REPLAY_WRONG}),
    "mixed_read": (nothing, {Kind.READ_WRONG}),
    "blind_read": (writes_rejected, {Kind.READ_OLD}),
    "lost_update": (nothing, {Kind.CHANGE_NOT_SENT}),
    "forgotten_missed": (nothing, {Kind.CHANGE_NOT_SENT}),
    "trusted_header": (restored, {Kind.PROJECTION_FOREIGN, Kind.PROJECTION_WRONG}),
    "stale_read": (writes_rejected, {Kind.READ_STALE}),
    "stale_watch": (writes_rejected, {Kind.STREAM_STALE}),
    "late_counted": (seasons_follow, {Kind.PERIOD_MEMBER_WRONG}),
    "begun_late": (seasons_follow, {Kind.PERIOD_MEMBER_MISSING}),
    "digested_too_little": (seasons_follow, {Kind.PERIOD_CLOSE_WRONG}),
    "reversed_twice": (corrected, {Kind.STANDING_WRONG}),
    "hidden_listed": (corrected, {Kind.READ_WRONG, Kind.HIDDEN_SHOWN}),
    "skipped_entry": (corrected, {Kind.FEED_GAP}),
    "forgotten_archived": (archived, {Kind.AWARD_DOUBLED}),
    "lost_ids": (archived, {Kind.ID_LOST}),
    "archived_reversed": (archived, {Kind.ARCHIVED_REVERSED}),
    "trusted_expired": (certificate_expires, {Kind.EXPIRED_ANSWERED}),
}
"""By mistake, what brings it out, and as what it shows: one of these kinds at least must be found."""


EDGE: dict[str, set[Kind]] = {
    "new_award_each_time": {Kind.AWARD_INVENTED, Kind.AWARD_LOST},
    "top_of_before": {Kind.STREAM_WRONG},
    "lost_score": {Kind.STREAM_UNFINISHED},
}
"""By mistake of the gateway, the same."""
TICKETS: dict[str, tuple[Trouble, set[Kind]]] = {
    "ticket_paid_twice": (nothing, {Kind.TICKET_DOUBLED}),
    "late_ticket": (tickets_late, {Kind.TICKET_UNDUE}),
    "forgotten_ticket": (service_unavailable, {Kind.TICKET_REJECTED}),
    "generous_ticket": (tickets_exceed, {Kind.TICKET_UNDUE}),
}
"""The same, where tickets bring it out."""


@pytest.fixture
async def run(
    stack: Stack,
    database: Server,
    redis_url: str,
    start_proxy: Callable[[str], Awaitable[Proxy]],
    authority: CertificateAuthority,
    backend_certificate: CertificateFiles,
    tmp_path: Path,
) -> Run:
    """Return a run that has not begun, without mistakes."""
    replace_actions(database.gateway_owner_dsn, None, read_catalog(ACTIONS_FILE))
    ledgers = tmp_path / "ledgers"
    certificates = tmp_path / "backend"
    for folder in (ledgers, certificates):
        folder.mkdir()
    return Run(
        mistake="none",
        ledgers=ledgers,
        stack=stack,
        database=database,
        redis_url=redis_url,
        door=await start_proxy("127.0.0.1:1"),
        cache=await start_proxy(urlsplit(redis_url).netloc.rpartition("@")[2]),
        authority=authority,
        certificate=RenewableFiles(certificates, backend_certificate),
        issuers_file=Path(issuer_settings(StateFolder(tmp_path))["ACTION_GATEWAY_TICKET_ISSUERS_FILE"]),
    )


async def read_boards(run: Run, prefix: str, record: Record) -> list[Projection]:
    """Read the boards in Redis; without a mistake once they are at their heads, as streams may be before."""

    async def are_projected() -> bool:
        boards = await read_projections(run.redis_url, prefix, record)
        positions = [board.header and f"{board.header.revision}-{board.header.mark}" for board in boards]
        return positions == [ledger.position for ledger in record.values()]

    if run.mistake == "none":
        await eventually(are_projected)
    return await read_projections(run.redis_url, prefix, record)


async def judge(run: Run, prefix: str, trouble: Trouble) -> Findings:
    """Make a run, and judge it."""
    await run.start()
    async with Workload(run.endpoints, run.history, random.Random(1), run.load).running() as work:
        await trouble(run)
        await work.quiesce()
        await run.closed()
        record = {"main": run.read()}
        unsettled = await work.settle({"main": record["main"].position}, 10)
        projections = await read_boards(run, prefix, record)
    return check(
        run.history,
        [*run.former, record],
        projections,
        Liveness(unsettled=unsettled),
    )


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_service_without_a_mistake_has_no_findings(
    run: Run, redis_prefix: str, trouble: Trouble
) -> None:
    findings = await judge(run, redis_prefix, trouble)

    assert findings.describe() == []
    assert min(
        findings.judged[sort] for sort in ("acknowledged", "reads", "messages", "streams", "projections")
    )


async def test_what_is_archived_is_told_to_who_asks_for_it(run: Run, redis_prefix: str) -> None:
    findings = await judge(run, redis_prefix, archived)

    told = [event for event in run.history.events if isinstance(event, AwardCall)]
    assert findings.judged["deleted"] >= 2 * AWARDS
    assert {one.reason for one in told if one.outcome is Outcome.ARCHIVED} >= {"AWARD_ARCHIVED"}
    assert any(isinstance(event, FeedArchived) for event in run.history.events)
    undone = [event for event in run.history.events if isinstance(event, ReversalCall)]
    assert "HISTORY_ARCHIVED" in {one.reason for one in undone}


async def test_gateway_without_a_mistake_has_no_findings(run: Run, redis_prefix: str) -> None:
    run.edge_mistake, run.load = "none", EDGE_LOAD

    findings = await judge(run, redis_prefix, nothing)

    assert findings.describe() == []
    assert any(isinstance(event, Message) and event.event == "score:update" for event in run.history.events)


async def test_tickets_without_a_mistake_have_no_findings(run: Run, redis_prefix: str) -> None:
    run.edge_mistake, run.load = "none", TICKETS_LOAD

    async def is_all_seen() -> bool:
        await asyncio.sleep(0)
        shown = [event for event in run.history.events if isinstance(event, Redemption)]
        late = [one.result.replayed for one in shown if is_late(one) and one.result]
        rejected = {"ticket_expired", "ticket_data_mismatch", "bad_ticket"}
        # A late ticket that was kept is paid, and one that was paid says so.
        return rejected <= {one.reason for one in shown} and set(late) == {False, True}

    async def trouble(run: Run) -> None:
        await service_unavailable(run)
        await tickets_exceed(run)
        await eventually(is_all_seen)

    findings = await judge(run, redis_prefix, trouble)

    assert findings.describe() == []


@pytest.mark.parametrize("mistake", PLANTED)
async def test_mistake_of_the_score_service_is_found(run: Run, redis_prefix: str, mistake: str) -> None:
    run.mistake = mistake
    trouble, expected = PLANTED[mistake]
    if trouble is redis_unavailable:
        # A look that came before the next award would make up what the mistake leaves out.
        run.look_seconds = 30.0

    findings = await judge(run, redis_prefix, trouble)

    assert expected & findings.counts.keys(), findings.describe()


@pytest.mark.parametrize("mistake", EDGE)
async def test_mistake_of_the_gateway_is_found(run: Run, redis_prefix: str, mistake: str) -> None:
    run.edge_mistake, run.load = mistake, EDGE_LOAD

    findings = await judge(run, redis_prefix, nothing)

    assert EDGE[mistake] & findings.counts.keys(), findings.describe()


@pytest.mark.parametrize("mistake", TICKETS)
async def test_mistake_in_redeeming_tickets_is_found(run: Run, redis_prefix: str, mistake: str) -> None:
    run.edge_mistake, run.load = mistake, TICKETS_LOAD
    trouble, expected = TICKETS[mistake]

    findings = await judge(run, redis_prefix, trouble)

    assert expected & findings.counts.keys(), findings.describe()


def test_every_mistake_is_tried() -> None:
    assert score_mistakes.MISTAKES.keys() == PLANTED.keys()
    assert gateway_mistakes.MISTAKES.keys() == EDGE.keys() | TICKETS.keys()
