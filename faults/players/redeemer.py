"""Shows tickets at gateways, and keeps a record of each request and its answer."""

import time
from dataclasses import dataclass, field

from faults.model.history import History, Outcome, Redemption
from faults.players.gateway_client import GatewayClient, NotNowError
from faults.players.ticket import Ticket
from faults.players.verdict import Verdict, judge_ticket

_PATH = "/score/update"


@dataclass(frozen=True, slots=True)
class Redeemer:
    """The bearer of a ticket, who needs no access token."""

    name: str
    history: History = field(repr=False)

    async def show(self, ticket: Ticket, gateway: GatewayClient, result: object = None) -> Redemption:
        """Send one request, with the result that the ticket was given for, or another one."""
        sent = ticket.result if result is None else result
        began, shown_at = time.monotonic(), time.time()
        verdict = Verdict(Outcome.UNKNOWN, reason="left")
        try:
            verdict = await _ask(ticket, gateway, sent)
        finally:
            redemption = Redemption(
                caller=self.name,
                asked=ticket.asked,
                began=began,
                ended=time.monotonic(),
                outcome=verdict.outcome,
                result=verdict.result,
                reason=verdict.reason,
                shown_at=shown_at,
                issued_at=ticket.claims["iat"],
                expires_at=ticket.claims["exp"],
                is_genuine=ticket.is_genuine,
                has_result=sent == ticket.result,
            )
            self.history.add(redemption)
        return redemption


async def _ask(ticket: Ticket, gateway: GatewayClient, result: object) -> Verdict:
    try:
        answer = await gateway.post(_PATH, {"data": result}, {"Authorization": f"Bearer {ticket.token}"})
    except NotNowError as error:
        return Verdict(Outcome.UNKNOWN, reason=error.reason, final=False)
    return judge_ticket(answer)
