"""Peers in the console: how far behind, verified until when, why not, and what now.

Each act has a page that says what happens, here and at the others, before it is carried out. What is hard to
undo asks for a login within the last five minutes.
"""

from __future__ import annotations

from litestar.response.base import ASGIResponse

from federation.domain.audit import actor_of
from federation.domain.errors import NotFound, Refused
from federation.domain.feed import printable
from federation.domain.invitation import Invitation
from federation.edge.operations import ADMINISTRATOR
from federation.node import copies, exclusions, invitations, peer_views, peers, quotas
from federation.node.operator_names import names_of
from federation.node.peer_views import PeersView, PeerView
from federation.web.admin.operator_names import name_operators
from federation.web.forms import Form
from federation.web.pages import check_fresh, page
from federation.web.visit import Visit

MAX_NOTE = 200
"""Characters of the note of an invitation."""
ACTS: dict[str, tuple[str, ...]] = {
    "activate": ("pending",),
    "retry": ("active",),
    "confirm": ("active",),
    "suspend": ("active",),
    "resume": ("suspended",),
    "leave": ("pending", "active", "suspended"),
    "forget": ("left", "pending"),
}
"""The acts, and the states of a peer in which each can be done."""
HARD_TO_UNDO = frozenset({"activate", "suspend", "leave", "forget"})


@page("/admin/peers", act="page_admin_peers", right=ADMINISTRATOR)
async def list_peers(visit: Visit) -> ASGIResponse:
    """List the peers and the invitations that wait."""
    view = await peer_views.peers(visit.node)
    await name_operators(visit, view)
    return visit.page("admin/peers.html", peers=view, alternate="/v1/peers")


@page("/admin/peers/{operator:str}", act="page_admin_peer", right=ADMINISTRATOR)
async def show_peer(visit: Visit, operator: str) -> ASGIResponse:
    """Show one peer: its copies, its quota, and what can be done."""
    view, peer = await _find(visit, operator)
    await name_operators(visit, view)
    return visit.page(
        "admin/peer.html",
        peer=peer,
        rejected=[entry for entry in view.rejected if entry.origin == operator],
        is_excluded=operator in view.excluded,
        quota=await quotas.read_quota(visit.node, operator),
        acts=[act for act, states in ACTS.items() if peer.state in states and _is_useful(act, peer)],
    )


def _is_useful(act: str, peer: PeerView) -> bool:
    if act == "confirm":
        return peer.paused is not None or any(feed.paused is not None for feed in peer.feeds)
    return act != "retry" or peer.failures > 0


@page("/admin/peers/{operator:str}/{act:str}", act="page_admin_peer_review", right=ADMINISTRATOR)
async def review(visit: Visit, operator: str, act: str) -> ASGIResponse:
    """Say what an act does, and ask."""
    return await _review(visit, operator, act, Form())


@page("/admin/peers/{operator:str}/{act:str}", act="page_admin_peer_act", right=ADMINISTRATOR, method="POST")
async def carry_out(visit: Visit, operator: str, act: str) -> ASGIResponse:
    """Carry out an act."""
    form = await visit.read_form()
    await _check_act(visit, operator, act)
    if act in HARD_TO_UNDO:
        check_fresh(visit)
    try:
        await _act(visit, operator, act, form)
    except Refused as error:
        form.refuse(
            "code" if error.faults and "code" in error.faults[0].pointer else "",
            error.message.to_text(visit.language),
        )
        return await _review(visit, operator, act, form, status=400)
    return visit.to("/admin/peers" if act == "forget" else f"/admin/peers/{operator}", notice="saved")


async def _act(visit: Visit, operator: str, act: str, form: Form) -> None:
    node, by = visit.node, actor_of(visit.caller)
    match act:
        case "activate":
            await peers.activate(
                node, operator, code=form.value("code"), private=form.is_set("private"), by=by
            )
        case "retry":
            await peers.retry(node, operator)
        case "confirm":
            await copies.confirm_removals(node, operator, by=by)
        case "suspend":
            await peers.suspend(node, operator, local=form.is_set("local"), by=by)
        case "resume":
            await peers.resume(node, operator, by=by)
        case "leave":
            await peers.leave(node, operator, by=by)
        case "forget":
            await peers.forget(node, operator, by=by)


