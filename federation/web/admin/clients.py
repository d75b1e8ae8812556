"""Clients and keys in the console: the programs of this operator, and the key that signs for it."""

from __future__ import annotations

from litestar.response.base import ASGIResponse

from federation.domain.audit import actor_of
from federation.domain.errors import NotFound, Refused
from federation.domain.scopes import SCOPES
from federation.edge.operations import ADMINISTRATOR
from federation.node import clients, key_rotation
from federation.web.pages import page
from federation.web.visit import Visit


@page("/admin/clients", act="page_admin_clients", right=ADMINISTRATOR)
async def list_clients(visit: Visit) -> ASGIResponse:
    """List the clients, with a form for a new one."""
    return await _clients(visit)


async def _clients(visit: Visit, status: int = 200, secret: tuple[str, str] | None = None) -> ASGIResponse:
    """``secret``: the id of a client and its new secret, shown this once."""
    listed = sorted(
        await clients.all_clients(visit.node),
        key=lambda client: (client.revoked_at is not None, client.name),
    )
    return visit.page("admin/clients.html", status=status, clients=listed, secret=secret, scopes=list(SCOPES))


@page("/admin/clients", act="page_admin_client_add", right=ADMINISTRATOR, method="POST", fresh=True)
async def add_client(visit: Visit) -> ASGIResponse:
    """Make a client, and show its secret."""
    form = await visit.read_form()
    try:
        client_id, secret, _ = await clients.add_client(
            visit.node, form.value("name"), tuple(form.values("scopes")), by=actor_of(visit.caller)
        )
    except Refused as error:
        form.refuse_all(error.faults, visit.language)
        if not error.faults:
            form.refuse("name", error.message.to_text(visit.language))
        return await _clients(visit, status=400)
    visit.form = None
    return await _clients(visit, secret=(client_id, secret))


@page(
    "/admin/clients/{client:str}/{act:str}",
    act="page_admin_client_act",
    right=ADMINISTRATOR,
    method="POST",
    fresh=True,
)
async def change_client(visit: Visit, client: str, act: str) -> ASGIResponse:
    """Revoke a client, give it a new secret, or drop the former one."""
    by = actor_of(visit.caller)
    if act not in ("revoke", "rotate", "finish"):
        raise NotFound("there is no such page here")
    if act == "revoke":
        await clients.revoke_client(visit.node, client, by=by)
        return visit.to("/admin/clients", notice="saved")
    secret = await clients.change_secret(visit.node, client, finish=act == "finish", by=by)
    if secret is None:
        return visit.to("/admin/clients", notice="saved")
    visit.form = None
    return await _clients(visit, secret=(client, secret))


@page("/admin/keys", act="page_admin_keys", right=ADMINISTRATOR)
async def show_keys(visit: Visit) -> ASGIResponse:
    """Show the key that signs, and those that are published."""
    return _keys(visit)


def _keys(visit: Visit, status: int = 200) -> ASGIResponse:
    ring = visit.node.keyring
    published = [str(key["kid"]) for key in ring.public()["keys"]]
    return visit.page("admin/keys.html", status=status, kid=ring.kid, published=published)


@page("/admin/keys", act="page_admin_key_rotate", right=ADMINISTRATOR, method="POST", fresh=True)
async def rotate_key(visit: Visit) -> ASGIResponse:
    """Give this node a new key, which the present one endorses."""
    form = await visit.read_form()
    try:
        await key_rotation.rotate(visit.node, by=actor_of(visit.caller))
    except Refused as error:
        form.refuse("", error.message.to_text(visit.language))
        return _keys(visit, status=409)
    return visit.to("/admin/keys", notice="saved")


HANDLERS = (list_clients, add_client, change_client, show_keys, rotate_key)
