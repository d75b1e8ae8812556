"""The client of a node, for its operator's own programs: catalogue, ITSM, probes, warehouse."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx2
import msgspec

import federation
from federation.client import changes as change_log
from federation.client.alerts import Alerts
from federation.client.answers import FeedHead, NodeDescription, PeersStatus
from federation.client.changes import Change, SnapshotEnd
from federation.client.deadlines import Deadlines
from federation.client.deployments import Deployments
from federation.client.errors import ConnectionFailed, RequestRefused
from federation.client.exposure import ExposureReader
from federation.client.incidents import Incidents
from federation.client.names import Filter, query_pairs
from federation.client.record_view import C
from federation.client.records import Collection
from federation.client.sender import JSON, MAX_ATTEMPTS, Sender, client_credentials
from federation.client.sources import Sources
from federation.client.tokens import TokenSource
from federation.domain.content.consultation import Consultation
from federation.domain.content.contribution import Contribution
from federation.domain.content.deployment import Deployment
from federation.domain.content.group import Group
from federation.domain.content.incident import Incident
from federation.domain.content.meeting import Meeting
from federation.domain.content.membership import Membership
from federation.domain.content.offer import Offer
from federation.domain.content.operator import Operator
from federation.domain.content.participation import Participation
from federation.domain.content.practice import Practice
from federation.domain.content.purchase import Purchase
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.formats.report import ImportReport
from federation.domain.record_content import Content
from federation.domain.registry import TYPES

TIMEOUT_SECONDS = 60.0
"""Silence after which an answer is given up: an answer may take half a minute of the database."""
CONNECT_SECONDS = 10.0
MAX_CONNECTIONS = 20
"""Connections of a client at once. A node gives one caller 128 requests under way."""


_COLLECTIONS: dict[type[Content], Any] = {Deployment: Deployments, Incident: Incidents}
"""Collections with verbs of their own."""


class _Feeds(msgspec.Struct):
    feeds: tuple[FeedHead, ...]


class Client:
    """A connection to a node, as an async context manager.

    With ``client_id`` and ``client_secret`` (``federation client add``) it gets tokens by itself and
    renews them; with ``token_source`` it gets them there; with neither it reads what everybody may read.
    Requests of one client may run at the same time, in one event loop.

    ``language`` (``fr``, ``en``) is that of the details of problems. ``attempts`` bounds the repetition of a
    request that got no answer or came to a busy node.

    Raises ValueError for an address that is not ``https``, or ``http`` on this machine; ``allow_http``
    allows it in a network that you trust, such as that of a container.
    """

    solutions: Collection[Solution]
    deployments: Deployments
    incidents: Incidents
    statements: Collection[Statement]
    operators: Collection[Operator]
    groups: Collection[Group]
    memberships: Collection[Membership]
    offers: Collection[Offer]
    practices: Collection[Practice]
    meetings: Collection[Meeting]
    contributions: Collection[Contribution]
    purchases: Collection[Purchase]
    consultations: Collection[Consultation]
    participations: Collection[Participation]

    def __init__(
        self,
        url: str,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        token_source: TokenSource | None = None,
        scope: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        attempts: int = MAX_ATTEMPTS,
        max_connections: int = MAX_CONNECTIONS,
        user_agent: str | None = None,
        language: str | None = None,
        verify: ssl.SSLContext | bool = True,
        trust_env: bool = True,
        allow_http: bool = False,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        if (client_id is None) != (client_secret is None):
            raise ValueError("client_id and client_secret are given together")
        if client_id is not None and token_source is not None:
            raise ValueError("give client_id and client_secret, or token_source")
        if attempts < 1:
            raise ValueError("attempts is 1 or more")
        agent = f"federation-client/{federation.__version__}"
        self._http = httpx2.AsyncClient(
            base_url=_checked_url(url, allow_http=allow_http),
            timeout=httpx2.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
            limits=httpx2.Limits(max_connections=max_connections),
            headers={
                "user-agent": f"{user_agent} {agent}" if user_agent else agent,
                **({"accept-language": language} if language else {}),
            },
            verify=verify,
            trust_env=trust_env,
            transport=transport,
            follow_redirects=False,
        )
        if client_id is not None and client_secret is not None:
            anonymous = Sender(self._http, None, attempts=attempts)
            token_source = client_credentials(anonymous, client_id, client_secret, scope)
        self._sender = Sender(self._http, token_source, attempts=attempts)
        self._operator: str | None = None
        for kind in TYPES.values():
            setattr(self, kind.plural, self.collection(kind))
        self.exposure = ExposureReader(self._sender, self.operator)
        self.deadlines = Deadlines(self._sender, self.operator)
        self.alerts = Alerts(self._sender)
        self.sources = Sources(self._sender)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, where ``async with`` does not."""
        await self._http.aclose()

    # Records

    def collection(self, kind: type[C]) -> Collection[C]:
        """The records of a type, also of one that has no attribute of its own here."""
        made: Any = _COLLECTIONS.get(kind, Collection)
        collection: Collection[C] = made(self._sender, kind, self.operator)
        return collection

    @overload
    def changes(
        self, after: str | None = None, *, follow: Literal[False] = False
    ) -> AsyncIterator[Change]: ...
    @overload
    def changes(
        self, after: str | None = None, *, follow: Literal[True], restart: Literal[False] = False
    ) -> AsyncIterator[Change]: ...
    @overload
    def changes(
        self, after: str | None = None, *, follow: Literal[True], restart: Literal[True]
    ) -> AsyncIterator[Change | SnapshotEnd]: ...
    def changes(
        self, after: str | None = None, *, follow: bool = False, restart: bool = False
    ) -> AsyncIterator[Any]:
        """Everything that changes at the node, of every operator, in the order of its arrival there.

        ``after`` is the cursor of the last change that was stored; without it the log begins with all
        records. The iterator ends at the present; with ``follow`` it goes on, and waits while the node
        does not answer. A cursor that the node does not know any more raises CursorRefused. With
        ``restart`` the log begins again instead: its changes are marked as ``snapshot``, and a SnapshotEnd
        follows. While they are, store no cursor but that of the SnapshotEnd.
        """
        if follow:
            return change_log.follow(self._sender, after, restart=restart)
        if restart:
            raise ValueError("restart is for following: follow=True")
        return change_log.changes_until_now(self._sender, after)

    async def import_advisory(
        self,
        form: Literal["cve", "osv", "csaf"],
        advisory: bytes,
        *,
        dry_run: bool = False,
        solutions: Sequence[str] = (),
        tlp: str | None = None,
        audience: str | None = None,
    ) -> ImportReport:
        """Publish or revise the incidents of a CVE record, an OSV advisory or a CSAF document."""
        pairs = query_pairs(
            {"dry_run": dry_run or None, "solution": solutions, "tlp": tlp, "audience": audience}
        )
        return await self._sender.decoded(
            ImportReport,
            "POST",
            f"/v1/advisories/{form}",
            parameters=tuple(pairs),
            content=advisory,
            headers={"content-type": JSON},
            idempotent=True,
        )

    # The node

    async def operator(self) -> str:
        """The id of the operator of this node; asked once."""
        if self._operator is None:
            self._operator = (await self.description()).operator
        return self._operator

    async def description(self) -> NodeDescription:
        """The public description of the node."""
        return await self._sender.decoded(NodeDescription, "GET", "/.well-known/federation")

    async def is_ready(self) -> bool:
        """True when the node can do its work; one attempt, without waiting."""
        try:
            await Sender(self._http, None, attempts=1).send("GET", "/health/ready")
        except (ConnectionFailed, RequestRefused):
            return False
        return True

    async def feeds(self) -> tuple[FeedHead, ...]:
        """The heads of the feeds that the caller may read."""
        return (await self._sender.decoded(_Feeds, "GET", "/v1/feeds")).feeds

    async def peers(self) -> PeersStatus:
        """The peers of the node, how far their feeds were pulled, and the rejected entries."""
        return await self._sender.decoded(PeersStatus, "GET", "/v1/peers")

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        parameters: dict[str, Filter] | None = None,
    ) -> Any:
        """Any operation of the API that has no verb here: the JSON of its answer; None without one.

        A ``POST`` is not repeated where its answer is lost: few operations take an ``Idempotency-Key``.
        """
        method = method.upper()
        answer = await self._sender.send(
            method,
            path,
            parameters=tuple(query_pairs(parameters or {})),
            content=None if json is None else msgspec.json.encode(json),
            headers={} if json is None else {"content-type": JSON},
            idempotent=False if method == "POST" else None,
        )
        return msgspec.json.decode(answer.body) if answer.body else None


def _checked_url(url: str, *, allow_http: bool) -> httpx2.URL:
    """The address of a node. Raises ValueError: a secret is sent there."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ValueError(f"the address of the node cannot be read: {error}") from None
    if parsed.scheme not in ("https", "http") or not parsed.host or parsed.userinfo or parsed.query:
        raise ValueError("the address of a node is https://host, without a user name or parameters")
    if parsed.scheme == "http" and not allow_http and not _is_local(parsed.host):
        raise ValueError(f"{parsed.host} is called by https, or with allow_http=True in a network you trust")
    return parsed


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