async def _review(visit: Visit, operator: str, act: str, form: Form, status: int = 200) -> ASGIResponse:
    view, peer = await _check_act(visit, operator, act)
    origins = await exclusions.green_origins(visit.node) if act == "activate" else ()
    await name_operators(visit, view, origins)
    visit.form = form
    reach = await exclusions.reach(visit.node) if act == "suspend" else None
    return visit.page(
        "admin/peer_review.html",
        status=status,
        peer=peer,
        act=act,
        reach=reach.message(operator) if reach is not None else "",
        origins=origins,
    )


async def _check_act(visit: Visit, operator: str, act: str) -> tuple[PeersView, PeerView]:
    """A peer, with all. Raises NotFound without it, or for an act that it cannot have in its state."""
    view, peer = await _find(visit, operator)
    if peer.state not in ACTS.get(act, ()):
        raise NotFound("this cannot be done with {operator} as it is now", operator=operator)
    return view, peer


async def _find(visit: Visit, operator: str) -> tuple[PeersView, PeerView]:
    view = await peer_views.peers(visit.node)
    for peer in view.peers:
        if peer.operator == operator:
            return view, peer
    raise NotFound("there is no peer {operator}", operator=printable(operator, 80))


@page("/admin/invite", act="page_admin_invite", right=ADMINISTRATOR)
async def invite(visit: Visit) -> ASGIResponse:
    """Ask for whom an invitation is."""
    return await _invitation_page(visit, None)


@page("/admin/invite", act="page_admin_invited", right=ADMINISTRATOR, method="POST")
async def invited(visit: Visit) -> ASGIResponse:
    """Make an invitation and show it, this once."""
    form = await visit.read_form()
    note = form.value("note")
    if len(note) > MAX_NOTE or (note and not note.isprintable()):
        form.refuse("note", visit.text("At most %(number)s printable characters.", number=MAX_NOTE))
        return visit.page("admin/invite.html", status=400, invitation=None, origins=())
    made = await invitations.invite(
        visit.node, note, private=form.is_set("private"), by=actor_of(visit.caller)
    )
    return await _invitation_page(visit, str(made))


async def _invitation_page(visit: Visit, invitation: str | None) -> ASGIResponse:
    origins = await exclusions.green_origins(visit.node)
    visit.operator_names = await names_of(visit.node, origins, by=visit.caller)
    return visit.page("admin/invite.html", invitation=invitation, origins=origins)


@page("/admin/join", act="page_admin_join", right=ADMINISTRATOR)
async def join(visit: Visit) -> ASGIResponse:
    """Ask for the invitation of another operator."""
    return visit.page("admin/join.html")


@page("/admin/join", act="page_admin_joined", right=ADMINISTRATOR, method="POST")
async def joined(visit: Visit) -> ASGIResponse:
    """Use an invitation: both nodes know each other as pending."""
    form = await visit.read_form()
    try:
        invitation = Invitation.parse(form.value("invitation"))
        peer = await invitations.join(visit.node, invitation, private=form.is_set("private"))
    except Refused as error:
        form.refuse("invitation", error.message.to_text(visit.language))
        return visit.page("admin/join.html", status=400)
    return visit.to(f"/admin/peers/{peer.operator}", notice="saved")


@page("/admin/rejected", act="page_admin_rejected", right=ADMINISTRATOR)
async def list_rejected(visit: Visit) -> ASGIResponse:
    """List the entries of peers that were rejected, and why."""
    view = await peer_views.peers(visit.node)
    await name_operators(visit, view)
    return visit.page("admin/rejected.html", rejected=view.rejected)


HANDLERS = (
    list_peers,
    show_peer,
    review,
    carry_out,
    invite,
    invited,
    join,
    joined,
    list_rejected,
)
