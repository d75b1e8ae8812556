"""The page of calendars: the public one, and addresses of one's own, which are shown once."""

from __future__ import annotations

from litestar.response.base import ASGIResponse

from federation.domain.errors import Invalid
from federation.edge.operations import Right
from federation.node import calendars, people
from federation.web.pages import page
from federation.web.visit import Visit


@page("/calendars", act="page_calendars")
async def calendars_page(visit: Visit) -> ASGIResponse:
    """Show the calendars that a visitor can subscribe to."""
    return _show(visit)


@page("/calendars", act="page_calendar_address", right=Right("meetings.read"), method="POST")
async def calendar_address(visit: Visit) -> ASGIResponse:
    """Make an address of the person, or end all that they have."""
    form = await visit.read_form()
    person: str = visit.session.person.id
    if form.value("do") == "end":
        await people.end_calendar_addresses(visit.node, person)
        return visit.to("/calendars", notice="removed")
    try:
        secret = await people.new_calendar_address(visit.node, person)
    except Invalid as error:
        form.refuse("", error.message.to_text(visit.language))
        return _show(visit, status=400)
    # No redirect: the address is shown this once, and stands in no history of a browser.
    return _show(visit, address=dict(calendars.addresses(visit.node, secret))[visit.language])


def _show(visit: Visit, *, address: str = "", status: int = 200) -> ASGIResponse:
    return visit.page(
        "calendars.html",
        status=status,
        address=address,
        public=f"{visit.node.url}/calendar.ics?language={visit.language}",
    )


HANDLERS = (calendars_page, calendar_address)
