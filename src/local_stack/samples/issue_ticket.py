"""A backend of its own gives a player a ticket, and the player redeems it at the gateway.

The backend needs neither a certificate nor the score service: the gateway knows the public half of its key.
Give `issue()` a `ticket_id` that names what happened, and it pays once, however often a ticket is issued.
"""

import json
import urllib.request
from pathlib import Path

from score_client.tickets import TicketKey, issue

GATEWAY = "http://localhost:8080"
KEYS = Path(__file__).with_name("keys") / "sample-issuer"


def issue_ticket(result: object) -> str:
    """Do what the backend does: sign a ticket for ten points of Ada."""
    newest = max(KEYS.glob("*.pem"))
    return issue(
        TicketKey.read(newest, key_id=newest.stem),
        issuer="https://sample.laurel.local",
        board_id="main",
        user_id="ada",
        points=10,
        action_id="hello",
        result=result,
    )


def redeem(ticket: str, result: object) -> dict[str, object]:
    """Do what the player's client does: redeem the ticket together with the result."""
    request = urllib.request.Request(
        f"{GATEWAY}/api/v1/score/update",
        json.dumps({"data": result}).encode(),
        {"Authorization": f"Bearer {ticket}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: dict[str, object] = json.load(response)
    return answer


def main() -> None:
    """Issue a ticket, redeem it, and print what it brought."""
    result = {"place": 1, "of": 4}
    answer = redeem(issue_ticket(result), result)
    total, rank = answer["newTotalScore"], answer["newRank"]
    print(f"+{answer['scoreIncrease']} for sample:ada: {total} points, rank {rank}")


if __name__ == "__main__":
    main()
