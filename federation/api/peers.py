"""Peers: their state, how they join, and the decisions of an administrator about them."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.examples import REGISTRATION
from federation.api.handlers import handles
from federation.api.parameters import LOCAL
from federation.domain.draft import read_draft
from federation.domain.errors import Conflict, Invalid, NotFound, Unauthenticated, Unavailable, Unreachable
from federation.domain.invitation import MAX_REGISTRATION, Registration, RegistrationAnswer
from federation.domain.peer import Peer, PeerState
from federation.domain.quota import QuotaChange
from federation.edge.answers import JSON, NO_STORE, answer, json_answer
from federation.edge.limits import Limits
from federation.edge.operations import ADMINISTRATOR, CREDENTIALS, Answer, Body, Operation, Right
from federation.edge.query_parameters import is_true
from federation.edge.requests import body_of, caller_of, node_of
from federation.node import copies, exclusions, invitations, peer_views, peers, quotas
from federation.node.peer_views import PeersView
from federation.node.quotas import PeerQuota


class PeerDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a peer."""

    operator: str
    state: PeerState
    detail: str | None = None
    """Why a peer could not be told that we leave, or whom a suspension reaches."""


class ConfirmedCopies(msgspec.Struct, frozen=True):
    """A paused peer that goes on."""

    operator: str
    audiences: tuple[str, ...]
    """The peer's feeds that waited."""


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code that the other operator's administrator read out."""

    code: str
    private: bool = False
    """Allow the peer's node an address that is not public."""


DECIDED = (Answer(200, "The peer as it is now", {JSON: PeerDecision}),)


