"""Log in, log out, accept an invitation: the only pages at which a session begins or ends.

A login gives the browser a new secret, and ends the session that it had: nobody can prepare a session for
somebody else. The page to go on to is one of this node, whatever a link says.
"""

from __future__ import annotations

from urllib.parse import quote

from litestar.response.base import ASGIResponse

from federation.domain.errors import Invalid, NotFound, Unauthenticated
from federation.domain.visibility import anonymous
from federation.edge.answers import JSON, NO_STORE
from federation.edge.weights import language_of
from federation.node import logins, passkeys, sessions
from federation.settings.urls import is_loopback
from federation.web.forms import Form
from federation.web.identity_provider import provider_logout
from federation.web.next_page import safe_next
from federation.web.pages import page
from federation.web.session_start import attempt, begin_session
from federation.web.visit import Visit, redirect
from federation.web.visitor import no_session_cookie, secret_of


def _login_page(visit: Visit, *, status: int = 200) -> ASGIResponse:
    next_ = safe_next((visit.form.value("next") if visit.form else "") or visit.parameter("next"))
    return visit.page(
        "login.html",
        status=status,
        headers=NO_STORE,
        next=next_,
        is_repeated=bool(visit.parameter("again")),
        has_passkeys=passkeys.host_of_passkeys(visit.node) is not None,
        provider=visit.node.identity_provider.name if visit.node.identity_provider else None,
    )


@page("/login", act="page_login")
async def login(visit: Visit) -> ASGIResponse:
    """Show the ways to log in."""
    return _login_page(visit)


@page("/login/passkey/options", act="page_login_options", method="POST", media_type=JSON)
async def login_options(visit: Visit) -> ASGIResponse:
    """Begin a login by passkey: the script asks for it."""
    made = await passkeys.options_to_log_in(visit.node)
    return visit.file(passkeys.as_json(made), JSON)


@page("/login/passkey", act="page_login_passkey", method="POST")
async def login_passkey(visit: Visit) -> ASGIResponse:
    """Log in by passkey."""
    form = await visit.read_form()
    step = passkeys.log_in(visit.node, state=form.value("state"), credential=form.value("credential"))
    try:
        person = await attempt(visit, step)
    except (Invalid, Unauthenticated) as error:
        form.refuse("", error.message.to_text(visit.language))
        return _login_page(visit, status=400)
    return await begin_session(visit, person, safe_next(form.value("next")))


@page("/logout", act="page_logout", method="POST")
async def logout(visit: Visit) -> ASGIResponse:
    """End the session of this browser."""
    secret = secret_of(visit.node, visit.request)
    if secret is not None:
        await sessions.end(visit.node, secret)
    cookie = {"set-cookie": no_session_cookie(visit.node)}
    elsewhere = await provider_logout(visit)
    if elsewhere is None:
        return visit.to("/", notice="logged-out", headers=cookie)
    # A redirect after a form may lead to this node only (form-action): the page goes on by itself.
    visit.session, visit.caller = None, anonymous(visit.node.operator)
    return visit.page("logged_out.html", headers=cookie, elsewhere=elsewhere)


# Invitations


@page("/invitation/{invitation:str}", act="page_invitation_link", has_language=False)
async def invitation_link(visit: Visit, invitation: str) -> ASGIResponse:
    """Lead to the page of an invitation in the language of the visitor; the fragment goes along."""
    language = language_of(visit.request.headers.get("accept-language"))
    return redirect(f"/{language}/invitation/{quote(invitation, safe='')}", 302)


@page("/invitation/{invitation:str}", act="page_invitation")
async def invitation(visit: Visit, invitation: str) -> ASGIResponse:
    """Show what an invitation is, with the fields for its secrets."""
    if not await logins.is_open(visit.node, invitation):
        return visit.page("invitation.html", status=404, is_open=False)
    return visit.page("invitation.html", headers=NO_STORE, is_open=True)


@page("/invitation/{invitation:str}", act="page_invitation_accept", method="POST")
async def accept_invitation(visit: Visit, invitation: str) -> ASGIResponse:
    """Accept an invitation by the secret of its link, or by its code, and log in."""
    form = await visit.read_form()
    try:
        person = await attempt(visit, _accept(visit, invitation, form))
    except Invalid as error:
        form.refuse_all(error.faults, visit.language, {"/code": "code"})
        return visit.page("invitation.html", status=400, is_open=True)
    except NotFound:
        return visit.page("invitation.html", status=404, is_open=False)
    return await begin_session(visit, person, "/passkeys")


async def _accept(visit: Visit, invitation: str, form: Form) -> str:
    if form.value("secret"):
        return await logins.accept_link(visit.node, invitation, form.value("secret"))
    return await logins.accept_code(visit.node, invitation, form.value("code"))


@page("/login/demo/{secret:str}", act="page_login_demo", has_language=False)
async def login_demo(visit: Visit, secret: str) -> ASGIResponse:
    """Log in by a link of the demonstration, on its own machine."""
    visit.language = language_of(visit.request.headers.get("accept-language"))
    visit.path = "/login"
    client = visit.request.scope.get("client")
    # Behind a proxy everybody comes from the loopback interface.
    forwarded = any(name in visit.request.headers for name in ("forwarded", "x-forwarded-for"))
    if client is None or not is_loopback(client[0]) or forwarded:
        raise NotFound("there is no such page here")
    person = await attempt(visit, logins.accept_demo_link(visit.node, secret))
    return await begin_session(visit, person, "/")


HANDLERS = (
    login,
    login_options,
    login_passkey,
    logout,
    invitation_link,
    invitation,
    accept_invitation,
    login_demo,
)
