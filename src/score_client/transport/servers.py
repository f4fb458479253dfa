"""The servers behind a target, as their certificates on the open connections have it.

gRPC for Python shows a client no certificate, but its introspection service (channelz) does, and needs no
server to be asked within the process.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cryptography import x509
from grpc_channelz.v1 import channelz_pb2
from grpc_channelz.v1.channelz import ChannelzServicer


class _Unreported:
    """Stands in for the context of a call: what cannot be found has been closed meanwhile."""

    def set_code(self, code: object) -> None:
        """Ignore it."""

    def set_details(self, details: object) -> None:
        """Ignore it."""


_CONTEXT = _Unreported()
# The stubs leave out that it returns None for what is closed, and ask for the context of a call.
_CHANNELZ: Any = ChannelzServicer


def have_expired(target: str, now: datetime) -> bool:
    """Return whether a server that this process is connected to by this name shows an expired certificate.

    Connections of other clients in the process to the same target count, too.
    """
    return any(now > _end_of(pem) for pem in _find_certificates(target))


def _find_certificates(target: str) -> Iterator[bytes]:
    for channel in _find_channels():
        if _name(channel.data.target) == _name(target):
            for subchannel_ref in channel.subchannel_ref:
                yield from _find_shown(subchannel_ref.subchannel_id)


def _find_channels() -> Iterator[channelz_pb2.Channel]:
    start = 0
    while True:
        page = _CHANNELZ.GetTopChannels(channelz_pb2.GetTopChannelsRequest(start_channel_id=start), _CONTEXT)
        if page is None:
            return
        yield from page.channel
        if page.end or not page.channel:
            return
        start = page.channel[-1].ref.channel_id + 1


def _find_shown(subchannel_id: int) -> Iterator[bytes]:
    request = channelz_pb2.GetSubchannelRequest(subchannel_id=subchannel_id)
    found = _CHANNELZ.GetSubchannel(request, _CONTEXT)
    for socket_ref in found.subchannel.socket_ref if found else ():
        socket = _CHANNELZ.GetSocket(channelz_pb2.GetSocketRequest(socket_id=socket_ref.socket_id), _CONTEXT)
        if socket and (pem := socket.socket.security.tls.remote_certificate):
            yield pem


def _name(target: str) -> str:
    """Return a target without the scheme and authority, which gRPC adds where they are left out."""
    return target.rpartition("/")[2]


def _end_of(pem: bytes) -> datetime:
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc
