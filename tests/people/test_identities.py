"""People log in by the identity provider, and only they: every answer that does not hold is refused."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import RSAKey
from litestar import Litestar

from federation.domain.claim_rule import name_by_claims, read_rules, role_by_claims
from federation.domain.errors import CommandFailed
from federation.domain.identity import ProviderSettings
from federation.domain.visibility import Ceiling, itself
from federation.node import logins, people, sessions
from federation.node.node import Node
from federation.outbound.oidc import IdentityProvider
from federation.settings.environment import read
from federation.settings.files import read_password
from federation.web.identity_provider import STATE_COOKIE
from federation.web.visitor import cookie_name
from tests.api.conftest import app, unattached
from tests.audit.audit_trail import entries
from tests.people.people import a_person, log_in
from tests.people.provider import CLIENT, SECRET, Provider, running_provider
from tests.web.browser import SAME_ORIGIN, browsing, links, shown

__all__ = ["app", "unattached"]
BY = itself("arnia")
RULES = "administrator: groups=/federation/admins; reader: siret=13002526500013"


@pytest.fixture
async def provider(arnia: Node, tmp_path: Path) -> AsyncIterator[Provider]:
    """The identity provider of arnia."""
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    async with running_provider() as running:
        settings = ProviderSettings(
            issuer=running.url,
            client_id=CLIENT,
            secret_file=secret,
            read_secret=read_password,
            scopes="openid given_name",
            name="ProConnect",
            rules=read_rules(RULES),
            private=True,
        )
        arnia.identity_provider = IdentityProvider(settings, arnia.clock)
        yield running
        arnia.identity_provider = None


@pytest.fixture
async def visitor(app: Litestar) -> AsyncIterator[httpx2.AsyncClient]:
    async with browsing(app) as client:
        yield client


async def sent(client: httpx2.AsyncClient, path: str = "/fr/login/provider") -> str:
    """The address that a browser is sent to."""
    answer = await client.get(path)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def come_back(client: httpx2.AsyncClient, parameters: dict[str, str]) -> httpx2.Response:
    return await client.get("/login/callback", params=parameters)


async def logged_in(
    client: httpx2.AsyncClient, provider: Provider, path: str = "/fr/login/provider"
) -> httpx2.Response:
    return await come_back(client, provider.log_in(await sent(client, path)))


async def bound(arnia: Node, provider: Provider, role: str = "reader") -> str:
    """Somebody who is known by the provider's subject."""
    anne = await a_person(arnia, role=role)
    async with arnia.store.write() as tx:
        await tx.people.bind(anne.id, provider.url, provider.subject, by_claim=False)
    return anne.id


