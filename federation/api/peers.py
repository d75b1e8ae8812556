"""Peers: who they are, how they join, and what an administrator decides about them."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Controller, Request, delete, get, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from federation.api.guard import body_of, caller_of
from federation.api.limits import Limits
from federation.api.responses import JSON, NO_STORE, answer, encoded
from federation.domain.draft import read_draft
from federation.domain.errors import Forbidden, Unauthenticated
from federation.domain.invitation import MAX_REGISTRATION, Registration
from federation.domain.peer import Peer, PeerState
from federation.node import checkpoints, invitations, peer_views, peers
from federation.node.node import Node


class PeerDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a peer."""

    operator: str
    state: PeerState
    detail: str | None = None
    """Why a peer could not be told that we leave."""


class ConfirmedCopies(msgspec.Struct, frozen=True):
    """Removals that go on."""

    operator: str
    audiences: tuple[str, ...]
    """The peer's feeds that waited."""


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code that the other operator's administrator read out."""

    code: str


class Peers(Controller):
    """Other operators' nodes."""

    @get("/v1/peers", opt={"act": "peers"})
    async def peers(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """List the peers of this node, how far their feeds were pulled, and the rejected entries."""
        node: Node = request.app.state.node
        return encoded(await peer_views.peers(node), headers=NO_STORE)

    @post("/v1/join", opt={"act": "join", "reads": (JSON,), "limit": MAX_REGISTRATION}, status_code=201)
    async def join(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Register a node with an invitation (RFC 7591; the invitation's secret is the bearer token)."""
        node: Node = request.app.state.node
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Unauthenticated("the secret of an invitation is needed", presented=bool(scheme))
        limits: Limits = request.app.state.limits
        limits.may_try(limits.address_of(request.scope))
        registration = read_draft(await body_of(request, MAX_REGISTRATION), Registration)
        try:
            registered = await invitations.register(node, registration, secret)
        except Unauthenticated:
            limits.failed(limits.address_of(request.scope))
            raise
        return encoded(registered, status=201, headers=NO_STORE)

    @post("/v1/peers/{operator:str}/activate", opt={"act": "activate", "reads": (JSON,)}, status_code=200)
    async def activate(self, request: Request[Any, Any, Any], operator: FromPath[str]) -> ASGIResponse:
        """Exchange records with a pending peer, once its administrator has read you the same code."""
        said = read_draft(await body_of(request), Code)
        return _decided(
            await peers.activate(_node(request), operator, code=said.code, by=caller_of(request).client or "")
        )

    @post("/v1/peers/{operator:str}/suspend", opt={"act": "suspend", "reads": ()}, status_code=200)
    async def suspend(self, request: Request[Any, Any, Any], operator: FromPath[str]) -> ASGIResponse:
        """Neither answer a peer nor follow it, from within a second."""
        return _decided(await peers.suspend(_node(request), operator, by=caller_of(request).client or ""))

    @post("/v1/peers/{operator:str}/resume", opt={"act": "resume", "reads": ()}, status_code=200)
    async def resume(self, request: Request[Any, Any, Any], operator: FromPath[str]) -> ASGIResponse:
        """Undo a suspension."""
        return _decided(await peers.resume(_node(request), operator, by=caller_of(request).client or ""))

    @post("/v1/peers/{operator:str}/leave", opt={"act": "leave", "reads": ()}, status_code=200)
    async def leave(self, request: Request[Any, Any, Any], operator: FromPath[str]) -> ASGIResponse:
        """End it with a peer: it is told, and copies of what was not public are dropped on both sides."""
        peer, why = await peers.leave(_node(request), operator, by=caller_of(request).client or "")
        return _decided(peer, f"it could not be told: {why}" if why else None)

    @post("/v1/peers/{operator:str}/confirm", opt={"act": "confirm", "reads": ()}, status_code=200)
    async def confirm(self, request: Request[Any, Any, Any], operator: FromPath[str]) -> ASGIResponse:
        """Let the removals of a peer's records happen that wait for an administrator."""
        found = await checkpoints.confirm(_node(request), operator, by=caller_of(request).client or "")
        return encoded(ConfirmedCopies(operator, found), headers=NO_STORE)

    @delete("/v1/peers/self", opt={"act": "disconnect"}, status_code=200)
    async def disconnect(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """End it with this node, as its peer; the copies of what was not public are to be dropped."""
        caller = caller_of(request)
        if caller.operator is None or caller.own:
            raise Forbidden("only a peer can disconnect")
        await peers.accept_disconnect(_node(request), caller.operator)
        return answer(b"", status=204, headers=NO_STORE)


def _node(request: Request[Any, Any, Any]) -> Node:
    node: Node = request.app.state.node
    return node


def _decided(peer: Peer, detail: str | None = None) -> ASGIResponse:
    return encoded(PeerDecision(peer.operator, peer.state, detail), headers=NO_STORE)
