"""Keeps links from strangers on the public internet.

A link, or a redirect, to `169.254.169.254` or `localhost` would make this machine query its own
cloud provider or its own services (server-side request forgery, CWE-918). A name may resolve to
any address, and to another one a second later, so addresses are checked where sockets are made.
"""

import ipaddress
import socket
from typing import Any

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# 6to4 (RFC 7526 retires it; it tunnels to any IPv4 address) and site-local (RFC 3879 retires it):
# `ipaddress` takes both for global. Teredo is not global to it.
_REFUSED = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("fec0::/10"))


class PrivateAddressError(OSError):
    """Raised for a host whose address is not on the public internet.

    Attributes:
        address: the refused address.
    """

    def __init__(self, address: str):
        # The same text for every address: a host with several of them then still raises this.
        super().__init__("not an address of the public internet")
        self.address = address


def public_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """Make the socket for a connection; the `socket_factory` of `aiohttp.TCPConnector`.

    Args:
        address_info: one of the tuples of `socket.getaddrinfo`.

    Raises:
        PrivateAddressError: the address is not public.
    """
    family, kind, protocol, _, (address, *_) = address_info
    if not is_public(address):
        raise PrivateAddressError(address)
    return socket.socket(family=family, type=kind, proto=protocol)


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address is globally routable; tunnels to other addresses are not.

    >>> is_public("8.8.8.8"), is_public("10.0.0.1"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if parsed in _NAT64:
        parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    refused = parsed.is_multicast or any(parsed in network for network in _REFUSED)
    return parsed.is_global and not refused
