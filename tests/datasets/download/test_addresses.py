"""Addresses that links from strangers must not lead to."""

import socket

import pytest

from fashion_jax.datasets.download.addresses import PrivateAddressError, is_public, public_socket


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2001:4860:4860::8888"])
def test_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",  # carriers' networks
        "169.254.169.254",  # where clouds keep their machines' credentials
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:7f00:1::",  # 127.0.0.1 in 6to4
        "not an address",
    ],
)
def test_not_public(address):
    assert not is_public(address)


def test_sockets_are_made_for_public_addresses_only():
    kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
    with public_socket((*kind, ("8.8.8.8", 80))) as made:  # nothing is connected
        assert made.family == socket.AF_INET
    with pytest.raises(PrivateAddressError) as caught:
        public_socket((*kind, ("169.254.169.254", 80)))
    assert caught.value.address == "169.254.169.254"
