"""The walk of the secretary of a commune: finds it, reads prices and steps, and what is to be voted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from odfdo import Document
from playwright.async_api import Browser

from federation.demo.communes import example_commune
from tests.browser.federation import Federation
from tests.browser.screen import screen

pytestmark = pytest.mark.browser


def plain(text: str) -> str:
    """A text whose spaces are all of one kind."""
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_secretary_finds_what_her_commune_may_join_and_at_which_price(
    browser: Browser, federation: Federation, scripts: bool, tmp_path: Path
) -> None:
    commune = example_commune()
    assert commune.population < 300
    async with screen(browser, federation.url("arnia"), scripts=scripts) as view:
        await view.open("/fr")
        await view.follow("My commune")
        await (
            view.page.locator("main")
            .get_by_label(view.fr("Name, postcode, INSEE code or SIREN"))
            .fill("druyes")
        )
        await view.press("Search")

        # The only one of that name: its page, with prices at once, the cheapest first.
        assert view.path == f"/fr/bodies/cog:{commune.cog}"
        text = plain(await view.text())
        assert f"SIREN {commune.siren}" in text
        prices = [plain(price) for price in await view.page.locator(".price").all_inner_texts()]
        assert view.fr("free of charge") in prices[0]
        assert "48,00 €" in prices[1]
        assert "150,00 €" in prices[2]
        assert "90,00 €" in prices[2]
        # Not open to it, each with the reason.
        closed = plain(await view.page.locator("#group-not-open + ul").inner_text())
        assert "Démarches en ligne" in closed
        assert re.search(r"3 ?500", closed)
        assert "Supervision des serveurs" in closed
        await view.check()

        # The steps, and the text that the council votes.
        offer = view.page.locator("article", has_text="Parc informatique")
        await offer.locator("summary", has_text=re.compile("étape")).click()
        assert await offer.get_by_text("Délibération du conseil", exact=False).first.is_visible()
        assert await offer.locator('a[href^="mailto:offres@arnia.example.org"]').count() == 1
        async with view.page.expect_download() as coming:
            await offer.get_by_role("link", name=view.fr("as plain text")).click()
        file = tmp_path / "deliberation.txt"
        await (await coming.value).save_as(file)
        voted = plain(file.read_text(encoding="utf-8"))
        assert commune.name in voted
        assert str(commune.siren) in voted
        assert "150,00" in voted
        async with view.page.expect_download() as coming:
            await offer.get_by_role(
                "link", name=view.fr("Text of the deliberation to be voted (ODT)")
            ).click()
        document = tmp_path / "deliberation.odt"
        await (await coming.value).save_as(document)
        assert commune.name in Document(document).get_formatted_text()


async def test_a_question_without_an_answer_says_what_to_do(browser: Browser, federation: Federation) -> None:
    async with screen(browser, federation.url("arnia")) as view:
        await view.open("/fr/commune?q=atlantis")
        await view.shows(
            "No public body has this name or number. Try the beginning of the name, or the postcode."
        )
        await view.check()
