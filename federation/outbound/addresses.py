"""The addresses that may be called: of one machine that everybody on the Internet can call, or not.

Tables of our own, from the IANA registries of special-purpose addresses: ``is_global`` differs from one patch
release of Python to the next, and takes 6to4, fec0:: and multicast for public.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address


def _nets(*networks: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(network) for network in networks]


_NEVER = _nets(
    "0.0.0.0/32",  # unspecified, which the kernel takes for loopback; ``::`` has it at its end
    "224.0.0.0/4", "255.255.255.255/32", "ff00::/8",  # not one machine
    "169.254.0.0/16", "fe80::/10",  # link-local, with the metadata of most clouds
    "fd00:ec2::/32", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128",  # AWS, Google, Oracle
    "100.100.100.200/32", "168.63.129.16/32",  # Alibaba; Azure, among public addresses
)  # fmt: skip
_SPECIAL = _nets(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "240.0.0.0/4",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",  # Teredo and ORCHID, documentation, 6to4
)  # fmt: skip
_UNICAST, _LOW, _NAT64, _NAT64_LOCAL = _nets("2000::/3", "::/64", "64:ff9b::/96", "64:ff9b:1::/48")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True for the address of one machine that everybody on the Internet can call."""
    if is_never_called(address) or any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, IPv4Address):
        return True
    # An IPv6-only network reaches the IPv4 Internet by the well-known prefix; other ways in are not public.
    return address in _UNICAST or (address in _NAT64 and all(map(is_public, _ipv4_forms(address))))


def is_never_called(address: IPv4Address | IPv6Address) -> bool:
    """True for an address that is never called, whatever an administrator allows."""
    if isinstance(address, IPv6Address) and address.scope_id:
        return True
    return any(form in network for form in (address, *_ipv4_forms(address)) for network in _NEVER)


def _ipv4_forms(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that the kernel, a tunnel or a translator would find in an IPv6 address."""
    if isinstance(address, IPv4Address):
        return []
    if address.teredo:
        return list(address.teredo)
    if address.sixtofour:
        return [address.sixtofour]
    if address in _NAT64_LOCAL:
        # Where it lies depends on the prefix, which only the network knows; octet 8 is left out (RFC 6052).
        octets = address.packed[:8] + address.packed[9:]
        return [IPv4Address(four) for i in (6, 7, 8, 11) if any(four := octets[i : i + 4])]
    if address in _LOW or address in _NAT64:  # mapped, compatible, translated
        return [IPv4Address(address.packed[12:])]
    return []