async def test_a_person_is_bound_by_an_invitation_and_logs_in_from_then_on(
    arnia: Node, app: Litestar, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    invitation = await logins.invite_new(arnia, name="Anne Martin", role="editor", by=BY)
    await visitor.post(f"/fr{invitation.code_path}", data={"secret": invitation.secret}, headers=SAME_ORIGIN)
    page = await visitor.get("/fr/passkeys")
    assert "/fr/login/provider/bind" in links(page)
    answer = await logged_in(visitor, provider, "/fr/login/provider/bind")
    assert (answer.status_code, answer.headers["location"]) == (303, "/fr/passkeys")
    assert (await people.find(arnia, invitation.person.id)).bound
    noted = [entry for entry in await entries(arnia, "person.changed")]
    assert noted[-1].detail == {"issuer": provider.url, "subject": "subject-1"}
    async with browsing(app) as second:
        answer = await logged_in(second, provider, "/fr/login/provider?next=/passkeys")
        assert (answer.status_code, answer.headers["location"]) == (303, "/fr/passkeys")
        assert re.search(rf"{COOKIE_PATTERN}; HttpOnly; SameSite=Lax", answer.headers["set-cookie"])
        assert "Anne Martin" in shown(await second.get("/fr/passkeys"))
    assert len(await people.all(arnia)) == 1


COOKIE_PATTERN = "federation_session=[A-Za-z0-9_-]{43}; Path=/; Max-Age=43200"


async def test_an_unknown_person_gets_nothing(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    anne = await a_person(arnia, "Anne Martin")
    provider.claims |= {"email": "anne@arnia.example", "email_verified": True, "name": "Anne Martin"}
    answer = await logged_in(visitor, provider)
    assert "pas connu ici" in shown(answer, 403)
    assert "set-cookie" not in answer.headers
    assert await people.all(arnia) == (await people.find(arnia, anne.id),)


async def test_a_claim_rule_lets_in_and_is_read_at_each_login(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    provider.claims["siret"] = "13002526500013"
    assert (await logged_in(visitor, provider)).status_code == 303
    (anne,) = await people.all(arnia)
    assert (anne.name, anne.role, anne.ceiling, anne.bound) == ("Anne Martin", "reader", Ceiling(), True)
    provider.claims["groups"] = ["/users", "/federation/admins"]
    assert (await logged_in(visitor, provider)).status_code == 303
    assert (await people.find(arnia, anne.id)).role == "administrator"
    secret = visitor.cookies[cookie_name(arnia)]
    provider.claims = {}
    refused = await logged_in(visitor, provider)
    assert "pas connu ici" in shown(refused, 403)
    assert await sessions.session(arnia, secret) is None, "no rule holds: nothing is left of the session"
    provider.claims["siret"] = "13002526500013"
    assert (await logged_in(visitor, provider)).status_code == 303
    assert (await people.find(arnia, anne.id)).role == "reader"
    assert len(await people.all(arnia)) == 1


async def test_the_role_of_an_invited_person_is_not_of_a_claim(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    id_ = await bound(arnia, provider, "editor")
    provider.claims["groups"] = ["/federation/admins"]
    assert (await logged_in(visitor, provider)).status_code == 303
    assert (await people.find(arnia, id_)).role == "editor"


# What does not hold

NOW = int(time.time())
WRONG_ID_TOKENS: list[dict[str, Any]] = [
    {"aud": "another"}, {"aud": ["another"]}, {"aud": None}, {"aud": 1}, {"aud": [CLIENT, "another"]},
    {"azp": "another"}, {"aud": [CLIENT, "another"], "azp": "another"},
    {"iss": "https://elsewhere.example"}, {"iss": None},
    {"nonce": "another"}, {"nonce": None},
    {"exp": NOW - 3_600}, {"exp": None}, {"exp": "tomorrow"}, {"exp": True},
    {"iat": NOW - 86_400}, {"iat": NOW + 86_400}, {"iat": None},
    {"sub": None}, {"sub": ""}, {"sub": 1}, {"sub": "x" * 256}, {"sub": "a\x00b"}, {"sub": "another"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_ID_TOKENS, ids=",".join)
async def test_an_id_token_that_does_not_hold_lets_nobody_in(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient, wrong: dict[str, Any]
) -> None:
    await bound(arnia, provider)
    provider.in_id_token = wrong
    refused = await logged_in(visitor, provider)
    assert "n'est pas valable" in shown(refused, 400)
    assert "set-cookie" not in refused.headers
    provider.in_id_token = {"aud": [CLIENT, "another"], "azp": CLIENT, "iat": int(time.time()) - 20}
    assert (await logged_in(visitor, provider)).status_code == 303


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\x00b", "a\u202eb"], ids=ascii)
async def test_a_subject_is_a_short_printable_text(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient, subject: str
) -> None:
    provider.claims["siret"] = "13002526500013"
    good, provider.subject = provider.subject, subject
    assert "n'est pas valable" in shown(await logged_in(visitor, provider), 400)
    assert await people.all(arnia) == ()
    provider.subject = good
    assert (await logged_in(visitor, provider)).status_code == 303


WRONG_USERINFO: list[dict[str, Any]] = [
    {"aud": "another"}, {"aud": None}, {"iss": "https://elsewhere.example"}, {"sub": "another"},
    {"sub": None}, {"exp": NOW - 3_600},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_USERINFO, ids=",".join)
async def test_a_signed_userinfo_that_does_not_hold_lets_nobody_in(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient, wrong: dict[str, Any]
) -> None:
    await bound(arnia, provider)
    provider.in_userinfo = wrong
    assert "n'est pas valable" in shown(await logged_in(visitor, provider), 400)
    provider.in_userinfo = {}
    assert (await logged_in(visitor, provider)).status_code == 303


async def test_userinfo_may_be_json_and_is_about_the_same_subject(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    provider.signs_userinfo = False
    assert (await logged_in(visitor, provider)).status_code == 303
    provider.in_userinfo = {"sub": "another"}
    shown(await logged_in(visitor, provider), 400)
    provider.in_userinfo, provider.in_metadata = {}, {"userinfo_endpoint": None}
    arnia.identity_provider._metadata_until = 0.0  # type: ignore[union-attr] # read anew
    assert (await logged_in(visitor, provider)).status_code == 303


async def test_a_signature_of_another_key_or_none_lets_nobody_in(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    other = RSAKey.generate_key(2048, private=True)
    provider.signing_key = other
    shown(await logged_in(visitor, provider), 400)
    provider.kid = "k2"
    shown(await logged_in(visitor, provider), 400)
    provider.signing_key, provider.kid, provider.algorithm = provider.key, "k1", "none"
    shown(await logged_in(visitor, provider), 400)
    provider.algorithm = "RS256"
    assert (await logged_in(visitor, provider)).status_code == 303


async def test_a_new_key_of_the_provider_is_found(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    assert (await logged_in(visitor, provider)).status_code == 303
    provider.key = RSAKey.generate_key(2048, {"kid": "k2", "use": "sig"}, private=True)
    provider.signing_key, provider.kid = provider.key, "k2"
    shown(await logged_in(visitor, provider), 400)
    assert provider.calls.count("/jwks") == 1, "keys are not read again and again"
    arnia.identity_provider._keys_at = float("-inf")  # type: ignore[union-attr] # a minute later
    assert (await logged_in(visitor, provider)).status_code == 303
    assert provider.calls.count("/.well-known/openid-configuration") == 1


async def test_the_answer_is_of_the_issuer_and_of_this_browser(
    arnia: Node, app: Litestar, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    for changed in ({"iss": "https://elsewhere.example"}, {"iss": ""}, {"code": "made-up"}, {"code": ""}):
        answer = provider.log_in(await sent(visitor)) | changed
        refused = await come_back(visitor, answer)
        shown(refused, 400)
        assert "set-cookie" not in refused.headers
    good = provider.log_in(await sent(visitor))
    async with browsing(app) as second:
        # Login CSRF: a login that somebody else has begun does not end in this browser.
        assert "pas commencé dans ce navigateur" in shown(await come_back(second, good), 400)
        await sent(second)
        assert "pas commencé dans ce navigateur" in shown(await come_back(second, good), 400)
    shown(await come_back(visitor, good | {"state": ""}), 400)
    assert (await come_back(visitor, good)).status_code == 303
    assert "recommencez" in shown(await come_back(visitor, good), 400), "a state holds once"
    refused = await come_back(
        visitor, {"state": provider.log_in(await sent(visitor))["state"], "error": "access_denied"}
    )
    assert "access_denied" in shown(refused, 400)


async def test_a_provider_without_rfc_9207_may_leave_out_the_issuer_and_not_name_another(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    provider.in_metadata = {"authorization_response_iss_parameter_supported": False}
    answer = provider.log_in(await sent(visitor))
    shown(await come_back(visitor, answer | {"iss": "https://elsewhere.example"}), 400)
    answer = provider.log_in(await sent(visitor))
    del answer["iss"]
    assert (await come_back(visitor, answer)).status_code == 303


async def test_the_state_is_in_a_cookie_for_the_host_alone(
    arnia: Node, app: Litestar, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browsing(app) as client:
        answer = await client.get("/fr/login/provider")
        state = parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]
        assert answer.headers["set-cookie"] == (
            f"{STATE_COOKIE}={state}; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"
        )
    monkeypatch.setattr(arnia, "url", "https://arnia.test")
    async with browsing(app) as client:
        answer = await client.get("/fr/login/provider")
        assert answer.headers["set-cookie"].startswith(f"__Host-{STATE_COOKIE}=")
        assert answer.headers["set-cookie"].endswith("; Secure")
        redirect = parse_qs(urlsplit(answer.headers["location"]).query)["redirect_uri"]
        assert redirect == ["https://arnia.test/login/callback"]


async def test_pkce_is_used_where_discovery_lists_it(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    assert "code_challenge=" in await sent(visitor)
    provider.in_metadata = {"code_challenge_methods_supported": []}
    arnia.identity_provider._metadata_until = 0.0  # type: ignore[union-attr] # read anew
    assert "code_challenge" not in await sent(visitor)
    assert (await logged_in(visitor, provider)).status_code == 303


async def test_what_is_hard_to_undo_asks_the_provider_to_ask_again(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    again = "/fr/login/provider?again=yes"
    assert "prompt=login" in await sent(visitor, again)
    assert "prompt" not in await sent(visitor)
    provider.in_id_token = {"auth_time": int(time.time()) - 3_600}
    assert (await logged_in(visitor, provider)).status_code == 303
    assert "n'est pas valable" in shown(await logged_in(visitor, provider, again), 400)
    provider.in_id_token = {"auth_time": int(time.time())}
    assert (await logged_in(visitor, provider, again)).status_code == 303


async def test_an_account_is_one_persons_and_binding_needs_a_login(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    asked = await visitor.get("/fr/login/provider/bind")
    assert asked.headers["location"].startswith("/fr/login?next=")
    other = await a_person(arnia, "Other")
    await log_in(arnia, visitor, other)
    refused = await logged_in(visitor, provider, "/fr/login/provider/bind")
    assert "autre personne" in shown(refused, 400)
    assert not (await people.find(arnia, other.id)).bound
    provider.subject = "subject-2"
    assert (await logged_in(visitor, provider, "/fr/login/provider/bind")).status_code == 303
    assert (await people.find(arnia, other.id)).bound


async def test_a_provider_that_is_down_or_not_itself_is_said_and_nobody_is_let_in(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    for path in ("/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"):
        provider.failing = {path}
        refused = await (
            visitor.get("/fr/login/provider") if "well-known" in path else logged_in(visitor, provider)
        )
        assert "ne répond pas comme il le devrait" in shown(refused, 502), path
        arnia.identity_provider._keys_at = float("-inf")  # type: ignore[union-attr] # a minute later
    provider.failing = set()
    for wrong in (
        {"issuer": "https://elsewhere.example"},
        {"token_endpoint": "http://elsewhere.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": 1},
        {"userinfo_endpoint": "http://169.254.169.254/latest"},
    ):
        provider.in_metadata = wrong
        arnia.identity_provider._metadata_until = 0.0  # type: ignore[union-attr] # read anew
        shown(await visitor.get("/fr/login/provider"), 502)
    provider.in_metadata = {}
    assert (await logged_in(visitor, provider)).status_code == 303


async def test_a_logout_leads_to_the_provider_with_the_id_token(
    arnia: Node, provider: Provider, visitor: httpx2.AsyncClient
) -> None:
    await bound(arnia, provider)
    await logged_in(visitor, provider)
    secret = visitor.cookies[cookie_name(arnia)]
    form = {"content-type": "application/x-www-form-urlencoded"}
    page = await visitor.post("/fr/logout", headers=SAME_ORIGIN | form)
    assert "déconnecté ici" in shown(page)
    assert "Max-Age=0" in page.headers["set-cookie"]
    assert await sessions.session(arnia, secret) is None
    (address,) = [link for link in links(page) if link.startswith(provider.url)]
    parameters = parse_qs(urlsplit(address).query)
    assert parameters.keys() == {"id_token_hint", "post_logout_redirect_uri", "state"}
    assert parameters["post_logout_redirect_uri"] == [f"{arnia.url}/logged-out"]
    assert (await visitor.get("/logged-out")).headers["location"] == "/fr?done=logged-out"


async def test_without_a_provider_there_is_no_such_login(arnia: Node, visitor: httpx2.AsyncClient) -> None:
    assert "ProConnect" not in (await visitor.get("/fr/login")).text
    shown(await visitor.get("/fr/login/provider"), 404)
    shown(await visitor.get("/login/callback?state=x"), 400)


# Rules and settings


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["/federation/admins"]}, "administrator"),
        ({"groups": "/federation/admins"}, "administrator"),
        ({"groups": ["/federation/admins"], "siret": "13002526500013"}, "administrator"),
        ({"siret": "13002526500013"}, "reader"),
        ({"siret": 13002526500013}, None),
        ({"realm_access": {"roles": ["editor"]}}, "editor"),
        ({"realm_access.roles": "editor"}, "editor"),
        ({"realm_access": "editor"}, None),
        ({"groups": ["/federation/admins2"]}, None),
        ({"groups": {"/federation/admins": 1}}, None),
        ({}, None),
    ],
)
def test_a_rule_reads_a_claim(claims: dict[str, Any], role: str | None) -> None:
    rules = read_rules(f"{RULES}; editor: realm_access.roles=editor")
    assert role_by_claims(rules, claims) == role


@pytest.mark.parametrize(
    "text", ["root: a=b", "reader", "reader: a", "reader: email=a@b.example", "reader:=b"]
)
def test_a_rule_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="FEDERATION_OIDC_RULES"):
        read_rules(text)


def test_a_name_comes_from_the_claims_that_there_are() -> None:
    assert name_by_claims({"name": "Anne", "sub": "s"}) == "Anne"
    assert name_by_claims({"given_name": "A", "usual_name": "M", "sub": "s"}) == "A M"
    assert name_by_claims({"name": 1, "preferred_username": "am", "sub": "s"}) == "am"
    assert len(name_by_claims({"name": "x" * 500, "sub": "s"})) <= 100
    assert name_by_claims({"name": " ", "sub": "s"}) == "s"


def test_settings_of_a_provider_are_whole(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s\n")
    whole = {
        "FEDERATION_OPERATOR": "arnia",
        "FEDERATION_OIDC_ISSUER": "https://idp.example/realms/arnia",
        "FEDERATION_OIDC_CLIENT_ID": "node",
        "FEDERATION_OIDC_SECRET_FILE": str(secret),
        "FEDERATION_OIDC_RULES": RULES,
    }
    settings = read(whole)
    assert (settings.oidc_scopes, len(settings.oidc_rules)) == ("openid profile", 2)
    for name, value in (
        ("ISSUER", ""), ("ISSUER", "http://idp.example"), ("ISSUER", "https://u:p@idp.example"),
        ("ISSUER", "https://idp.example?x"), ("CLIENT_ID", ""), ("SECRET_FILE", ""),
        ("SECRET_FILE", str(tmp_path / "absent")), ("SCOPES", "profile"), ("RULES", "x"), ("PRIVATE", "1"),
    ):  # fmt: skip
        with pytest.raises(CommandFailed, match="FEDERATION_OIDC_"):
            read(whole | {f"FEDERATION_OIDC_{name}": value})
