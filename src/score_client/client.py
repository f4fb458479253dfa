"""The client: one object for all calls to the score service.

Its methods may be called from many tasks at once. A call takes its timeout at most, all tries together.
What is sent is judged by the service and not a second time here.
"""

import warnings
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar
from uuid import UUID, uuid4

from grpc.aio import UnaryUnaryMultiCallable
from uuid_utils.compat import uuid7

from score_api.v1 import board_service_pb2 as boards
from score_api.v1 import leaderboard_service_pb2 as leaderboards
from score_api.v1 import ledger_service_pb2 as ledger
from score_api.v1 import score_service_pb2 as scores
from score_client.calls.awards import Awards
from score_client.calls.corrections import CorrectionCalls
from score_client.calls.entries import EntryReader, canonical_kinds
from score_client.calls.marshal import (
    canonical_instant,
    canonical_kind,
    canonical_trace_id,
    canonical_uuid,
    decode_award,
    decode_board,
    decode_boards_view,
    decode_period_result,
    decode_periods_view,
    decode_standing_view,
    decode_standings_view,
    encode,
    invalid,
    names,
)
from score_client.calls.watch import Watcher
from score_client.entry_types import Entry, EntryKind
from score_client.errors import UnavailableError
from score_client.transport import tracing
from score_client.transport.channel import RenewedChannel
from score_client.transport.connection import HEALTH_REQUEST, HEALTHY, Stubs
from score_client.transport.credentials import CertificateStatus, ClientCredentials
from score_client.transport.retry import outcome, retried_calls
from score_client.types import (
    AwardResult,
    BoardsView,
    BoardView,
    PeriodKind,
    PeriodResult,
    PeriodsView,
    StandingsView,
    StandingView,
    WatchEvent,
)

