"""The walk of an administrator: is the node well, who is invited, what happens when a peer is suspended."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.browser.federation import Federation
from tests.browser.screen import Variant, screen

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scripts", [True, False])
async def test_an_administrator_looks_after_peers(
    browser: Browser, federation: Federation, scripts: bool
) -> None:
    async with screen(browser, federation.url("maximilien"), scripts=scripts) as view:
        await view.open(await federation.login_link("maximilien", "administrator"))
        await view.follow("Administration")
        await view.shows("What needs you", "This node")
        await view.follow("Peers and invitations")
        text = await view.text()
        assert all(name in text for name in ("arnia", "megalis", "recia"))
        await view.check(Variant("light", 320))

        # A new operator is invited.
        await view.follow("Invite an operator")
        await view.fill(note="Un cinquième opérateur")
        await view.press("Make an invitation")
        invitation = await view.page.locator("main pre").inner_text()
        assert invitation.startswith("federation-invitation-1.")
        await view.check(Variant("dark", 320))
        await view.follow("Peers and invitations")
        assert "Un cinquième opérateur" in await view.text()

        # An invitation that cannot be read is refused, and stays in its field.
        await view.follow("Use an invitation")
        await view.fill(invitation="pas une invitation")
        await view.press("Use the invitation")
        assert await view.page.locator("#fault-invitation").count() == 1
        assert await view.value("invitation") == "pas une invitation"
        await view.check()

        # Suspend, after a page that says what happens; then resume.
        await view.open("/fr/admin/peers/recia")
        await view.go(view.page.locator('main a[href$="/admin/peers/recia/suspend"]'))
        await view.shows("What happens")
        await view.check(Variant("light", 320))
        await view.follow("Cancel")
        assert view.path == "/fr/admin/peers/recia"
        await view.go(view.page.locator('main a[href$="/admin/peers/recia/suspend"]'))
        await view.page.locator('[name="local"]').check()
        await view.go(view.page.locator('main button[value="suspend"]'))
        await view.shows("Saved.")
        assert await view.page.locator(".state.is-bad").count() == 1
        await view.check(Variant("dark", 1280))
        await view.go(view.page.locator('main a[href$="/admin/peers/recia/resume"]'))
        await view.go(view.page.locator('main button[value="resume"]'))
        await view.shows("Saved.")
        assert await view.page.locator("main .state.is-bad").count() == 0


async def test_what_an_administrator_sees_is_not_for_a_reader(
    browser: Browser, federation: Federation
) -> None:
    async with screen(browser, federation.url("maximilien")) as view:
        await view.open(await federation.login_link("maximilien", "reader"))
        assert await view.page.get_by_role("link", name=view.fr("Administration")).count() == 0
        await view.open("/fr/admin", 403)
        await view.shows("Your role does not allow this")
        await view.check()
