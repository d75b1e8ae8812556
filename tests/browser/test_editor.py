"""The walk of an editor: publishes a practice, corrects a refused field, and sees who will see it."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.browser.federation import Federation
from tests.browser.screen import Variant, screen
from tests.waiting import until

pytestmark = pytest.mark.browser

TITLE = "Relire une convention à plusieurs"


@pytest.mark.parametrize(("key", "scripts"), [("relire-a-plusieurs", True), ("relire-sans-script", False)])
async def test_an_editor_publishes_a_practice_and_retracts_it(
    browser: Browser, federation: Federation, key: str, scripts: bool
) -> None:
    async with screen(browser, federation.url("megalis"), scripts=scripts) as view:
        await view.open(await federation.login_link("megalis", "editor"))
        await view.follow("Ours")
        await view.follow("Publish something")
        await view.follow("Practice")
        await view.fill(
            title__fr=TITLE,
            summary__fr="Une heure à deux, chacun son écran.",
            kind="good-practice",
            body__fr="## Comment\n\n1. Lire **à voix haute**.\n2. Noter.",
            contact="pas une adresse",
            key=key,
        )
        await view.press("Review who will see it")

        # Refused: the mailbox. All that was typed is there, and nothing is published.
        assert view.path == "/fr/write/practice"
        assert await view.page.locator("#fault-contact").count() == 1
        assert await view.page.locator('.faults a[href="#field-contact"]').count() == 1
        assert await view.value("title.fr") == TITLE
        assert "**à voix haute**" in await view.value("body.fr")
        assert await view.value("contact") == "pas une adresse"
        await view.check()
        await view.fill(contact="contact@megalis.example.org")
        await view.press("Review who will see it")

        await view.shows("Nothing is published yet.", "Everybody will see this, also without a login.")
        await view.check(Variant("light", 320))
        await view.press("Back to the form")
        assert await view.value("title.fr") == TITLE
        await view.press("Review who will see it")
        await view.press("Publish")
        assert view.path == f"/fr/practices/megalis/{key}"
        await view.shows("Published.")
        assert await view.page.locator("main strong", has_text="à voix haute").count() == 1
        await view.check()

    # Somebody who is not logged in reads it at another operator.
    async with screen(browser, federation.url("recia"), scripts=scripts) as reader:

        async def is_there() -> bool:
            answer = await reader.open(f"/fr/practices/megalis/{key}", None)
            return answer.status == 200

        await until(is_there)
        assert TITLE in await reader.text()

        async with screen(browser, federation.url("megalis"), scripts=scripts) as view:
            await view.open(await federation.login_link("megalis", "editor"))
            await view.open(f"/fr/write/practice/{key}/retract")
            await view.shows("What happens", "Who sees it now")
            await view.press("Retract it")
            await view.shows("Retracted.")

        async def is_gone() -> bool:
            return (await reader.open(f"/fr/practices/megalis/{key}", None)).status == 410

        await until(is_gone)
        await reader.shows("This was retracted")
        await reader.check(Variant("light", 320))
