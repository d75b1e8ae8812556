"""Other nodes over HTTP, but for their feeds: introductions, invitations, alerts."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from federation.domain.alert import Letter
from federation.domain.errors import (
    Unreachable,
)
from federation.domain.feed import Head, printable
from federation.domain.peer import IntroducedPeer, Peer
from federation.domain.values import OPERATOR_PATTERN
from federation.node.keys import Keyring
from federation.outbound import http
from federation.outbound.answers import error_text, read_problem
from federation.outbound.mail import Mailer
from federation.outbound.urls import check_url, check_webhook
from federation.outbound.webhooks import post_webhook
from federation.sync.peer_client import peer_source


async def fetch_public(url: str, *, private: bool) -> dict[str, Any]:
    """A public JSON document of a node. Raises Unreachable."""
    body = await _request_public("GET", url, private=private)
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unreachable(f"{url} did not answer a JSON object")
    return document


async def _request_public(method: str, url: str, *, private: bool, **request: Any) -> bytes:
    """The body of a 200 or 201 to a request without a token. Raises Unreachable."""
    async with httpx2.AsyncClient(**http.settings(url, private=private)) as client:
        try:
            answer = await client.request(method, url, **request)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unreachable(f"{url} cannot be reached: {error_text(error)}") from None
    if answer.status_code not in (200, 201):
        _, detail = read_problem(answer.content)
        raise Unreachable(f"{url} answered {answer.status_code}{f': {detail}' if detail else ''}")
    return bytes(answer.content)


class Network:
    """Other nodes over HTTP: implements ``domain.peer.OtherNodes``."""

    def __init__(self, operator: str, keyring: Keyring, mailer: Mailer | None = None) -> None:
        self._operator = operator
        self._keyring = keyring
        self._mailer = mailer

    def check_webhook(self, url: str, *, private: bool) -> None:
        check_webhook(url, private=private)

    async def post_webhook(self, url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
        return await post_webhook(url, body, headers, private=private)

    @property
    def sends_mail(self) -> bool:
        return self._mailer is not None

    async def mail(self, letter: Letter) -> None:
        """Hand an e-mail to the mail server. Raises Unreachable."""
        if self._mailer is None:
            raise Unreachable("this node sends no e-mail: FEDERATION_SMTP_URL is not set")
        await self._mailer.send(letter)

    def check_url(self, url: str, *, private: bool) -> str:
        return check_url(url, private=private)

    async def introduce(self, url: str, *, private: bool) -> IntroducedPeer:
        """Read the public description of the node at a URL. Raises Unreachable."""
        base = check_url(url, private=private)
        descriptor = await fetch_public(f"{base}/.well-known/federation", private=private)
        operator, own_url, jwks_uri = (descriptor.get(name) for name in ("operator", "url", "jwks_uri"))
        if not (isinstance(operator, str) and isinstance(own_url, str) and isinstance(jwks_uri, str)) or not (
            re.fullmatch(OPERATOR_PATTERN, operator)
        ):
            raise Unreachable(f"{base} is not a federation node")
        if own_url != base:
            raise Unreachable(f"the node at {base} says that its URL is {printable(own_url, 200)}")
        if urlsplit(jwks_uri)[:2] != urlsplit(base)[:2]:
            raise Unreachable(f"the node at {base} names keys on another host")
        jwks = await fetch_public(jwks_uri, private=private)
        name = printable(str(descriptor.get("name") or operator), 200)
        return IntroducedPeer(operator=operator, name=name, url=base, jwks=jwks)

    async def register(self, url: str, secret: str, request: bytes, *, private: bool) -> bytes:
        """Use an invitation at its node, and return the answer. Raises Unreachable with the refusal."""
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        return await _request_public(
            "POST",
            f"{check_url(url, private=private)}/v1/join",
            private=private,
            content=request,
            headers=headers,
        )

    async def disconnect(self, peer: Peer) -> None:
        """Tell a peer that we are leaving. Raises Unreachable."""
        async with peer_source(self._operator, peer, self._keyring) as source:
            await source.disconnect()

    async def heads_at(self, peer: Peer, origin: str) -> tuple[Head, ...]:
        """The heads of a peer's copies of an origin's feeds. Raises Unreachable."""
        async with peer_source(self._operator, peer, self._keyring) as source:
            return await source.heads_of(origin)
