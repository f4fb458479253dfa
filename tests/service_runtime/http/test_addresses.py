"""Addresses and networks in one spelling."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_runtime.http.addresses import parse_address, spell_networks


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:cb00:7109", "203.0.113.9"),
        ("0:0:0:0:0:ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9%eth0", "203.0.113.9"),
        ("64:ff9b::203.0.113.9", "203.0.113.9"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
    ],
)
def test_spellings_of_an_address_are_one_address(text: str, plain: str) -> None:
    assert str(parse_address(text)) == plain


@pytest.mark.parametrize("text", ["", "unknown", "203.0.113.09", "203.0.113.9:80", "[::1]", "1", "::ffff:1"])
def test_what_differs_by_more_than_spelling_is_not_an_ipv4_address(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert address.version == 6


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.0.0.0/8", ["10.9.8.7", "::ffff:10.9.8.7"], ["11.0.0.1", "::ffff:11.0.0.1", "::10.9.8.7"]),
        ("10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1"], ["10.0.0.2", "::ffff:10.0.0.2"]),
        ("::ffff:10.0.0.0/104", ["10.9.8.7", "::ffff:10.9.8.7"], ["11.0.0.1"]),
        ("fd00::/8", ["fd00::1", "fdff::1%eth0"], ["fe00::1", "10.0.0.1"]),
        ("fe80::1", ["fe80::1", "fe80::1%eth0"], ["fe80::2%eth0"]),
        ("0.0.0.0/0", ["10.0.0.1", "::ffff:10.0.0.1"], ["2001:db8::1"]),
    ],
)
def test_a_network_has_its_addresses_in_each_spelling(
    network: str, inside: list[str], outside: list[str]
) -> None:
    spelled = [ipaddress.ip_network(text) for text in spell_networks([network])]

    def is_inside(text: str) -> bool:
        return any(ipaddress.ip_address(text) in one for one in spelled)

    assert all(map(is_inside, inside))
    assert not any(map(is_inside, outside))


@given(st.ip_addresses(v=4))
def test_every_ipv4_address_is_one_client_however_it_is_spelled(address: ipaddress.IPv4Address) -> None:
    for spelled in (f"{address}", f"::ffff:{address}", f"64:ff9b::{address}"):
        assert parse_address(spelled) == address