LONGEST_TIMEOUT = 86_400.0

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class ScoreClient(CorrectionCalls):
    """A client of the score service, open within its `async with` block.

    It makes spans of its calls if the program has set up OpenTelemetry before.

    A read or a watch takes a `period`: `all_time`, which is also what the empty text means; `day`, `week`,
    `month` or `season` for the current one; `day:previous` and so on for the last one that is final; or an id
    such as `week:2026-W49`. One that the board does not have, or that has not begun, is a PeriodUnknownError.

    Args:
        target: A gRPC name such as `dns:///score-service:50051`. Calls go round all healthy servers
            behind it.
        credentials: The certificate files. They are read again when they change.
        timeout: Seconds a call may take, if it does not say otherwise.
        attempt_timeout: Seconds one try of a call may take, before it is tried again within its timeout.
        stall_timeout: Seconds a watch may receive nothing before it reconnects. The service sends a sign of
            life every 15 s.
        certificate_check_interval: Seconds between two looks at the certificate files.
        connection_age: Seconds after which a connection is replaced, though the files are the same. It bounds
            for how long the service's certificate may have ended since it was checked; the service ends
            connections by age, too. A connection to a server whose certificate has expired is closed at
            the next look at the files.
        certificate_activation_delay: Seconds for which a renewed certificate has been valid before it is
            used, while the old one is valid: for servers whose clocks are behind. 0 uses it at once.
        server_name: The name the service's certificate must carry, if it is not the one in `target`.

    Raises:
        InvalidRequestError: A number of seconds is not above 0 (the delay may be 0), or is more than a day.
    """

    def __init__(  # noqa: PLR0913 - a target, and what may be set by name
        self,
        target: str,
        *,
        credentials: ClientCredentials,
        timeout: float = 5.0,
        attempt_timeout: float = 2.0,
        stall_timeout: float = 45.0,
        certificate_check_interval: float = 5.0,
        connection_age: float = 1800.0,
        certificate_activation_delay: float = 300.0,
        server_name: str | None = None,
    ) -> None:
        self._open = False
        self._target = target
        self._timeout = _seconds("timeout", timeout)
        self._attempt_timeout = _seconds("attempt_timeout", attempt_timeout)
        self._stall_timeout = _seconds("stall_timeout", stall_timeout)
        self._channel = RenewedChannel(
            target,
            credentials,
            server_name=server_name,
            check_interval=_seconds("certificate_check_interval", certificate_check_interval),
            connection_age=_seconds("connection_age", connection_age),
            activation_delay=_seconds(
                "certificate_activation_delay", certificate_activation_delay, may_be_zero=True
            ),
        )
        self._tracer = tracing.find_tracer()
        self._awards = Awards(self._channel, self._tracer, call_timeout=self._attempt_timeout)

    async def __aenter__(self) -> Self:
        """Open the client; it connects in the background.

        Raises:
            CredentialsError: The certificate files cannot be used.
        """
        await self._channel.open()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client. Calls and watches still under way end with ClientClosedError."""
        self._open = False
        await self._channel.close()
        await self._awards.finish()

    def __repr__(self) -> str:
        return f"<ScoreClient {self._target!r} {'open' if self._open else 'closed'}>"

    def __del__(self) -> None:
        if self._open:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, source=self, stacklevel=2)

    def certificate_status(self) -> CertificateStatus:
        """Return when the certificate in use and its authority expire, and whether the files are in use.

        It reads no file: export it as metrics, and alert before either ends or while there is a fault.

        Raises:
            ClientClosedError: The client is not open.
        """
        return self._channel.status()

    async def award(  # noqa: PLR0913 - the fields of an award, all by name
        self,
        *,
        board_id: str,
        user_id: str,
        points: int,
        action_type: str,
        action_id: str,
        award_id: UUID | None = None,
        request_id: UUID | None = None,
        trace_id: str | None = None,
        occurred_at: datetime | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncio's would cancel a try
    ) -> AwardResult:
        """Give a user points, exactly once for each (`board_id`, `award_id`).

        Awards asked for at the same time share a call to the service.

        All tries of one call carry the same ids, so that a retry after a lost answer is told the first
        outcome. After an UnavailableError, send the award again with the same two ids.

        Args:
            board_id: The board; made by its first award. Ids are 1 to 128 characters of
                `[A-Za-z0-9._:@-]`.
            user_id: Who gets the points.
            points: 1 to 1,000,000, and not more than the service's policy allows the caller.
            action_type: The kind of action.
            action_id: The action.
            award_id: Names the award on its board for ever. By default a new one of version 7,
                which costs a long ledger less than a random one.
            request_id: Names this logical call, also in the service's log. By default a new one.
            trace_id: A W3C trace id, 32 hexadecimal digits, for the service's log and ledger. By default
                that of the current span, if there is one.
            occurred_at: When it happened, with a time zone: not in the future, and no longer ago than the
                service's policy allows the caller. It decides in which periods of the board the award counts.
                By default the time at which the service records it.
            timeout: Seconds the call may take.

        Raises:
            AwardConflictError: The award id was used for something else.
            AwardArchivedError: The award was made before, and is archived.
            TotalOutOfRangeError: The user's total would pass 2^53-1.
            PeriodClosedError: It comes too late for its period, and the board refuses late awards.
            OccurredAtOutOfRangeError: It happened in the future, or too long ago.
            QuotaExceededError: The caller's quota is used up.
            InvalidRequestError, NotAuthenticatedError, NotAllowedError: The award was rejected.
            UnavailableError, ServiceFaultError: The outcome is unknown.
        """
        award = encode(
            scores.Award,
            "award.",
            award_id=canonical_uuid("award.award_id", uuid7() if award_id is None else award_id),
            board_id=board_id,
            user_id=user_id,
            points=points,
            action_type=action_type,
            action_id=action_id,
            occurred_at=canonical_instant("award.occurred_at", occurred_at),
        )
        name = canonical_uuid("request_id", uuid4() if request_id is None else request_id)
        request = scores.AwardPointsRequest(
            award=award, request_id=name, trace_id=canonical_trace_id(trace_id)
        )
        within = self._timeout if timeout is None else _seconds("timeout", timeout)

        with tracing.award(self._tracer, request):
            return decode_award(await self._awards.send(request, within=within))

    async def get_award(self, *, board_id: str, award_id: UUID) -> AwardResult:
        """Return the first result of an award.

        Raises:
            AwardNotFoundError: The board has no such award, or does not exist.
            HistoryArchivedError: The award was made, and is archived.
        """
        request = encode(
            scores.GetAwardRequest, board_id=board_id, award_id=canonical_uuid("award_id", award_id)
        )
        response = await self._call(lambda stubs: stubs.scores.GetAward, request)
        return decode_award(response.result)

    async def ping(self) -> None:
        """Ask whether the service is there and ready. That costs it nothing but the answer.

        Raises:
            NotAllowedError: The policy does not name the caller.
            UnavailableError: It is not there, or not ready.
        """
        status = await self._call(lambda stubs: stubs.health, HEALTH_REQUEST)
        if status != HEALTHY:
            raise UnavailableError("NOT_SERVING", "The service is not ready.")

    async def get_standing(
        self, *, board_id: str, user_id: str, min_revision: int | None = None, period: str = ""
    ) -> StandingView:
        """Return one user's standing, at `min_revision` or later.

        Raises:
            StandingNotFoundError: The user has no award on this board, or in this period.
            BoardNotFoundError: No award was ever made on this board.
            PeriodUnknownError: The board has no such period.
        """
        request = encode(
            leaderboards.GetStandingRequest,
            board_id=board_id,
            user_id=user_id,
            min_revision=min_revision,
            period=period,
        )
        response = await self._call(lambda stubs: stubs.leaderboards.GetStanding, request)
        return decode_standing_view(response)

    async def batch_get_standings(
        self,
        *,
        board_id: str,
        user_ids: Iterable[str],
        min_revision: int | None = None,
        period: str = "",
    ) -> StandingsView:
        """Return the standings of 1 to 1000 users, in their order; users without an award are left out.

        Raises:
            BoardNotFoundError: No award was ever made on this board.
            PeriodUnknownError: The board has no such period.
        """
        request = encode(
            leaderboards.BatchGetStandingsRequest,
            board_id=board_id,
            user_ids=names("user_ids", user_ids),
            min_revision=min_revision,
            period=period,
        )
        response = await self._call(lambda stubs: stubs.leaderboards.BatchGetStandings, request)
        return decode_standings_view(response)

    async def list_standings(
        self,
        *,
        board_id: str,
        page_size: int = 50,
        page_token: str = "",
        min_revision: int | None = None,
        period: str = "",
    ) -> StandingsView:
        """Return a page of the board, best first; above 1000 standings a page means 1000.

        Raises:
            BoardNotFoundError: No award was ever made on this board.
            PeriodUnknownError: The board has no such period.
        """
        request = encode(
            leaderboards.ListStandingsRequest,
            board_id=board_id,
            page_size=page_size,
            page_token=page_token,
            min_revision=min_revision,
            period=period,
        )
        response = await self._call(lambda stubs: stubs.leaderboards.ListStandings, request)
        return decode_standings_view(response)

    async def list_standings_around(
        self,
        *,
        board_id: str,
        user_id: str,
        radius: int = 2,
        min_revision: int | None = None,
        period: str = "",
    ) -> StandingsView:
        """Return a user's standing between its neighbours, `radius` (0 to 100) on each side.

        Raises:
            StandingNotFoundError: The user has no award on this board, or in this period.
            BoardNotFoundError: No award was ever made on this board.
            PeriodUnknownError: The board has no such period.
        """
        request = encode(
            leaderboards.ListStandingsAroundRequest,
            board_id=board_id,
            user_id=user_id,
            radius=radius,
            min_revision=min_revision,
            period=period,
        )
        response = await self._call(lambda stubs: stubs.leaderboards.ListStandingsAround, request)
        return decode_standings_view(response)

    async def watch(
        self,
        *,
        board_id: str,
        top_n: int = 10,
        after_position: str | None = None,
        all_scores: bool = False,
        user_ids: Iterable[str] = (),
        period: str = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield the top of the board, and then what changes, until the caller has enough.

        A broken stream is resumed where it was, for as long as it takes. The snapshot it begins with is
        passed on; with `reset`, the scores seen so far are of no worth any more.

        Args:
            board_id: The board.
            top_n: How much of the top to tell, 1 to 100.
            after_position: Where an earlier watch ended. The score changes since then follow the first
                snapshot.
            all_scores: Tell the score changes of every user.
            user_ids: Tell the score changes of these users, at most 1000.
            period: Which standings to follow. A watch of a current period goes on with the next one, by a
                snapshot that names it.

        Raises:
            BoardNotFoundError: No award was ever made on this board.
            PeriodUnknownError: The board has no such period, or no current one any more.
            InvalidRequestError, NotAuthenticatedError, NotAllowedError: The watch was rejected.
        """
        request = encode(
            leaderboards.WatchLeaderboardRequest,
            board_id=board_id,
            top_n=top_n,
            after_position=after_position,
            all_scores=all_scores,
            user_ids=names("user_ids", user_ids),
            period=period,
        )
        watcher = Watcher(
            self._channel, request, first_timeout=self._timeout, stall_timeout=self._stall_timeout
        )
        async with aclosing(watcher.events()) as events:
            async for event in events:
                yield event

    async def entries(
        self,
        *,
        board_id: str,
        after_position: str = "",
        kinds: Iterable[EntryKind] = (),
        on_checkpoint: Callable[[str], None] = lambda _position: None,
    ) -> AsyncGenerator[Entry, None]:
        """Yield the entries of the board's ledger in order, and go on with new ones as they are made.

        Each comes once, and none is left out of the kinds that are asked for. A broken stream is resumed
        after the last entry, for as long as it takes. Only what all synchronous standbys of the record have
        is handed over, so that no failover takes it back.

        Keep the `position` of an entry once it has been handled, and go on from there another time.
        Readers of rare kinds of a board that is archived must keep the positions of `on_checkpoint` as well.

        Args:
            board_id: The board.
            after_position: Where to go on; the empty text for the start of the ledger.
            kinds: Entries of these kinds alone; none for all.
            on_checkpoint: Called with a position where the ledger has gone on without such entries, once
                the ones before it were handled.

        Raises:
            BoardNotFoundError: No award was ever made on this board.
            PositionUnknownError: The position is not of the board's ledger: the record was restored to an
                earlier state. What was read after that state never happened.
            HistoryArchivedError: Entries after the position are archived. It says where a feed may go on.
            InvalidRequestError, NotAuthenticatedError, NotAllowedError: The request was rejected.
        """
        request = encode(
            ledger.StreamEntriesRequest,
            board_id=board_id,
            after_position=after_position,
            kinds=canonical_kinds("kinds", kinds),
        )
        reader = EntryReader(
            self._channel,
            request,
            first_timeout=self._timeout,
            stall_timeout=self._stall_timeout,
            on_checkpoint=on_checkpoint,
        )
        async with aclosing(reader.entries()) as entries:
            async for entry in entries:
                yield entry

    async def get_board(self, *, board_id: str) -> BoardView:
        """Return a board and its settings.

        Raises:
            BoardNotFoundError: There is no such board.
        """
        request = encode(boards.GetBoardRequest, board_id=board_id)
        return decode_board((await self._call(lambda stubs: stubs.boards.GetBoard, request)).board)

    async def list_boards(self, *, page_size: int = 50, page_token: str = "") -> BoardsView:
        """Return a page of the boards that the policy lets the caller see, in the order of their ids."""
        request = encode(boards.ListBoardsRequest, page_size=page_size, page_token=page_token)
        return decode_boards_view(await self._call(lambda stubs: stubs.boards.ListBoards, request))

    async def get_period(self, *, board_id: str, period: str, winners: int = 0) -> PeriodResult:
        """Return a period with its best, 0 to 100 of them.

        Raises:
            BoardNotFoundError: There is no such board.
            PeriodUnknownError: The board has no such period, or it has not begun.
        """
        request = encode(boards.GetPeriodRequest, board_id=board_id, period=period, winners=winners)
        response = await self._call(lambda stubs: stubs.boards.GetPeriod, request)
        return decode_period_result(response.result)

    async def list_periods(
        self,
        *,
        board_id: str,
        kind: PeriodKind | None = None,
        winners: int = 0,
        page_size: int = 50,
        page_token: str = "",
    ) -> PeriodsView:
        """Return a page of the periods that anyone has points in, the last to end first.

        Args:
            board_id: The board.
            kind: Only periods of this kind; None for those of all kinds.
            winners: How many of the best of each, 0 to 100.
            page_size: How many periods; above 1000 means 1000.
            page_token: Where the page starts.

        Raises:
            BoardNotFoundError: There is no such board.
        """
        request = encode(
            boards.ListPeriodsRequest,
            board_id=board_id,
            kind=canonical_kind("kind", kind),
            winners=winners,
            page_size=page_size,
            page_token=page_token,
        )
        return decode_periods_view(await self._call(lambda stubs: stubs.boards.ListPeriods, request))

    async def _call(
        self,
        method: Callable[[Stubs], UnaryUnaryMultiCallable[_Request, _Response]],
        request: _Request,
    ) -> _Response:
        async def attempt(seconds: float) -> _Response:
            ask = method(self._channel.current.stubs)
            with tracing.call(self._tracer, request) as metadata:
                return await outcome(ask(request, timeout=seconds, metadata=metadata))

        return await retried_calls(attempt, within=self._timeout, call_timeout=self._attempt_timeout)


def _seconds(field: str, value: object, *, may_be_zero: bool = False) -> float:
    if isinstance(value, int | float) and (0 < value <= LONGEST_TIMEOUT or (may_be_zero and value == 0)):
        return value
    least = "at least 0" if may_be_zero else "above 0"
    raise invalid({field: f"must be {least} and at most {LONGEST_TIMEOUT:.0f} seconds"})
