"""The console: what needs an administrator, peers and their codes, programs, keys, alerts, the audit."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx2
import msgspec
import pytest

from federation.node import clients, peers
from federation.node.node import Node
from tests.domain.builders import an_operator
from tests.exposure.deployments import copy
from tests.nodes import introduce, peer_of, publish
from tests.web.browser import shown

PAGES = ("", "/peers", "/rejected", "/clients", "/keys", "/audit", "/alerts", "/invite", "/join")


@pytest.mark.parametrize("path", PAGES)
async def test_the_console_is_for_administrators(
    visitor: httpx2.AsyncClient, editor: httpx2.AsyncClient, path: str
) -> None:
    answer = await visitor.get(f"/fr/admin{path}")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/fr/login?next=")
    shown(await editor.get(f"/fr/admin{path}"), 403)


@pytest.mark.parametrize("path", PAGES)
async def test_an_administrator_sees_each_page_in_both_languages(
    administrator: httpx2.AsyncClient, arnia: Node, megalis: Node, path: str
) -> None:
    await introduce(arnia, megalis)
    assert "Administration" in shown(await administrator.get(f"/fr/admin{path}"))
    assert "Administration" in shown(await administrator.get(f"/en/admin{path}"))


async def test_a_pending_peer_is_named_with_its_code_and_activated_by_it(
    administrator: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    async with arnia.store.write() as tx:
        await tx.peers.add(msgspec.structs.replace(peer_of(megalis), state="pending"))
    assert f"{megalis.name} (megalis) attend" in shown(await administrator.get("/fr/admin"))
    code = await peers.code_shown(arnia, "megalis")
    assert code is not None
    assert code in shown(await administrator.get("/fr/admin/peers/megalis"))
    path = "/fr/admin/peers/megalis/activate"
    assert "arnia" in shown(await administrator.get(path))
    wrong = shown(await administrator.post(path, data={"code": "0000 0000 0000 0000"}), 400)
    assert "1 point à corriger" in wrong
    # (Its address is none of the loopback, and plain http: it would not be called.)
    refused = shown(await administrator.post(path, data={"code": code, "private": "yes"}), 400)
    assert "https" in refused


async def test_a_peer_is_suspended_after_a_page_that_says_what_happens_and_resumed(
    administrator: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    await introduce(arnia, megalis)
    path = "/fr/admin/peers/megalis"
    assert "Suspendre" in shown(await administrator.get(path))
    assert "megalis" in shown(await administrator.get(f"{path}/suspend"))
    shown(await administrator.get(f"{path}/resume"), 404)  # it is not suspended
    answer = await administrator.post(f"{path}/suspend", data={"do": "suspend"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=saved")
    assert "suspendu" in shown(await administrator.get(path))
    assert (await administrator.post(f"{path}/resume", data={"do": "resume"})).status_code == 303
    assert "actif" in shown(await administrator.get(path))
    audit = shown(await administrator.get("/fr/admin/audit"))
    assert re.search(r"peer\.suspended.*administrator of arnia", audit), audit


async def test_what_is_hard_to_undo_asks_for_a_login_again(
    administrator: httpx2.AsyncClient, arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await introduce(arnia, megalis)
    later = arnia.clock() + timedelta(minutes=6)
    monkeypatch.setattr(arnia, "clock", lambda: later)
    path = "/fr/admin/peers/megalis"
    answer = await administrator.post(f"{path}/suspend", data={"do": "suspend"})
    assert answer.status_code in (303, 401)
    assert "actif" in shown(await administrator.get(path))
    answer = await administrator.post("/fr/admin/keys", data={"do": "rotate"})
    assert answer.status_code in (303, 401)


async def test_a_peer_that_is_not_there_has_a_page_with_a_way_on(administrator: httpx2.AsyncClient) -> None:
    shown(await administrator.get("/fr/admin/peers/nobody"), 404)
    shown(await administrator.post("/fr/admin/peers/nobody/suspend", data={"do": "suspend"}), 404)


async def test_operators_have_their_names_with_the_identifier_that_commands_take(
    administrator: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    await introduce(arnia, megalis)
    await publish(arnia, "operator", "arnia", an_operator(name="L'ARNia"))
    name = "Mégalis & Bretagne"
    await copy(arnia, "operator", "megalis/megalis", an_operator(name=name), tlp="GREEN")
    async with arnia.store.write() as tx:
        await tx.peers.add(
            msgspec.structs.replace(
                peer_of(megalis), operator="recia", url="http://recia.test", name="GIP Récia", state="pending"
            )
        )
    listed = (await administrator.get("/fr/admin/peers")).text
    assert 'Mégalis &amp; Bretagne</a><br><span class="quiet">megalis</span>' in listed
    assert 'GIP Récia</a><br><span class="quiet">recia</span>' in listed, (
        "a peer without a record has the name that it gives itself"
    )
    for path in ("", "/suspend", "/leave"):
        assert f"{name} (megalis)" in shown(await administrator.get(f"/fr/admin/peers/megalis{path}"))
    review = shown(await administrator.get("/fr/admin/peers/recia/activate"))
    assert "L'ARNia (arnia)" in review
    assert "GIP Récia (recia)" in review
    assert "L'ARNia (arnia)" in shown(await administrator.get("/fr/admin/invite"))
    assert "GIP Récia (recia) attend" in shown(await administrator.get("/fr/admin"))


async def test_an_invitation_is_shown_once(administrator: httpx2.AsyncClient) -> None:
    text = shown(await administrator.post("/fr/admin/invite", data={"note": "pour Mégalis"}))
    assert "72 heures" in text
    listed = await administrator.get("/fr/admin/peers")
    assert "pour Mégalis" in shown(listed)
    shown(await administrator.post("/fr/admin/invite", data={"note": "x" * 201}), 400)


async def test_an_invitation_that_cannot_be_read_is_refused_and_kept(
    administrator: httpx2.AsyncClient,
) -> None:
    answer = await administrator.post("/fr/admin/join", data={"invitation": "no invitation"})
    shown(answer, 400)
    assert "no invitation" in answer.text


async def test_a_program_gets_a_secret_once_and_is_revoked(
    administrator: httpx2.AsyncClient, arnia: Node
) -> None:
    answer = await administrator.post(
        "/fr/admin/clients", data={"name": "catalogue", "scopes": ["solutions.read"]}
    )
    assert "client_secret" in shown(answer)
    (client,) = [item for item in await clients.all_clients(arnia) if item.name == "catalogue"]
    assert client.scopes == ("solutions.read",) or list(client.scopes) == ["solutions.read"]
    assert "client_secret" not in shown(await administrator.get("/fr/admin/clients"))
    path = f"/fr/admin/clients/{client.id}"
    assert "client_secret" in shown(await administrator.post(f"{path}/rotate", data={"do": "rotate"}))
    assert (await administrator.post(f"{path}/revoke", data={"do": "revoke"})).status_code == 303
    assert "révoqué" in shown(await administrator.get("/fr/admin/clients"))
    shown(await administrator.post(f"{path}/revoke", data={"do": "revoke"}), 404)
    shown(await administrator.post(f"{path}/other", data={"do": "other"}), 404)
    again = await administrator.post("/fr/admin/clients", data={"name": "x", "scopes": ["no.scope"]})
    assert "no.scope" in shown(again, 400)


async def test_the_audit_trail_is_verified(administrator: httpx2.AsyncClient) -> None:
    assert "Toute la chaîne" in shown(await administrator.get("/fr/admin/audit"))
    verified = shown(await administrator.post("/fr/admin/audit", data={"do": "verify"}))
    assert re.search(r"\d+ entrées? (est intacte|sont intactes)", verified)


async def test_the_key_of_the_node_is_rotated_one_at_a_time(
    administrator: httpx2.AsyncClient, arnia: Node
) -> None:
    assert arnia.keyring.kid in shown(await administrator.get("/fr/admin/keys"))
    assert (await administrator.post("/fr/admin/keys", data={"do": "rotate"})).status_code == 303
    shown(await administrator.post("/fr/admin/keys", data={"do": "rotate"}), 409)
