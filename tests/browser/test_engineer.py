"""The walk of an engineer on call: sees an incident, who is affected and whom to call, and answers."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from federation.demo.data import IMPORTED
from tests.browser.federation import Federation
from tests.browser.screen import Variant, screen
from tests.waiting import until

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("operator", "scripts"), [("recia", True), ("maximilien", False)])
async def test_an_engineer_answers_an_incident(
    browser: Browser, federation: Federation, operator: str, scripts: bool
) -> None:
    async with screen(browser, federation.url(operator), scripts=scripts) as view:
        await view.open(await federation.login_link(operator, "editor"))
        await view.follow("Incidents")
        await view.go(view.page.locator(f'main a[href$="/incidents/{IMPORTED}"]').first)
        await view.shows("Are we affected?", "We have not answered yet.", "Waiting for:")
        text = await view.text()
        # The mailboxes of the others, and this operator's deployment.
        assert "security@arnia.example.org" in text
        assert f"{operator}/demo-000000" in text
        await view.check(Variant("light", 320))

        await view.follow("Answer for us")
        # Proposed from the recorded version.
        assert await view.value("status") == "known_affected"
        await view.fill(status="known_not_affected", action__fr="Mise à jour ce soir.")
        await view.press("Review who will see it")
        # Refused, beside the field, and what was typed is there.
        await view.shows("Say why it is not affected: the others have to rely on it.")
        assert await view.value("action.fr") == "Mise à jour ce soir."
        await view.check()
        await view.fill(status="known_affected")
        await view.press("Review who will see it")
        await view.shows("Nothing is published yet.", "Who will see it")
        assert "Mise à jour ce soir." in await view.text()
        await view.check(Variant("dark", 320))
        await view.press("Publish our answer")
        assert view.path == f"/fr/incidents/{IMPORTED}"
        await view.shows("Your answer is published.")
        assert view.fr("We have not answered yet.") not in await view.text()

    # The publisher of the incident sees the answer a moment later.
    session = federation.sessions["arnia", "reader"]
    async with screen(browser, federation.url("arnia"), session=session) as view:

        async def is_shown() -> bool:
            await view.open(f"/fr/incidents/{IMPORTED}")
            return "Mise à jour ce soir." in await view.text() and operator in await view.page.content()

        await until(is_shown)
