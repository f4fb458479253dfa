"""Addresses of clients in one spelling, so that they may be compared.

A socket that listens on both families, and proxies that have one, write 203.0.113.9 as ::ffff:203.0.113.9
(IPv4-mapped, RFC 4291 2.5.5.2). A translator in front of a network that has only IPv6 writes it as
64:ff9b::203.0.113.9 (RFC 6052 2.1). All of these are one client.
"""

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_V4_BITS: Final = 32
_PREFIX_BITS: Final = 96


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Parse an address: IPv4 as IPv4 however it was spelled, and IPv6 without a zone.

    Raises:
        ValueError: it is no address.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, IPv4Address):
        return address
    if address in _MAPPED or address in _TRANSLATED:
        return IPv4Address(int(address) & (2**_V4_BITS - 1))
    return IPv6Address(int(address))


def spell_networks(networks: Iterable[str]) -> list[str]:
    """Spell networks in every form in which one of their addresses may arrive from a socket or a proxy.

    An address counts as the network of that address alone, which it is in with any zone.

    Raises:
        ValueError: one is no network.
    """
    return [str(spelled) for text in networks for spelled in _spell(ipaddress.ip_network(text))]


def _spell(network: IPv4Network | IPv6Network) -> list[IPv4Network | IPv6Network]:
    if isinstance(network, IPv6Network):
        if not network.subnet_of(_MAPPED):
            return [IPv6Network((int(network.network_address), network.prefixlen))]
        bits = int(network.network_address) & (2**_V4_BITS - 1)
        network = IPv4Network((bits, network.prefixlen - _PREFIX_BITS))
    mapped = int(_MAPPED.network_address) | int(network.network_address)
    return [network, IPv6Network((mapped, network.prefixlen + _PREFIX_BITS))]
