"""Which addresses links from strangers may lead to: those of the public internet only.

A link, or a redirect, to `169.254.169.254` or `localhost` would have this machine ask its own
cloud provider or its own services (server-side request forgery, CWE-918). A name may resolve to
any address, and to another one a second later: so addresses are checked where sockets are made.
"""

import ipaddress
import socket
from typing import Any

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class PrivateAddressError(OSError):
    """A host whose address is not one of the public internet.

    Attributes:
        address: as the name resolved to it.
    """

    def __init__(self, address: str):
        # The same text for every address: a host with several of them then still raises this.
        super().__init__("not an address of the public internet")
        self.address = address


def public_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """Makes the socket for a connection; the `socket_factory` of `aiohttp.TCPConnector`.

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
    """Whether an IPv4 or IPv6 address, and any IPv4 address inside, is globally routable.

    >>> is_public("8.8.8.8"), is_public("10.0.0.1"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return all(_is_public(each) for each in (parsed, *_inside(parsed)))


def _is_public(address: Address) -> bool:
    local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or local)


def _inside(address: Address) -> list[Address]:
    """IPv4 addresses that an IPv6 address stands for; `::ffff:…` alone is not global by itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]
