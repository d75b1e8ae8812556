"""Log in by the operator's identity provider, and bind an account there to a person here.

A login begins with a link and not with a form: after a form the policy of the page allows no redirect to
another host. The browser has the state in a cookie, so that a login that somebody else has begun does not end
in it.
"""

from __future__ import annotations

import hmac

from litestar.response.base import ASGIResponse

from federation.domain.errors import Conflict, Forbidden, Invalid, Refused, Unauthenticated, Unreachable
from federation.domain.feed import printable
from federation.domain.login import LOGIN_DURATION
from federation.domain.messages import LANGUAGES
from federation.edge.answers import NO_STORE
from federation.edge.weights import language_of
from federation.node import identities
from federation.node.node import Node
from federation.web.next_page import safe_next
from federation.web.pages import check_fresh, page
from federation.web.session_start import attempt, begin_session
from federation.web.visit import Visit, redirect

STATE_COOKIE = "federation_login"


def state_cookie_name(node: Node) -> str:
    """The name of the cookie with the state of a login."""
    return f"__Host-{STATE_COOKIE}" if node.url.startswith("https://") else STATE_COOKIE


@page("/login/provider", act="page_login_provider")
async def login_provider(visit: Visit) -> ASGIResponse:
    """Begin a login at the identity provider."""
    return await _begin(visit, next_=safe_next(visit.parameter("next")), person="")


@page("/login/provider/bind", act="page_login_bind")
async def bind_provider(visit: Visit) -> ASGIResponse:
    """Bind the account of the identity provider to the person who is logged in."""
    if visit.session is None:
        raise Unauthenticated("log in to see this page", presented=False)
    person = visit.session.person
    if person.passkeys or person.bound:
        check_fresh(visit)
    return await _begin(visit, next_="/passkeys", person=person.id)


async def _begin(visit: Visit, *, next_: str, person: str) -> ASGIResponse:
    try:
        begun = await identities.begin(
            visit.node,
            next_=next_,
            language=visit.language,
            person=person,
            is_repeated=bool(visit.parameter("again")),
        )
    except Unreachable as error:
        return _failed(visit, error)
    secure = "; Secure" if state_cookie_name(visit.node) != STATE_COOKIE else ""
    seconds = int(LOGIN_DURATION.total_seconds())
    cookie = (
        f"{state_cookie_name(visit.node)}={begun.state}; Path=/; Max-Age={seconds};"
        f" HttpOnly; SameSite=Lax{secure}"
    )
    return redirect(begun.url, headers={"set-cookie": cookie, "referrer-policy": "no-referrer"})


@page(identities.CALLBACK, act="page_login_callback", has_language=False)
async def login_callback(visit: Visit) -> ASGIResponse:
    """End a login at the identity provider."""
    visit.language = language_of(visit.request.headers.get("accept-language"))
    visit.path = "/login"
    try:
        return await attempt(visit, _finish(visit))
    except (Invalid, Unauthenticated, Forbidden, Conflict, Unreachable) as error:
        return _failed(visit, error)


async def _finish(visit: Visit) -> ASGIResponse:
    state, code, iss, failure = (visit.parameter(name) for name in ("state", "code", "iss", "error"))
    own = visit.request.cookies.get(state_cookie_name(visit.node), "")
    if not state or not hmac.compare_digest(state.encode(), own.encode()):
        raise Invalid("this login was not begun in this browser; begin again")
    begun = await identities.take_begun(visit.node, state)
    if begun.language in LANGUAGES:
        visit.language = next(language for language in LANGUAGES if language == begun.language)
    if failure or not code:
        raise Unauthenticated(
            "the identity provider did not let you in: {reason}", reason=printable(failure or "no code", 100)
        )
    login = await identities.finish(visit.node, begun, code=code, iss=iss or None)
    return await begin_session(visit, login.person, safe_next(login.next), logout_hint=login.id_token)


def _failed(visit: Visit, error: Refused) -> ASGIResponse:
    status = 502 if isinstance(error, Unreachable) else 403 if isinstance(error, Forbidden) else 400
    return visit.page("login_failed.html", status=status, headers=NO_STORE, error=error)


@page(identities.LOGGED_OUT, act="page_logged_out", has_language=False)
async def logged_out(visit: Visit) -> ASGIResponse:
    """Lead to the first page, after a logout at the identity provider."""
    visit.language = language_of(visit.request.headers.get("accept-language"))
    return visit.to("/", notice="logged-out")


async def provider_logout(visit: Visit) -> str | None:
    """The address at which the visitor logs out of the identity provider, too; None without one."""
    provider = visit.node.identity_provider
    if provider is None or visit.session is None or visit.session.logout_hint is None:
        return None
    return await provider.end_session_url(
        visit.session.logout_hint, f"{visit.node.url}{identities.LOGGED_OUT}"
    )


HANDLERS = (login_provider, bind_provider, login_callback, logged_out)
