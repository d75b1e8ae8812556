"""URLs that may be called: those of nodes and of webhooks."""

from __future__ import annotations

import ipaddress
from typing import Literal
from urllib.parse import urlsplit

from federation.domain.errors import (
    Unreachable,
)
from federation.domain.feed import printable
from federation.outbound import http
from federation.outbound.addresses import is_public
from federation.outbound.answers import error_message
from federation.settings.urls import is_loopback


def check_url(url: str, *, private: bool = False) -> str:
    """A base URL that may be called: https, or http on the loopback interface. Raises Unreachable.

    ``private``: whether addresses that are not public are allowed.
    """
    try:
        scheme, host, _ = http.origin_of(url)
        parts = urlsplit(url)
    except (http.TransferFailed, ValueError) as error:
        raise Unreachable(
            "{url} is not the base URL of a node: {reason}",
            url=printable(url, 200),
            reason=error_message(error),
        ) from None
    if parts.query or parts.fragment:
        raise Unreachable("{url} is not the base URL of a node", url=printable(url, 200))
    if scheme != "https" and not is_loopback(host):
        raise Unreachable("{url} is not https (plain http is for the loopback interface only)", url=url)
    if not private and _is_private_address(host):
        raise Unreachable(
            "{url} is at an address that is not public; --private allows it, if you trust it", url=url
        )
    return url.rstrip("/")


def check_webhook(url: str, *, private: bool) -> None:
    """Check the URL of a webhook: as a node's, but for its path and query. Raises Unreachable."""
    match _fault_of(url, private=private):
        case "plain":
            raise Unreachable("a webhook is https (plain http is for the loopback interface only)")
        case "private":
            raise Unreachable(
                "the webhook is at an address that is not public; private allows it, if you trust it"
            )


def check_source(url: str, *, private: bool) -> None:
    """Check the address of a source: as that of a webhook. Raises Unreachable."""
    match _fault_of(url, private=private):
        case "plain":
            raise Unreachable("a source is https (plain http is for the loopback interface only)")
        case "private":
            raise Unreachable(
                "the source is at an address that is not public; private allows it, if you trust it"
            )


def _fault_of(url: str, *, private: bool) -> Literal["plain", "private"] | None:
    """The reason not to call an address: it is http, or not public. Raises Unreachable where it is none."""
    try:
        scheme, host, _ = http.origin_of(url)
    except (http.TransferFailed, ValueError) as error:
        raise Unreachable(
            "{url} cannot be called: {reason}", url=printable(url, 200), reason=error_message(error)
        ) from None
    if scheme != "https" and not is_loopback(host):
        return "plain"
    if not private and (is_loopback(host) or _is_private_address(host)):
        return "private"
    return None


def _is_private_address(host: str) -> bool:
    """True for an address that not everybody can call; False for a name, which the call itself checks."""
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return False
