"""Whatever happens to tickets, in whatever order, at two gateways that may die at any step: each pays once.

The model decides what each request is to be answered, and what is in the ledger in the end.
"""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import httpx2 as httpx
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.fixtures.services.gateway import Gateway, StartGateway
from tests.fixtures.services.score_service import ScoreService

from action_gateway.accounts.score_tickets import LEEWAY_SECONDS, ScoreTickets
from action_gateway.actions.instants import Instants
from action_gateway.store.store import Store
from faults.players.ticket import Ticket
from score_client import ScoreClient, UnavailableError

_MORE = int(os.environ.get("HISTORIES", "0"))
"""How many histories to run, drawn anew each time; without it some, the same ones each time."""
_TICKETS = ("wave", "wave", "check_in", "check_in")
"""The actions of the tickets that are out: two for an award of their own, and two for one award together."""
_LIFETIME = 60
_A_WHILE = 45
"""Less than a ticket lives; twice that is more, and no slow machine makes a difference."""

Then: TypeAlias = Literal[
    "it goes on",
    "the request gets lost",
    "the answer gets lost",
    "it dies before the award",
    "it dies after the award",
    "it dies before it keeps the ticket",
]
"""What becomes of the request of the gateway to the score service, and of the gateway."""
_THENS: tuple[Then, ...] = get_args(Then)
_LOST: tuple[Then, ...] = ("the request gets lost", "it dies before it keeps the ticket")
_UNTOLD: tuple[Then, ...] = ("the answer gets lost", "it dies after the award")
_KEPT: tuple[Then, ...] = ("the request gets lost", "the answer gets lost")


@dataclass(frozen=True)
class Show:
    """Someone shows one of the tickets at one of the gateways, with its result or another."""

    ticket: int
    gateway: int = 0
    right: bool = True
    then: Then = "it goes on"


@dataclass(frozen=True)
class Together:
    """Several show tickets at once, and nothing is lost."""

    shows: tuple[Show, ...]


@dataclass(frozen=True)
class Perform:
    """An action is performed again, and its new ticket takes the place of the former one."""

    ticket: int
    gateway: int = 0


@dataclass(frozen=True)
class Pass:
    """Time passes."""

    seconds: int


Operation: TypeAlias = Show | Together | Perform | Pass

_tickets, _gateways = st.integers(0, len(_TICKETS) - 1), st.integers(0, 1)
_shows = st.builds(Show, _tickets, _gateways, st.booleans())
_operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Show, _tickets, _gateways, st.just(value=True), st.sampled_from(_THENS)),
    _shows,
    st.builds(Together, st.lists(_shows, min_size=2, max_size=6).map(tuple)),
    st.builds(Perform, _tickets, _gateways),
    st.builds(Pass, st.sampled_from((_A_WHILE, 3600))),
)


class DiedError(Exception):
    """The gateway has died: it does nothing more for this request."""


@dataclass
class Way:
    """The way from the gateways to the score service and to their store, as far as tickets take it."""

    then: Then = "it goes on"

    def lead(self, patch: pytest.MonkeyPatch) -> None:
        """Have all requests take it."""
        award, keep = ScoreClient.award, Store.reserve_attempt

        async def award_or_not(client: ScoreClient, **asked: Any) -> Any:
            if self.then in _LOST:
                raise UnavailableError("UNAVAILABLE", "Nobody answers.")
            if self.then == "it dies before the award":
                raise DiedError
            made = await award(client, **asked)
            if self.then == "the answer gets lost":
                raise UnavailableError("UNAVAILABLE", "Nobody answers.")
            if self.then == "it dies after the award":
                raise DiedError
            return made

        async def keep_or_not(store: Store, *args: Any, **asked: Any) -> Any:
            if self.then == "it dies before it keeps the ticket":
                raise DiedError
            return await keep(store, *args, **asked)

        patch.setattr(ScoreClient, "award", award_or_not)
        patch.setattr(Store, "reserve_attempt", keep_or_not)


@dataclass
class Right:
    """What is known of one award."""

    paid: tuple[int, int] | None = None
    """The first outcome: points, and the total after them."""
    is_kept: bool = False
    """Whether a gateway has kept that a ticket came in time."""


