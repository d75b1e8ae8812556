"""A visit: one request for a page, with its visitor and the answers that pages give."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.domain.messages import Language
from federation.domain.person import SESSION_DURATION
from federation.domain.visibility import Caller
from federation.edge.answers import answer, tagged_answer
from federation.edge.query_parameters import pairs_of
from federation.edge.requests import node_of
from federation.node.sessions import is_fresh
from federation.web.forms import MAX_FORM_BYTES, Form, SentFile, read_form, read_upload
from federation.web.language import screen_text as t
from federation.web.language import translate
from federation.web.menu import menu
from federation.web.rendering import render

HTML = "text/html"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "content-security-policy": POLICY,
    # Not ``no-referrer``: Chromium then sends ``Origin: null`` with forms.
    "referrer-policy": "same-origin",
    "vary": "cookie",
}
PUBLIC_SECONDS = 30
"""Time for which a page that anybody sees may be shown again without asking."""
NOTICE = "done"
"""The parameter that names what a form has done, on the page that follows it."""
NOTICES = {
    "published": t("Published."),
    "retracted": t("Retracted."),
    "answered": t("Your answer is published."),
    "saved": t("Saved."),
    "sent": t("Sent."),
    "removed": t("Removed."),
    "logged-out": t("You are logged out."),
}


class Visit:
    """One request for a page."""

    def __init__(
        self,
        request: Request[Any, Any, Any],
        language: Language,
        caller: Caller,
        session: Any = None,
    ) -> None:
        self.request = request
        self.language = language
        self.caller = caller
        """The visitor as ``may_see`` knows it: nobody in particular, or a person of this operator."""
        self.session = session
        self.node = node_of(request)
        self.now = self.node.clock()
        self.path: str = request.scope["path"].removeprefix(f"/{language}") or "/"
        """The path without its language."""
        self.operator_names: dict[str, str] | None = None
        """Names of the operators that the page shows, by id, once they have been read; an operator without
        a record that the visitor may see is not among them."""
        self.form: Form | None = None
        """The form that was sent, once it has been read: shown again when it is refused."""

    @property
    def is_member(self) -> bool:
        """True for a person who is logged in."""
        return self.session is not None

    def may(self, scope: str) -> bool:
        """True if the visitor has a right: a scope as programs have them."""
        return scope in self.caller.scopes

    @property
    def is_fresh(self) -> bool:
        """True for five minutes after the visitor has logged in: what is hard to undo asks for it."""
        return self.session is not None and is_fresh(self.session, self.now)

    @property
    def session_end(self) -> datetime | None:
        """The end of the session at the latest; an administrator's ends after an idle hour, too."""
        if self.session is None:
            return None
        end: datetime = self.session.created + SESSION_DURATION
        return end

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of the query string, without empty ones and without the notice."""
        return [(name, value) for name, value in pairs_of(self.request) if value and name != NOTICE]

    def parameter(self, name: str) -> str:
        """The first value of a parameter; the empty text without one."""
        return next((value for key, value in self.pairs if key == name), "")

    @property
    def query(self) -> dict[str, str]:
        """The parameters, for the same page in another language."""
        return dict(self.pairs)

    @property
    def menu(self) -> list[tuple[str, str]]:
        """Path and name of each page of the main menu."""
        return menu(self.caller.scopes)

    def operator_name(self, operator: str) -> str:
        """The name of an operator, or its id where no name is known."""
        return (self.operator_names or {}).get(operator, operator)

    def operator_with_id(self, operator: str) -> str:
        """The name of an operator with its id, for people who type the id: L'ARNia (arnia)."""
        name = self.operator_name(operator)
        return operator if name == operator else f"{name} ({operator})"

    def operators_with_ids(self, operators: Iterable[str]) -> str:
        """Several of them: L'ARNia (arnia), Mégalis Bretagne (megalis)."""
        return ", ".join(map(self.operator_with_id, operators))

    def url(self, path: str, language: Language | None = None, **parameters: str) -> str:
        """The address of a page of this node, from the root: ``/fr/solutions``."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"/{language or self.language}{path if path != '/' else ''}{query}"

    def text(self, english: str, **values: Any) -> str:
        """A text of a screen in the language of the visitor."""
        translated = translate(self.language, english)
        return translated % values if values else translated

    async def read_form(self, max_bytes: int = MAX_FORM_BYTES) -> Form:
        """The form that was sent. Raises Invalid, TooLarge, TooSlow."""
        if self.form is None:
            self.form = await read_form(self.request, max_bytes)
        return self.form

    async def read_upload(self, max_bytes: int) -> tuple[Form, SentFile | None]:
        """The form that was sent, and its file. Raises Invalid, TooLarge, TooSlow."""
        self.form, file = await read_upload(self.request, max_bytes)
        return self.form, file

    def page(
        self,
        template: str,
        *,
        status: int = 200,
        alternate: str | None = None,
        feed: str | None = None,
        headers: dict[str, str] | None = None,
        **view: Any,
    ) -> ASGIResponse:
        """A page. ``alternate``: the path at which programs read the same; ``feed``: the name of its feed."""
        notice = next((value for name, value in pairs_of(self.request) if name == NOTICE), "")
        body = render(
            self.language,
            template,
            {
                "visit": self,
                "alternate": alternate,
                "feed": f"/feeds/{quote(feed)}.atom?language={self.language}" if feed else None,
                "notice": translate(self.language, NOTICES[notice]) if notice in NOTICES else None,
                "form": self.form or Form(),
                **view,
            },
            zone=self.node.time_zone,
            now=self.now,
        ).encode()
        return self._answer(body, status, HTML, {"content-language": self.language, **(headers or {})})

    def file(self, body: bytes, media_type: str, name: str | None = None) -> ASGIResponse:
        """A file. ``name``: it is saved under that name instead of shown."""
        headers = {} if name is None else {"content-disposition": f'attachment; filename="{name}"'}
        return self._answer(body, 200, media_type, headers)

    def _answer(self, body: bytes, status: int, media_type: str, headers: dict[str, str]) -> ASGIResponse:
        sent = {**PAGE_HEADERS, **headers}
        is_shown_once = status != 200 or self.request.method not in ("GET", "HEAD")
        if is_shown_once or headers.get("cache-control") == "no-store":
            return answer(
                body, status=status, media_type=media_type, headers={**sent, "cache-control": "no-store"}
            )
        if self.session is None:
            sent["cache-control"] = f"public, max-age={PUBLIC_SECONDS}"
            return answer(body, media_type=media_type, headers=sent)
        sent["cache-control"] = "private, no-cache"
        return tagged_answer(self.request, body, media_type=media_type, headers=sent)

    def to(
        self, path: str, *, notice: str | None = None, headers: dict[str, str] | None = None
    ) -> ASGIResponse:
        """Go on to another page, after a form was carried out."""
        target = self.url(path)
        if notice is not None:
            target += f"{'&' if '?' in target else '?'}{urlencode({NOTICE: notice})}"
        return redirect(target, headers=headers)


def redirect(target: str, status: int = 303, headers: dict[str, str] | None = None) -> ASGIResponse:
    """Go on to an address."""
    fixed = {"location": target, "cache-control": "no-store", "referrer-policy": "same-origin"}
    return answer(b"", status=status, media_type=HTML, headers={**fixed, **(headers or {})})
