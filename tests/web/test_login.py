"""Sessions begin at a login and nowhere else, for whoever proved who they are, and lead to our own pages."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from litestar import Litestar

from federation.domain.login import PersonInvitation
from federation.domain.visibility import itself
from federation.edge.answers import FORM
from federation.edge.limits import Limits
from federation.node import logins, people, sessions
from federation.node.node import Node
from federation.web.next_page import safe_next
from federation.web.visitor import COOKIE, cookie_name
from tests.people.authenticator import Authenticator
from tests.people.people import Clock, a_person, log_in
from tests.people.test_passkeys import registered
from tests.web.browser import SAME_ORIGIN, browsing, links, shown

BY = itself("arnia")


async def invited(arnia: Node, role: str = "reader") -> PersonInvitation:
    return await logins.invite_new(arnia, name="Anne Martin", role=role, by=BY)


async def accept(client: httpx2.AsyncClient, invitation: PersonInvitation, **fields: str) -> httpx2.Response:
    data = fields or {"secret": invitation.secret}
    return await client.post(f"/fr{invitation.code_path}", data=data, headers=SAME_ORIGIN)


async def by_passkey(client: httpx2.AsyncClient, device: Authenticator, **fields: str) -> httpx2.Response:
    asked = await client.post("/fr/login/passkey/options", data={"for": "passkey"}, headers=SAME_ORIGIN)
    assert asked.status_code == 200, asked.text
    assert asked.headers["cache-control"] == "no-store"
    sent = {"state": asked.json()["state"], "credential": device.sign(asked.json()["options"])} | fields
    return await client.post("/fr/login/passkey", data=sent, headers=SAME_ORIGIN)


# Invitations


async def test_the_link_leads_to_the_page_and_its_secret_logs_in(
    arnia: Node, app: Litestar, visitor: httpx2.AsyncClient
) -> None:
    invitation = await invited(arnia)
    first = await visitor.get(invitation.code_path)
    assert (first.status_code, first.headers["location"]) == (302, f"/fr{invitation.code_path}")
    opened = await visitor.get(first.headers["location"])
    assert "Votre invitation" in shown(opened)
    assert "Anne" not in opened.text, "the page does not say who is invited: its address is no secret"
    assert opened.headers["cache-control"] == "no-store"
    assert "set-cookie" not in opened.headers
    answer = await accept(visitor, invitation)
    assert (answer.status_code, answer.headers["location"]) == (303, "/fr/passkeys")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(
        rf"{COOKIE}=[A-Za-z0-9_-]{{43}}; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax", cookie
    )
    page = await visitor.get("/fr/passkeys")
    assert "Anne Martin" in shown(page)
    assert "Fin de votre session" in shown(page)
    async with browsing(app) as second:
        again = await accept(second, invitation)
        assert "n’est plus valable" in shown(again, 404)
        assert "set-cookie" not in again.headers


async def test_a_code_logs_in_without_script_and_a_wrong_one_does_not(
    arnia: Node, visitor: httpx2.AsyncClient
) -> None:
    invitation = await invited(arnia)
    wrong = "2222-2222" if invitation.code != "2222-2222" else "3333-3333"
    for fields in ({"code": wrong}, {"code": ""}, {"secret": "", "code": "<b>"}):
        refused = await accept(visitor, invitation, **fields)
        assert "Code de l’invitation" in shown(refused, 400)
        assert "fault-code" in refused.text
        assert "set-cookie" not in refused.headers
    answer = await accept(visitor, invitation, code=invitation.code.replace("-", " ").lower())
    assert answer.headers["location"] == "/fr/passkeys"
    shown(await visitor.get("/fr/passkeys"))


async def test_an_invitation_that_is_not_there_has_a_page_with_a_way_on(
    visitor: httpx2.AsyncClient,
) -> None:
    shown(await visitor.get("/fr/invitation/%00"), 404)
    for id_ in ("nothing", "x" * 500, "é"):
        assert "Demandez-en une nouvelle" in shown(await visitor.get(f"/fr/invitation/{id_}"), 404)
    assert (await visitor.get("/invitation/a%0d%0aset-cookie:x")).headers["location"].count("\n") == 0


async def test_failed_attempts_of_an_address_are_bounded(
    app: Litestar, arnia: Node, visitor: httpx2.AsyncClient
) -> None:
    app.state.limits = Limits(anonymous=1_000, clock=lambda: 0.0)
    try:
        invitation = await invited(arnia)
        for _ in range(30):
            shown(await accept(visitor, invitation, secret="A" * 43), 404)
        assert "Trop de demandes" in shown(await accept(visitor, invitation), 429)
    finally:
        app.state.limits = Limits()
    assert (await accept(visitor, invitation)).status_code == 303


# Sessions


async def test_a_login_replaces_the_secret_that_the_browser_had(
    arnia: Node, visitor: httpx2.AsyncClient
) -> None:
    """Session fixation: a secret that somebody else knows, or has planted, is worth nothing afterwards."""
    anne = await a_person(arnia)
    mallory = await a_person(arnia, "Mallory")
    await log_in(arnia, visitor, mallory)
    planted = visitor.cookies[cookie_name(arnia)]
    device = await registered(arnia, anne)
    answer = await by_passkey(visitor, device)
    assert answer.status_code == 303, answer.text
    mine = visitor.cookies[cookie_name(arnia)]
    assert mine != planted
    assert await sessions.session(arnia, planted) is None
    session = await sessions.session(arnia, mine)
    assert session is not None
    assert session.person.id == anne.id


async def test_a_secret_that_was_made_up_is_not_taken_over_by_a_login(
    arnia: Node, visitor: httpx2.AsyncClient
) -> None:
    made_up = "A" * 43
    visitor.cookies.set(cookie_name(arnia), made_up, domain="arnia.test")
    await accept(visitor, await invited(arnia))
    assert await sessions.session(arnia, made_up) is None
    assert await sessions.session(arnia, visitor.cookies[cookie_name(arnia)]) is not None


async def test_over_https_the_cookie_is_for_the_host_alone(
    arnia: Node, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arnia, "url", "https://arnia.test")
    async with browsing(app) as client:
        answer = await accept(client, await invited(arnia))
        assert re.fullmatch(
            rf"__Host-{COOKIE}=[A-Za-z0-9_-]{{43}}; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure",
            answer.headers["set-cookie"],
        )
        shown(await client.get("/fr/passkeys"))
        # The name without the prefix can be set by other hosts of the domain: it is not read.
        secret = client.cookies[f"__Host-{COOKIE}"]
        client.cookies.clear()
        client.cookies.set(COOKIE, secret)
        assert (await client.get("/fr/passkeys")).status_code == 303


async def test_logging_out_ends_the_session_and_takes_the_cookie(
    arnia: Node, visitor: httpx2.AsyncClient
) -> None:
    await log_in(arnia, visitor, await a_person(arnia))
    secret = visitor.cookies[cookie_name(arnia)]
    assert (await visitor.get("/fr/logout")).status_code in (404, 405), "a link logs nobody out"
    assert await sessions.session(arnia, secret) is not None
    answer = await visitor.post("/fr/logout", headers={**SAME_ORIGIN, "content-type": FORM})
    assert (answer.status_code, answer.headers["location"]) == (303, "/fr?done=logged-out")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert await sessions.session(arnia, secret) is None
    assert "Vous êtes déconnecté" in shown(await visitor.get("/fr?done=logged-out"))


@pytest.mark.parametrize(
    "path", ["logout", "login/passkey", "login/passkey/options", "passkeys", "passkeys/remove"]
)
async def test_a_form_of_another_site_is_refused(arnia: Node, visitor: httpx2.AsyncClient, path: str) -> None:
    await log_in(arnia, visitor, await a_person(arnia))
    secret = visitor.cookies[cookie_name(arnia)]
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere.example"}, {}):
        answer = await visitor.post(f"/fr/{path}", data={"x": "y"}, headers=headers)
        assert answer.status_code == 403, headers
        assert "set-cookie" not in answer.headers
    assert await sessions.session(arnia, secret) is not None
    answer = await visitor.post(f"/fr/{path}", data={"x": "y"}, headers={"origin": arnia.url})
    assert answer.status_code != 403


async def test_an_invitation_is_not_accepted_from_another_site(
    arnia: Node, visitor: httpx2.AsyncClient
) -> None:
    """Login CSRF: somebody would be logged in as somebody else, and not notice."""
    invitation = await invited(arnia)
    answer = await visitor.post(
        f"/fr{invitation.code_path}",
        data={"secret": invitation.secret},
        headers={"sec-fetch-site": "cross-site"},
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert (await accept(visitor, invitation)).status_code == 303


# The page to go on to


@pytest.mark.parametrize(
    "next_",
    [
        "//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "\\\\elsewhere.example",
        "elsewhere.example", "javascript:alert(1)", "/\r\nset-cookie: a=b", "/a\nb", "/ a",
        "/\t/elsewhere.example",
        "", "/" + "x" * 2_000, "/login", "/login?next=/", "/logout", "/a\\b",
    ],
)  # fmt: skip
def test_what_is_no_page_of_ours_is_not_gone_on_to(next_: str) -> None:
    assert safe_next(next_) == "/"


@pytest.mark.parametrize(
    ("next_", "path"),
    [
        ("/", "/"),
        ("/solutions/arnia/glpi", "/solutions/arnia/glpi"),
        ("/search?q=a%20b&type=solution", "/search?q=a%20b&type=solution"),
        ("/bodies/FR-SIREN:217600000#offers", "/bodies/FR-SIREN:217600000#offers"),
        ("/search?q=été", "/search?q=%C3%A9t%C3%A9"),
    ],
)
def test_a_page_of_ours_is_gone_on_to(next_: str, path: str) -> None:
    assert safe_next(next_) == path


async def test_a_page_that_needs_a_login_comes_after_it(arnia: Node, visitor: httpx2.AsyncClient) -> None:
    anne = await a_person(arnia)
    device = await registered(arnia, anne)
    asked = await visitor.get("/fr/passkeys")
    assert (asked.status_code, asked.headers["location"]) == (303, "/fr/login?next=%2Fpasskeys")
    page = await visitor.get(asked.headers["location"])
    assert "Se connecter avec une clé d’accès" in shown(page)
    (next_,) = re.findall(r'name="next" value="([^"]*)"', page.text)
    answer = await by_passkey(visitor, device, next=next_)
    assert answer.headers["location"] == "/fr/passkeys"
    elsewhere = await by_passkey(visitor, device, next="https://elsewhere.example/")
    assert elsewhere.headers["location"] == "/fr"
    page = await visitor.get("/fr/login?next=//elsewhere.example")
    assert "elsewhere" not in page.text.partition("<main")[2]


# Passkeys


async def test_a_person_adds_lists_and_removes_passkeys(arnia: Node, visitor: httpx2.AsyncClient) -> None:
    await accept(visitor, await invited(arnia))
    devices = [Authenticator(arnia.url) for _ in range(2)]
    for number, device in enumerate(devices):
        asked = await visitor.post("/fr/passkeys/options", data={"for": "passkey"}, headers=SAME_ORIGIN)
        made = {"state": asked.json()["state"], "credential": device.make(asked.json()["options"])}
        answer = await visitor.post(
            "/fr/passkeys", data={**made, "name": f"Clé {number} <b>"}, headers=SAME_ORIGIN
        )
        assert answer.headers["location"] == "/fr/passkeys?done=saved", answer.text
    page = await visitor.get("/fr/passkeys")
    assert "2 clés d’accès" in shown(page)
    assert "Clé 0 &lt;b&gt;" in page.text
    keys = re.findall(r'name="passkey" value="([^"]*)"', page.text)
    removed = await visitor.post("/fr/passkeys/remove", data={"passkey": keys[0]}, headers=SAME_ORIGIN)
    assert removed.headers["location"] == "/fr/passkeys?done=removed"
    last = await visitor.post("/fr/passkeys/remove", data={"passkey": keys[1]}, headers=SAME_ORIGIN)
    assert "seul moyen" in shown(last, 400)
    empty = await visitor.post("/fr/passkeys", data={"name": ""}, headers=SAME_ORIGIN)
    assert "60 caractères" in shown(empty, 400)


async def test_a_login_by_passkey_that_fails_shows_why_and_makes_no_session(
    arnia: Node, visitor: httpx2.AsyncClient
) -> None:
    device = await registered(arnia, await a_person(arnia))
    good = device.origin
    device.origin = "https://elsewhere.example"
    refused = await by_passkey(visitor, device, next="/solutions")
    assert "pas pu être vérifiée" in shown(refused, 400)
    assert 'name="next" value="/solutions"' in refused.text
    empty = await by_passkey(visitor, device, credential="")
    assert "JavaScript" in shown(empty, 400)
    assert "set-cookie" not in (refused.headers | empty.headers)
    device.origin = good
    assert "set-cookie" in (await by_passkey(visitor, device)).headers


# Authentication of the last minutes


async def test_what_is_hard_to_undo_asks_to_log_in_again(
    arnia: Node, visitor: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    anne = await a_person(arnia)
    device, second = await registered(arnia, anne), await registered(arnia, anne)
    clock = Clock()
    monkeypatch.setattr(arnia, "clock", clock)
    assert (await by_passkey(visitor, device)).status_code == 303
    clock.move(minutes=4, seconds=59)
    page = await visitor.get("/fr/passkeys")
    keys = re.findall(r'name="passkey" value="([^"]*)"', page.text)
    assert len(keys) == 2
    clock.move(seconds=1)
    page = await visitor.get("/fr/passkeys")
    assert "/fr/login?next=%2Fpasskeys&again=yes" in links(page)
    for path in ("/fr/passkeys", "/fr/passkeys/options", "/fr/passkeys/remove"):
        refused = await visitor.post(path, data={"passkey": keys[0], "name": "typed"}, headers=SAME_ORIGIN)
        assert "Connectez-vous d’abord à nouveau" in shown(refused, 401)
        assert 'name="passkey" value=' in refused.text, "what was typed is kept"
        assert "/fr/login?again=yes" in links(refused)
    assert "Montrez que c’est bien vous" in shown(await visitor.get("/fr/login?again=yes"))
    assert (await by_passkey(visitor, second)).status_code == 303
    answer = await visitor.post("/fr/passkeys/remove", data={"passkey": keys[0]}, headers=SAME_ORIGIN)
    assert answer.headers["location"] == "/fr/passkeys?done=removed"


async def test_somebody_without_any_other_way_in_may_add_a_passkey_for_as_long_as_the_session(
    arnia: Node, visitor: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(arnia, "clock", clock)
    await accept(visitor, await invited(arnia))
    clock.move(hours=2)
    asked = await visitor.post("/fr/passkeys/options", data={"for": "passkey"}, headers=SAME_ORIGIN)
    assert asked.status_code == 200
    assert "seul accès" in shown(await visitor.get("/fr/passkeys"))


async def test_a_page_says_when_the_session_ends(
    arnia: Node, visitor: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(arnia, "clock", clock)
    assert "Fin de votre session" not in shown(await visitor.get("/fr"))
    reader = await a_person(arnia)
    await log_in(arnia, visitor, reader)
    page = await visitor.get("/fr")
    assert "Fin de votre session" in shown(page)
    assert 'datetime="2026-11-30T21:00:00Z"' in page.text
    assert "une heure sans ouvrir" not in page.text
    await people.change(arnia, reader.id, role="administrator", by=BY)
    await log_in(arnia, visitor, reader)
    assert "une heure sans ouvrir" in shown(await visitor.get("/fr"))


# Login links of the demonstration


async def test_a_login_link_of_the_demonstration_logs_in_once_on_its_own_machine(
    arnia: Node, app: Litestar, visitor: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arnia, "has_demo_links", True)
    anne = await a_person(arnia)
    path = await logins.demo_link(arnia, anne.id)
    for headers in ({"x-forwarded-for": "127.0.0.1"}, {"forwarded": "for=127.0.0.1"}):
        shown(await visitor.get(path, headers=headers), 404)
    transport: Any = visitor._transport
    monkeypatch.setattr(transport, "client", ("192.0.2.7", 5_000))
    shown(await visitor.get(path), 404)
    monkeypatch.setattr(transport, "client", ("127.0.0.1", 5_000))
    answer = await visitor.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/fr")
    assert "Anne Martin" in shown(await visitor.get("/fr"))
    async with browsing(app) as second:
        assert "déjà servi" in shown(await second.get(path), 404)
        assert "Anne" not in (await second.get("/fr")).text
