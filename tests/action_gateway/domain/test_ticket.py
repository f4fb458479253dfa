"""Tickets: which award they name."""

from action_gateway.domain.ticket import find_ticket_award_id


def test_tickets_of_two_issuers_with_the_same_id_are_of_two_awards() -> None:
    names = [find_ticket_award_id(*pair) for pair in (("a", "b"), ("c", "b"), ("a", "bc"), ("ab", "c"))]
    assert len(set(names)) == 4
    assert find_ticket_award_id("a", "b") == names[0]
    assert names[0].version == 5
