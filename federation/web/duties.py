"""Pages that the law or courtesy asks for: accessibility, legal notice, site map, help."""

from __future__ import annotations

from litestar.response.base import ASGIResponse

from federation.node import status as node_status
from federation.web.language import screen_text as t
from federation.web.menu import MENU
from federation.web.own_texts import own_text
from federation.web.pages import page
from federation.web.visit import Visit

MORE_PAGES = (
    ("/", t("Home")),
    ("/coverage", t("Where solutions are in use")),
    ("/search", t("Search")),
    ("/login", t("Log in")),
    ("/help", t("Help")),
    ("/accessibility", t("Accessibility: not compliant")),
    ("/legal", t("Legal notice")),
    ("/site", t("Site map")),
)
"""Pages for everybody that are not in the main menu."""


@page("/accessibility", act="page_accessibility")
async def accessibility(visit: Visit) -> ASGIResponse:
    """Show the statement on accessibility."""
    contact, _ = await node_status.public_contacts(visit.node)
    own = await own_text(visit.node, "accessibility", visit.language)
    return visit.page("accessibility.html", own=own, contact=contact)


@page("/legal", act="page_legal")
async def legal(visit: Visit) -> ASGIResponse:
    """Show the legal notice."""
    contact, security_contact = await node_status.public_contacts(visit.node)
    own = await own_text(visit.node, "legal", visit.language)
    return visit.page("legal.html", own=own, contact=contact, security_contact=security_contact)


@page("/site", act="page_site")
async def site(visit: Visit) -> ASGIResponse:
    """List the pages."""
    return visit.page(
        "site.html",
        everybody=[(path, name) for path, name, scope in MENU if scope is None],
        members=[(path, name) for path, name, scope in MENU if scope is not None and visit.may(scope)],
        has_more=any(scope is not None and not visit.may(scope) for _, _, scope in MENU),
        more=MORE_PAGES,
    )


@page("/help", act="page_help")
async def help_page(visit: Visit) -> ASGIResponse:
    """Answer what visitors ask first."""
    contact, _ = await node_status.public_contacts(visit.node)
    return visit.page("help.html", contact=contact)


HANDLERS = (accessibility, legal, site, help_page)
