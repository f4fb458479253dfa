"""Mistakes of a gateway, as those of a score service in `score_mistakes`."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from action_gateway.accounts.score_tickets import ScoreTickets
from action_gateway.actions import actions
from action_gateway.actions.instants import Instants
from action_gateway.domain.ticket import Ticket
from action_gateway.issuers import claims
from action_gateway.leaderboard import subscription
from action_gateway.leaderboard.subscription import Subscription
from faults.launchers.patching import patch


def _name_awards_at_random() -> None:
    """A token is good for another award each time."""
    patch(actions, "find_award_id", lambda _: lambda _started: uuid.uuid4())


def _tell_the_top_of_before() -> None:
    """Updates name the revision of now, and have the top that was sent before."""

    def make(tell: Callable[..., Any]) -> Callable[..., Any]:
        return lambda told, _top, revision: tell(told, told, revision)

    patch(subscription, "make_update", make)


def _lose_scores() -> None:
    """A subscriber receives the first score only."""

    def make(offer: Callable[..., bool]) -> Callable[..., bool]:
        def offer_first(self: Any, standing: Any, revision: int) -> bool:
            return offer(self, standing, revision) if vars(self)["_me"] is None else False

        return offer_first

    patch(Subscription, "offer", make)


def _name_awards_of_tickets_at_random() -> None:
    """A ticket is good for another award each time."""
    patch(Ticket, "award_id", lambda _: property(lambda _ticket: uuid.uuid4()))


def _take_late_tickets() -> None:
    """A ticket is good for ever."""
    patch(ScoreTickets, "has_expired", lambda _: lambda _self, _ticket: False)


def _forget_tickets() -> None:
    """A ticket that came in time is not good later, though the score service did not say if it was paid."""

    async def forget(_self: Any, _ticket: Any) -> None:
        pass

    patch(Instants, "_keep", lambda _: forget)


def _pass_any_points() -> None:
    """An outside issuer may give as many points by a ticket as it likes."""

    def make(find_fault: Callable[..., Any]) -> Callable[..., Any]:
        return lambda said, issuer, now: find_fault(said, replace(issuer, points_max=said.points), now)

    patch(claims, "_find_fault", make)


MISTAKES: Final[Mapping[str, Callable[[], None]]] = {
    "new_award_each_time": _name_awards_at_random,
    "top_of_before": _tell_the_top_of_before,
    "lost_score": _lose_scores,
    "ticket_paid_twice": _name_awards_of_tickets_at_random,
    "late_ticket": _take_late_tickets,
    "forgotten_ticket": _forget_tickets,
    "generous_ticket": _pass_any_points,
}
"""By name."""
