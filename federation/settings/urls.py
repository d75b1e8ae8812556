"""URLs among the settings: of the node, and of its database."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from federation.domain.errors import CommandFailed

HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9a-f:.]*:[0-9a-f:.]*")
"""A host name or an IP address."""


def base_url(url: str) -> str:
    """The URL at which others reach the node. Raises Broken that names the variable.

    Plain http is for the loopback interface: tokens and records go over it. Behind a proxy the URL is the
    public one, which is https, whatever the proxy speaks with the node.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    wrong = CommandFailed(
        # Nothing of what was set is told where it may hold a password.
        f"FEDERATION_URL is {url.rpartition('@')[2]!r}; it must be the node's base URL, such as"
        " https://node.example.org, with no user, query or fragment"
    )
    if not HOST.fullmatch(host) or port == 0:
        raise wrong
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment or "@" in url:
        raise wrong
    # (An empty port is allowed by RFC 3986 and taken in different ways by those who read it.)
    if parts.netloc.endswith(":") or any(char.isspace() or char in "\\?#" for char in url):
        raise wrong
    if parts.scheme == "http" and not is_loopback(host):
        raise CommandFailed(
            f"FEDERATION_URL is {url!r}; plain http is for the loopback interface only. Behind a proxy that"
            f" terminates TLS, set the public URL: https://{parts.netloc}"
        )
    return url


def is_loopback(host: str) -> bool:
    """Return True for a host that is this machine: by its address, as ``localhost``, or by a name under it.

    Names under ``localhost`` are of this machine for everybody (RFC 6761, 6.3).
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": (
        "any", "primary", "standby", "read-write", "read-only", "prefer-standby",
    ),
}  # fmt: skip
"""Parameters of a database's URL that have a few values (libpq's words, as asyncpg reads them)."""


def check_database_url(url: str) -> None:
    """Raises Broken that names the variable, and tells nothing of a password."""

    def wrong(reason: str) -> CommandFailed:
        return CommandFailed(
            f"FEDERATION_DATABASE_URL {reason}; it must be as postgresql://user:password@host:5432/database"
        )

    if not url.startswith(("postgresql://", "postgres://")):
        raise wrong("does not begin with postgresql://")
    try:
        parts = urlsplit(url)
        security = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise wrong("cannot be read as a URL") from None
    # Several hosts may be named, each with a port; in brackets when they are IPv6 addresses.
    places = [re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", p) for p in _hosts(parts.netloc)]
    if None in places:
        raise wrong("names a host that cannot be read (a password is percent-encoded)")
    ports = [place[2] for place in places if place and place[2] is not None]
    ports += [port for values in security.get("port", ()) for port in values.split(",")]
    for port in ports:
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65_535):
            raise wrong("names a port that is no number from 1 to 65535")
    for name, choices in _CHOICES.items():
        for value in security.get(name, ()):
            if value not in choices:
                raise wrong(f"has a {name} that is none of {', '.join(choices)}")


def _hosts(netloc: str) -> list[str]:
    return netloc.rpartition("@")[2].split(",")