@handles(
    Operation(
        act="peers",
        id="listPeers",
        method="GET",
        path="/v1/peers",
        right=Right("peers.read"),
        tag="peers",
        answers=(Answer(200, "The peers", {JSON: PeersView}),),
    )
)
async def list_peers(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the peers of this node, how far their feeds were pulled, and the rejected entries."""
    return json_answer(await peer_views.peers(node_of(request)), headers=NO_STORE)


@handles(
    Operation(
        act="join",
        id="joinFederation",
        method="POST",
        path="/v1/join",
        right=CREDENTIALS,
        credentials=("invitation",),
        tag="peers",
        bodies=(Body(JSON, Registration, REGISTRATION),),
        max_bytes=MAX_REGISTRATION,
        answers=(Answer(201, "Registered, as pending", {JSON: RegistrationAnswer}),),
        errors=(Invalid, Unauthenticated, Conflict, Unreachable, Unavailable),
    )
)
async def join(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Register a node with an invitation (RFC 7591; the invitation's secret is the bearer token)."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthenticated("the secret of an invitation is needed", presented=bool(scheme))
    limits: Limits = request.app.state.limits
    limits.may_try(limits.address_of(request.scope))
    registration = read_draft(await body_of(request, MAX_REGISTRATION), Registration)
    try:
        registered = await invitations.register(node_of(request), registration, secret)
    except Unauthenticated:
        limits.failed(limits.address_of(request.scope))
        raise
    return json_answer(registered, status=201, headers=NO_STORE)


@handles(
    Operation(
        act="activate",
        id="activatePeer",
        method="POST",
        path="/v1/peers/{operator:str}/activate",
        right=ADMINISTRATOR,
        tag="peers",
        bodies=(Body(JSON, Code, {"code": "4821 9033 1177 2604"}),),
        answers=DECIDED,
        errors=(Invalid, NotFound, Conflict, Unreachable),
    )
)
async def activate(request: Request[Any, Any, Any], operator: str) -> ASGIResponse:
    """Exchange records with a pending peer, once its administrator has read you the same code."""
    sent = read_draft(await body_of(request), Code)
    return _decision(
        await peers.activate(
            node_of(request), operator, code=sent.code, private=sent.private, by=_client(request)
        )
    )


@handles(
    Operation(
        act="suspend",
        id="suspendPeer",
        method="POST",
        path="/v1/peers/{operator:str}/suspend",
        right=ADMINISTRATOR,
        tag="peers",
        parameters=(LOCAL,),
        answers=DECIDED,
        errors=(Invalid, NotFound, Conflict),
    )
)
async def suspend(request: Request[Any, Any, Any], operator: str) -> ASGIResponse:
    """Neither answer a peer nor follow it, and have other members withhold your GREEN records from it."""
    node, local = node_of(request), is_true(request, "local")
    peer = await peers.suspend(node, operator, local=local, by=_client(request))
    return _decision(peer, None if local else (await exclusions.reach(node)).message(operator))


@handles(
    Operation(
        act="resume",
        id="resumePeer",
        method="POST",
        path="/v1/peers/{operator:str}/resume",
        right=ADMINISTRATOR,
        tag="peers",
        answers=DECIDED,
        errors=(NotFound, Conflict),
    )
)
async def resume(request: Request[Any, Any, Any], operator: str) -> ASGIResponse:
    """Undo a suspension."""
    return _decision(await peers.resume(node_of(request), operator, by=_client(request)))


@handles(
    Operation(
        act="retry",
        id="retryPeer",
        method="POST",
        path="/v1/peers/{operator:str}/retry",
        right=ADMINISTRATOR,
        tag="peers",
        answers=DECIDED,
        errors=(NotFound, Conflict),
    )
)
async def retry(request: Request[Any, Any, Any], operator: str) -> ASGIResponse:
    """Ask a peer now, without waiting for the next attempt."""
    return _decision(await peers.retry(node_of(request), operator))


@handles(
    Operation(
        act="leave",
        id="leavePeer",
        method="POST",
        path="/v1/peers/{operator:str}/leave",
        right=ADMINISTRATOR,
        tag="peers",
        answers=DECIDED,
        errors=(NotFound,),
    )
)
async def leave(request: Request[Any, Any, Any], operator: str) -> ASGIResponse:
    """End it with a peer: it is told, and copies of what was not public are dropped on both sides."""
    peer, why = await peers.leave(node_of(request), operator, by=_client(request))
    return _decision(peer, f"it could not be told: {why}" if why else None)


@handles(
    Operation(
        act="confirm",
        id="confirmRemovals",
        method="POST",
        path="/v1/peers/{operator:str}/confirm",
        right=ADMINISTRATOR,
        tag="peers",
        answers=(Answer(200, "They go on", {JSON: ConfirmedCopies}),),
        errors=(NotFound,),
    )
)
async def confirm(request: Request[Any, Any, Any], operator: str) -> ASGIResponse:
    """Let a paused peer go on: its removals happen, and it may store once more what its bound allows."""
    audiences = await copies.confirm_removals(node_of(request), operator, by=_client(request))
    return json_answer(ConfirmedCopies(operator, audiences), headers=NO_STORE)


@handles(
    Operation(
        act="peer-quota",
        id="getPeerQuota",
        method="GET",
        path="/v1/peers/{operator:str}/quota",
        right=Right("peers.read"),
        tag="peers",
        answers=(Answer(200, "Its bounds, and what is stored of it", {JSON: PeerQuota}),),
        errors=(NotFound,),
    )
)
async def read_quota(request: Request[Any, Any, Any], operator: str) -> ASGIResponse:
    """Read the quota of a peer, and what is stored of it."""
    return json_answer(await quotas.read_quota(node_of(request), operator), headers=NO_STORE)


@handles(
    Operation(
        act="set-quota",
        id="setPeerQuota",
        method="PUT",
        path="/v1/peers/{operator:str}/quota",
        right=ADMINISTRATOR,
        tag="peers",
        bodies=(Body(JSON, QuotaChange, {"records": 2_000_000}),),
        answers=(Answer(200, "Its bounds, and what is stored of it", {JSON: PeerQuota}),),
        errors=(Invalid, NotFound),
    )
)
async def set_quota(request: Request[Any, Any, Any], operator: str) -> ASGIResponse:
    """Give a peer the bounds of its own that are named, and those of the node for the others."""
    change = read_draft(await body_of(request), QuotaChange)
    quota = await quotas.change_quota(node_of(request), operator, change, reset=True, by=_client(request))
    return json_answer(quota, headers=NO_STORE)


@handles(
    Operation(
        act="disconnect",
        id="disconnectNode",
        method="DELETE",
        path="/v1/peers/self",
        right=Right("feeds.read", caller="peer"),
        tag="peers",
        answers=(Answer(204, "Noted"),),
        errors=(NotFound,),
    )
)
async def disconnect(request: Request[Any, Any, Any]) -> ASGIResponse:
    """End it with this node, as its peer; the copies of what was not public are to be dropped."""
    await peers.accept_disconnect(node_of(request), caller_of(request).operator or "")
    return answer(b"", status=204, headers=NO_STORE)


HANDLERS = (
    list_peers,
    join,
    activate,
    suspend,
    resume,
    retry,
    leave,
    confirm,
    read_quota,
    set_quota,
    disconnect,
)


def _client(request: Request[Any, Any, Any]) -> str:
    return caller_of(request).client or ""


def _decision(peer: Peer, detail: str | None = None) -> ASGIResponse:
    return json_answer(PeerDecision(peer.operator, peer.state, detail), headers=NO_STORE)