@dataclass
class World:
    """One player, the tickets that are out, and what has become of them."""

    gateways: Sequence[Gateway]
    way: Way
    user_id: str
    tickets: list[dict[str, Any]] = field(default_factory=list)
    rights: defaultdict[str, Right] = field(default_factory=lambda: defaultdict(Right))
    total: int = 0

    async def begin(self) -> None:
        """Get a ticket of each action."""
        for number, action_id in enumerate(_TICKETS):
            player = self.gateways[number % 2].as_player(self.user_id)
            self.tickets.append(await player.perform(action_id))

    async def run(self, operation: Operation) -> None:
        """Do it, and judge the answers."""
        match operation:
            case Show():
                self._judge(operation, await self._show(operation))
            case Together(shows):
                self._judge_all(shows, await asyncio.gather(*map(self._show, shows)))
            case Perform(ticket, gateway):
                await self._perform(ticket, gateway)
            case Pass(seconds):
                for one in self.gateways:
                    one.clock.advance(seconds)

    async def end(self) -> None:
        """Show everything once more, and compare the ledger."""
        for number in range(len(_TICKETS)):
            await self.run(Show(number))
        paid = {award_id for award_id, right in self.rights.items() if right.paid}
        async with await psycopg.AsyncConnection.connect(
            self.gateways[0].database.score_owner_dsn
        ) as connection:
            cursor = await connection.execute(
                "SELECT award_id::text, points, action_type FROM score.award WHERE user_id = %s",
                (self.user_id,),
            )
            rows = await cursor.fetchall()
        assert sorted(row[0] for row in rows) == sorted(paid)
        assert sum(row[1] for row in rows) == self.total
        assert {row[2] for row in rows} <= {"instant"}

    async def _perform(self, number: int, gateway: int) -> None:
        player = self.gateways[gateway].as_player(self.user_id)
        response = await player.post("/actions/perform", {"actionId": _TICKETS[number], "data": None})
        if response.status_code == 200:
            self.tickets[number] = response.json()
            assert self._right(number).paid is None
        else:
            assert response.json()["code"] == "action_already_completed"
            assert self._right(number).paid == _outcome(response.json()["award"])

    async def _show(self, show: Show) -> httpx.Response:
        performed = self.tickets[show.ticket]
        result = performed["result"] if show.right else performed["result"] | {"points": 1_000}
        self.way.then = show.then
        try:
            player = self.gateways[show.gateway].as_player(self.user_id)
            return await player.redeem(performed, result=result)
        finally:
            self.way.then = "it goes on"

    def _judge(self, show: Show, response: httpx.Response) -> None:
        right, rejection = self._right(show.ticket), self._reject(show)
        was_paid = right.paid is not None
        if rejection or (was_paid and show.then == "it goes on"):
            assert _code(response) == ("ticket_used" if was_paid else rejection)
            self._check_award(show, response)
            return
        if show.then in _UNTOLD and not was_paid:
            self._pay(show)
        right.is_kept |= show.then in _KEPT
        if show.then == "it goes on":
            assert _code(response) == 200
            self._pay(show, response)
        else:
            assert _code(response) == ("unavailable" if show.then in _KEPT else "internal")

    def _judge_all(self, shows: Sequence[Show], responses: Sequence[httpx.Response]) -> None:
        """One of the good ones is paid. The others may have come before it or after it."""
        firsts = Counter[str]()
        was_paid = {self._award_id(show.ticket): self._right(show.ticket).paid is not None for show in shows}
        is_good = dict.fromkeys(was_paid, False)
        for show, response in sorted(zip(shows, responses, strict=True), key=_order):
            award_id, rejection = self._award_id(show.ticket), self._reject(show)
            is_good[award_id] |= rejection is None
            if _code(response) == 200:
                assert rejection is None
                assert not was_paid[award_id]
                firsts[award_id] += 1
                self._pay(show, response)
            elif rejection and not was_paid[award_id]:
                assert _code(response) in {rejection, "ticket_used"}
            else:
                assert _code(response) == "ticket_used"
            self._check_award(show, response)
        assert firsts == {
            award_id: 1 for award_id, paid in was_paid.items() if is_good[award_id] and not paid
        }

    def _reject(self, show: Show) -> str | None:
        """Return what is wrong with a request, where the ticket was not paid before."""
        if not show.right:
            return "ticket_data_mismatch"
        now = self.gateways[show.gateway].clock()
        is_late = now >= Ticket(**self._ticket(show.ticket)).claims["exp"] + LEEWAY_SECONDS
        return "ticket_expired" if is_late and not self._right(show.ticket).is_kept else None

    def _pay(self, show: Show, response: httpx.Response | None = None) -> None:
        """Note that a ticket is paid now, which the answer says if there is one."""
        points = self.tickets[show.ticket]["result"]["points"]
        self.total += points
        self._right(show.ticket).paid = (points, self.total)
        if response is not None:
            body = response.json()
            assert (body["scoreIncrease"], body["newTotalScore"]) == (points, self.total)

    def _check_award(self, show: Show, response: httpx.Response) -> None:
        if _code(response) == "ticket_used":
            assert _outcome(response.json()["award"]) == self._right(show.ticket).paid

    def _right(self, number: int) -> Right:
        return self.rights[self._award_id(number)]

    def _award_id(self, number: int) -> str:
        return Ticket(**self._ticket(number)).asked.award_id

    def _ticket(self, number: int) -> dict[str, Any]:
        return {name: self.tickets[number][name] for name in ("token", "result")}


