"""Bugs of a score service that a developer could write.

They show that the checker finds them; it is the checker that is tested with them. So this module, unlike the
checker, knows what is inside the service. A mistake that does not fit into it any more fails at the start.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from faults.launchers.patching import patch
from score_service.access.identity import Peer
from score_service.boards.awards import scheduler, scoring
from score_service.boards.awards.scoring import Scoring
from score_service.boards.standings.leaderboard import Leaderboard
from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.board.period import Period, Schedule
from score_service.domain.ledger.award import Award, RecordedAward
from score_service.domain.ledger.changes import Change
from score_service.domain.ledger.entry import EntryPage
from score_service.domain.standings.standing import BoardView
from score_service.errors import AwardConflictError, TotalOutOfRangeError
from score_service.projection import scripts
from score_service.projection.projection import Projection
from score_service.projection.replies import Header
from score_service.reconcile.freshness import Freshness
from score_service.reconcile.headers import Headers
from score_service.reconcile.scanner import Scanner
from score_service.record import database, ledger
from score_service.record.archive import Archive
from score_service.record.database import Database
from score_service.record.feed import EntryStore
from score_service.record.periods import ArchivedPage, PeriodStore
from score_service.stream.frame import Frame
from score_service.stream.frames import Frames
from score_service.stream.hubs import Hubs
from score_service.stream.watcher import Watcher

_GATE: Final = "if header[2] ~= ARGV[3] or header[3] ~= ARGV[4] then"
_SET: Final = "local users, members, unranked, more, more_shown = set_standings(index, lines, '', is_flagged)"
_ADD: Final = """
local users, members, unranked, more, more_shown = {}, {}, {}, 0, 0
for user, points, revision in string.gmatch(lines, '([^ ]+) ([^ ]+) (%d+)[^\\n]*\\n?') do
    local former, total = redis.call('HGET', KEYS[3 + 2 * index], user), points
    if former then
        redis.call('ZREM', KEYS[2 + 2 * index], member_of(user, string.match(former, ':(.*)')))
        total = string.format('%.0f', tonumber(string.match(former, '^%d+')) + tonumber(points))
    end
    members[#members + 1] = member_of(user, revision)
    redis.call('ZADD', KEYS[2 + 2 * index], total, members[#members])
    more = more + redis.call('HSET', KEYS[3 + 2 * index], user, total .. ':' .. revision)
    more_shown = more
end
"""
_NEWEST: Final = "SELECT DISTINCT ON (period_id, user_id) *\n"
_ORDER: Final = "ORDER BY period_id, user_id, revision DESC"
_GROUP: Final = "GROUP BY period_id, user_id"
_MEMBER: Final = "- reached, user)"
_SUM: Final = """\
SELECT period_id, user_id, sum(total)::bigint AS total, max(reached_revision) AS reached_revision,
       max(revision) AS revision
"""
_MADE: Final = "SELECT a.user_id, a.total_after, a.revision, "
_ALL_TIME: Final = (
    "SELECT 'all_time' AS period_id, user_id, total_after AS total, revision AS reached_revision"
)
_PERIODS: Final = "SELECT p.period_id, made.user_id, c.total_after, made.revision"

_TAKE_AGAIN: Final = """
WITH taken AS (
    UPDATE score.standing s SET total = greatest(s.total - a.points, 0)
    FROM score.reversal r
    JOIN score.award a ON a.board_id = r.board_id AND a.revision = r.award_revision
    WHERE r.board_id = %(board_id)s AND r.reversal_id = ANY (%(reversal_ids)s::uuid[])
      AND s.board_id = r.board_id AND s.period = 'all_time' AND s.user_id = a.user_id
)
"""
_USERS: Final = [f"user-{number:04}" for number in range(200)]
"""Those of a load."""


def _edit_text(owner: Any, loader: str, name: str, *edits: tuple[str, str]) -> None:
    """Have a script or a statement say something else, by the function that loads it."""

    def make(load: Callable[[str], str]) -> Callable[[str], str]:
        text = load(name)
        for old, new in edits:
            if old not in text:
                raise LookupError(f"{name} does not say {old!r} any more")
            text = text.replace(old, new)
        return lambda asked: text if asked == name else load(asked)

    patch(owner, loader, make)


def _edit_script(name: str, *edits: tuple[str, str]) -> None:
    _edit_text(scripts, "load_script", name, *edits)


def _edit_statement(name: str, *edits: tuple[str, str]) -> None:
    _edit_text(database, "load_statement", name, *edits)


def _retry_increments() -> None:
    """Points are added to what Redis has, and a script that is sent again adds them again."""

    def add_up(recorded: Iterable[RecordedAward]) -> tuple[Change, ...]:
        sums: dict[str, Change] = {}
        for award in recorded:
            former = sums.get(award.user_id, Change(award.user_id, 0, 0))
            sums[award.user_id] = Change(award.user_id, former.total + award.points, award.revision)
        return tuple(sums.values())

    patch(ledger, "_fold", lambda _: add_up)
    _edit_statement(
        "read_changes",
        (_MADE, _MADE + "a.points, "),
        (_ALL_TIME, _ALL_TIME.replace("total_after", "points")),
        (_PERIODS, _PERIODS.replace("c.total_after", "made.points")),
        (_NEWEST, _SUM),
        (_ORDER, _GROUP),
    )
    _edit_script("apply_changes", (_GATE, "if false then"), (_SET, _ADD))


def _open_gate() -> None:
    """A commit is applied wherever the projection stands."""
    _edit_script("apply_changes", (_GATE, "if false then"))


def _rank_ties_by_name() -> None:
    """Of equal totals the greater name is first."""

    def make(load: Callable[[str], str]) -> Callable[[str], str]:
        if _MEMBER not in load("apply_changes"):
            raise LookupError(f"no script says {_MEMBER!r} any more")
        return lambda name: load(name).replace(_MEMBER, "- 1, user)")

    patch(scripts, "load_script", make)


def _count_ranks_from_zero() -> None:
    """The best has rank 0."""
    _edit_script("apply_changes", ("KEYS[2 + 2 * index], member) + 1", "KEYS[2 + 2 * index], member)"))


def _skip_rows() -> None:
    """Who catches up leaves out the rows after the position: so many that later awards do not hide it."""
    _edit_statement(
        "read_changes", ("a.revision > %(after_revision)s", "a.revision > %(after_revision)s + 8")
    )


def _answer_before_commit() -> None:
    """Callers are answered half a second before the commit."""
    transactions = set[asyncio.Task[None]]()

    async def record(self: Database, statement: str, parameters: Mapping[str, object], rows: Any) -> None:
        async with self.connection() as connection, connection.transaction():
            cursor = await connection.execute(_load_statement(statement), parameters)
            rows.set_result(await cursor.fetchall())
            await asyncio.sleep(0.5)

    def make(fetch_all: Callable[..., Any]) -> Callable[..., Any]:
        async def fetch_early(
            self: Database, statement: str, parameters: Mapping[str, object], *rest: Any, **options: Any
        ) -> Any:
            if statement != "record_awards":
                return await fetch_all(self, statement, parameters, *rest, **options)
            rows = asyncio.get_running_loop().create_future()
            transaction = asyncio.create_task(record(self, statement, parameters, rows))
            transactions.add(transaction)
            await asyncio.wait([rows, transaction], return_when=asyncio.FIRST_COMPLETED)
            return rows.result() if rows.done() else await fetch_all(self, statement, parameters)

        return fetch_early

    patch(Database, "fetch_all", make)


def _load_statement(name: str) -> Any:
    return vars(database)["load_statement"](name)


def _make_what_is_rejected() -> None:
    """Now and then an award that was made is answered as out of range."""
    numbers = itertools.count(1)

    def make(answer: Callable[..., Any]) -> Callable[..., Any]:
        async def answer_wrongly(self: Scoring, *arguments: Any) -> Sequence[Any]:
            outcomes = await answer(self, *arguments)
            return [outcome if next(numbers) % 7 else TotalOutOfRangeError() for outcome in outcomes]

        return answer_wrongly

    patch(Scoring, "_answer", make)


def _forgive_conflicts() -> None:
    """Another award under an id that was used is answered as made."""
    patch(scoring, "is_replay", lambda _: lambda award, recorded: award.request_id != recorded.request_id)


def _forget_requests() -> None:
    """A replay is answered as the first request."""

    def is_replay(award: Award, recorded: RecordedAward) -> bool:
        if (award.user_id, award.points) != (recorded.user_id, recorded.points):
            raise AwardConflictError
        return False

    patch(scoring, "is_replay", lambda _: is_replay)


def _mix_reads() -> None:
    """A read has the rows of the one before it, and names the position of now."""
    rows: dict[tuple[str, ...], list[Any]] = {}

    def make(read: Callable[..., Any]) -> Callable[..., Any]:
        async def read_mixed(
            self: Projection, script: str, board_id: str, period_ids: Sequence[str], *rest: Any
        ) -> Any:
            reply = await read(self, script, board_id, period_ids, *rest)
            if reply is None or script == "compare_standings":
                return reply
            key = (script, board_id, *period_ids, *rest[0])
            former, rows[key] = rows.get(key, reply), reply
            return [*reply[:4], *former[4:]]

        return read_mixed

    patch(Projection, "_read", make)


def _read_blindly() -> None:
    """Reads are as old as Redis, whatever was asked for, and awards are applied by a slow loop alone."""

    def make(read: Callable[..., Any]) -> Callable[..., Any]:
        async def read_blindly(
            self: Leaderboard, stores: Any, board_id: str, question: Any, min_revision: int, *period: str
        ) -> Any:
            return await read(self, stores, board_id, question, min(min_revision, 0), *period)

        return read_blindly

    async def find_no_ranks(*_: Any) -> dict[str, int]:
        await asyncio.sleep(0)
        return {}

    patch(Leaderboard, "_read", make)
    _trust_what_is_stale()
    patch(Scoring, "_ranks", lambda _: find_no_ranks)
    patch(Scanner, "running", lambda running: lambda self, interval: running(self, 10 * interval))


def _lose_updates() -> None:
    """A watcher is not offered every third frame."""
    numbers = itertools.count(1)

    def make(offer: Callable[..., None]) -> Callable[..., None]:
        def offer_some(self: Watcher, frame: Frame) -> None:
            if next(numbers) % 3:
                offer(self, frame)

        return offer_some

    patch(Watcher, "offer", make)


def _forget_the_missed() -> None:
    """A watch that resumes does not get what it missed."""

    async def find_nothing(*_: Any) -> tuple[()]:
        await asyncio.sleep(0)
        return ()

    patch(Hubs, "_missed", lambda _: find_nothing)


def _trust_headers() -> None:
    """A header is taken to be of the record, whatever it says."""

    async def find(self: Any, board_id: str) -> Header | None:
        header: Header | None = await vars(self)["_projection"].read_header(board_id)
        return header

    patch(Headers, "find", lambda _: find)


def _trust_what_is_stale() -> None:
    """What Redis has is read, however long it has stood still."""
    patch(Freshness, "is_stale", lambda _: lambda *_arguments: False)


def _show_what_is_stale() -> None:
    """Watches show what Redis has, however long it has stood still; reads do not."""
    patch(Frames, "_is_stale", lambda _: lambda *_arguments: False)


def _edit_schedules(edit: Callable[[Schedule, datetime], Iterable[Period]]) -> None:
    """Have schedules offer other periods to the ledger, worked out from theirs and the time."""

    def make(make_schedule: Callable[..., Schedule]) -> Callable[..., Schedule]:
        def make_edited(revision: int, settings: BoardSettings, now: datetime, *rest: Any) -> Schedule:
            schedule = make_schedule(revision, settings, now, *rest)
            return replace(schedule, periods=tuple(edit(schedule, now)))

        return make_edited

    patch(scheduler, "make_schedule", make)


def _count_late_awards() -> None:
    """A period takes awards for twice its grace."""

    def prolong(period: Period) -> Period:
        grace = period.closes_at - period.ends_at
        return replace(period, closes_at=period.closes_at + grace, final_at=period.final_at + grace)

    _edit_schedules(lambda schedule, _: map(prolong, schedule.periods))


def _begin_late() -> None:
    """In the first second of a period awards do not count in it."""
    _edit_schedules(
        lambda schedule, now: (
            period for period in schedule.periods if period.starts_at + timedelta(seconds=1) <= now
        )
    )


def _digest_too_little() -> None:
    """The digest of a result leaves out the last place."""

    def make(archive_page: Callable[..., Any]) -> Callable[..., Any]:
        async def archive_less(self: PeriodStore, *arguments: Any) -> ArchivedPage | None:
            page: ArchivedPage | None = await archive_page(self, *arguments)
            return page and replace(page, lines=b"".join(page.lines.splitlines(keepends=True)[:-1]))

        return archive_less

    patch(PeriodStore, "archive_page", make)


def _take_points_again() -> None:
    """A reversal that is sent again takes the points of its award off the standing again."""
    _edit_statement("reverse_awards", ("SELECT * FROM", f"{_TAKE_AGAIN}SELECT * FROM"))


def _list_who_is_hidden() -> None:
    """Every second page has a user who is hidden in the place of the best."""
    numbers = itertools.count(1)

    def make(list_standings: Callable[..., Any]) -> Callable[..., Any]:
        async def list_more(self: Leaderboard, board_id: str, *arguments: Any, **named: Any) -> BoardView:
            view: BoardView = await list_standings(self, board_id, *arguments, **named)
            if view.period is not None or next(numbers) % 2:
                return view
            hidden = await vars(self)["_standings"].get_standings(board_id, _USERS)
            added = [replace(one, rank=1, hidden=False) for one in hidden.users if one.hidden][:1]
            return replace(view, standings=(*added, *view.standings[len(added) :]))

        return list_more

    patch(Leaderboard, "list_standings", make)


def _skip_entries() -> None:
    """Every third page of a feed lacks an entry."""
    numbers = itertools.count(1)

    def make(read_page: Callable[..., Any]) -> Callable[..., Any]:
        async def read_less(self: EntryStore, *arguments: Any) -> EntryPage:
            page: EntryPage = await read_page(self, *arguments)
            middle = len(page.entries) // 2
            if not page.entries or next(numbers) % 3:
                return page
            return replace(page, entries=page.entries[:middle] + page.entries[middle + 1 :])

        return read_less

    patch(EntryStore, "read_page", make)


def _edit_functions(*edits: tuple[str, str, str]) -> None:
    """Have functions of the database say something else, from the first cut on."""

    def make(archive_awards: Callable[..., Any]) -> Callable[..., Any]:
        async def edit_and_archive(self: Archive, *arguments: Any, **named: Any) -> Any:
            record: Database = vars(self)["_fetch_all"].__self__
            async with record.connection() as connection:
                for name, old, new in edits:
                    cursor = await connection.execute(
                        "SELECT pg_get_functiondef(%s::regproc) AS text", [name]
                    )
                    text = (await cursor.fetchall())[0]["text"]
                    if new not in text:
                        await connection.execute(_replace(name, text, old, new))
            return await archive_awards(self, *arguments, **named)

        return edit_and_archive

    patch(Archive, "archive_awards", make)


def _replace(name: str, text: str, old: str, new: str) -> bytes:
    if old not in text:
        raise LookupError(f"{name} does not say {old!r} any more")
    return text.replace(old, new).encode()


def _forget_archived() -> None:
    """An id is looked for among the awards alone, and not among those of deleted ones."""
    _edit_functions(("score.find_recorded", "archived_revision > 0", "archived_revision < 0"))


def _lose_ids() -> None:
    """Awards are deleted, and their ids are not kept."""
    _edit_functions(("score.delete_archived", "ON CONFLICT DO NOTHING", "AND false ON CONFLICT DO NOTHING"))


def _reverse_archived() -> None:
    """An archived award can be taken back as long as its row is there, and it stays there."""
    _edit_functions(
        (
            "score.find_award",
            "a.revision > (SELECT archived_revision",
            "a.revision > (SELECT 0 * archived_revision",
        ),
        (
            "score.delete_archived",
            "v_cut := (SELECT archived_revision",
            "v_cut := (SELECT 0 * archived_revision",
        ),
    )


def _trust_expired() -> None:
    """A certificate is checked at the handshake alone, so a connection outlasts it."""
    patch(Peer, "require_valid", lambda _: lambda _self, _now: None)


MISTAKES: Final[Mapping[str, Callable[[], None]]] = {
    "retried_increment": _retry_increments,
    "no_gate": _open_gate,
    "ties_by_name": _rank_ties_by_name,
    "ranks_from_zero": _count_ranks_from_zero,
    "skipped_rows": _skip_rows,
    "early_answer": _answer_before_commit,
    "rejected_made": _make_what_is_rejected,
    "forgiven_conflict": _forgive_conflicts,
    "forgotten_request": _forget_requests,
    "mixed_read": _mix_reads,
    "blind_read": _read_blindly,
    "lost_update": _lose_updates,
    "forgotten_missed": _forget_the_missed,
    "trusted_header": _trust_headers,
    "stale_read": _trust_what_is_stale,
    "stale_watch": _show_what_is_stale,
    "late_counted": _count_late_awards,
    "begun_late": _begin_late,
    "digested_too_little": _digest_too_little,
    "reversed_twice": _take_points_again,
    "hidden_listed": _list_who_is_hidden,
    "skipped_entry": _skip_entries,
    "forgotten_archived": _forget_archived,
    "lost_ids": _lose_ids,
    "archived_reversed": _reverse_archived,
    "trusted_expired": _trust_expired,
}
"""By name."""