def _code(response: httpx.Response) -> int | str:
    """Return the status of what is good, and the code of what is not."""
    return response.status_code if response.status_code < 400 else str(response.json()["code"])


def _order(answered: tuple[Show, httpx.Response]) -> tuple[bool, int]:
    """Put what was paid first, in the order of the totals."""
    body = answered[1].json()
    return "newTotalScore" not in body, body.get("newTotalScore", 0)


def _outcome(award: dict[str, int]) -> tuple[int, int]:
    return award["pointsEarned"], award["newTotalScore"]


@pytest.fixture
async def gateways(start_gateway: StartGateway, score_service: ScoreService) -> list[Gateway]:
    return [
        await start_gateway(score_target=score_service.target, ticket_seconds=_LIFETIME) for _ in range(2)
    ]


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Way:
    way = Way()
    way.lead(monkeypatch)
    return way


async def live(gateways: Sequence[Gateway], way: Way, operations: Sequence[Operation]) -> None:
    """Run a history, judging after each operation and in the end."""
    user_id = (await gateways[0].player()).user_id
    world = World(gateways, way, user_id)
    await world.begin()
    for operation in operations:
        await world.run(operation)
    await world.end()


LATE = Pass(3600)


@pytest.mark.timeout(300 + _MORE)
@settings(
    max_examples=_MORE or 40,
    derandomize=not _MORE,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(_operations, max_size=12))
@example([Show(0, then=then) for then in _THENS])
@example([Show(0, then="the request gets lost"), LATE, Show(0, 1)])
@example([Show(0, then="the answer gets lost"), LATE, Show(0, 1, right=False)])
@example([Show(2, then="the request gets lost"), LATE, Show(3, 1), Perform(2)])
@example([Show(0, then="it dies before it keeps the ticket"), LATE, Show(0, 1)])
@example([Together((Show(2), Show(3, 1), Show(2, 1, right=False), Show(3))), LATE, Show(2)])
async def test_every_history_of_tickets_pays_each_award_once(
    gateways: list[Gateway], way: Way, operations: list[Operation]
) -> None:
    await live(gateways, way, operations)


async def test_model_catches_a_gateway_that_forgets_which_tickets_came_in_time(
    gateways: list[Gateway], way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forget(*_: object) -> None:
        pass

    monkeypatch.setattr(Instants, "_keep", forget)

    with pytest.raises(AssertionError):
        await live(gateways, way, [Show(0, then="the request gets lost"), LATE, Show(0, 1)])


async def test_model_catches_a_gateway_that_takes_late_tickets(
    gateways: list[Gateway], way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScoreTickets, "has_expired", lambda _tickets, _ticket: False)

    with pytest.raises(AssertionError):
        await live(gateways, way, [LATE, Show(0)])
