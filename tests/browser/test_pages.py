"""Every page in every width and colour: accessible, no wider than the window, and of this node alone."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from federation.demo.nodes import Running
from federation.domain.messages import LANGUAGES
from federation.domain.person import ROLES
from federation.web.language import translate
from tests.browser.addresses import in_language, page_of, pages, reachable
from tests.browser.federation import Federation
from tests.browser.screen import VARIANTS, Screen, Variant, screen

pytestmark = pytest.mark.browser

MAX_REQUESTS = 4
"""Page, style, icon and one script."""
MAX_PAGE_BYTES = {"/coverage": 75_000}
"""Bytes of a page, uncompressed; 45 000 of every other."""
FROM_ELSEWHERE = {
    "/invitation/{invitation:str}", "/login/provider", "/login/provider/bind", "/import/{id_:str}",
}  # fmt: skip
"""Pages that only an invitation, the identity provider or an uploaded file leads to."""
PASSKEYS_NEED_SCRIPTS = "A passkey needs JavaScript, which is off in your browser."
OTHERS = ("nobody", *(role for role in ROLES if role != "administrator"))


async def check_pages(view: Screen, addresses: list[str], language: str, *variants: Variant) -> None:
    """Check pages, also with all that is folded open, and report all faults together."""
    faults: list[str] = []
    for address in addresses:
        view.requests.clear()
        answer = await view.open(in_language(language, address))
        try:
            size = len(await answer.body())
            assert size <= MAX_PAGE_BYTES.get(page_of(address) or "", 45_000), f"{address} has {size} bytes"
            assert len(view.requests) <= MAX_REQUESTS, [request.url for request in view.requests]
            await view.check(*variants)
            if await view.page.locator("details:not([open])").count():
                await view.unfold()
                await view.check(*variants)
        except AssertionError as fault:
            faults.append(str(fault))
            view.errors.clear()
    assert not faults, "\n".join(faults)


async def addresses_for(federation: Federation, visitor: str) -> list[str]:
    """Addresses of all pages that links lead a visitor of arnia's to."""
    found = await reachable(federation.nodes["arnia"], federation.sessions.get(("arnia", visitor)))
    return [address for of_page in found.values() for address in of_page]


async def test_links_lead_to_every_page(federation: Federation) -> None:
    found: set[str] = set()
    for visitor in ("nobody", *ROLES):
        found |= set(await reachable(federation.nodes["arnia"], federation.sessions.get(("arnia", visitor))))
    unreached = sorted(set(pages()) - found - FROM_ELSEWHERE)
    assert not unreached, unreached


async def test_every_page_keeps_the_rules_in_each_variant(browser: Browser, federation: Federation) -> None:
    """About: the administrator has all pages that anybody has."""
    session = federation.sessions["arnia", "administrator"]
    async with screen(browser, federation.url("arnia"), session=session) as view:
        await check_pages(view, await addresses_for(federation, "administrator"), LANGUAGES[0], *VARIANTS)


@pytest.mark.parametrize("visitor", OTHERS)
async def test_every_page_keeps_the_rules_for_others(
    browser: Browser, federation: Federation, visitor: str
) -> None:
    session = federation.sessions.get(("arnia", visitor))
    async with screen(browser, federation.url("arnia"), session=session, language="en") as view:
        await check_pages(view, await addresses_for(federation, visitor), LANGUAGES[1], *VARIANTS[1:3])


async def test_every_page_shows_the_same_without_scripts(browser: Browser, federation: Federation) -> None:
    session = federation.sessions["arnia", "administrator"]
    url = federation.url("arnia")
    async with (
        screen(browser, url, session=session) as view,
        screen(browser, url, session=session, scripts=False) as plain,
    ):
        for address in await addresses_for(federation, "administrator"):
            path = in_language(LANGUAGES[0], address)
            shown = await words_of(path, view, plain)
            if len(set(shown)) > 1:  # a login or an age has passed a limit between the two
                shown = await words_of(path, view, plain)
            assert shown[0] == shown[1], path


async def words_of(path: str, *screens: Screen) -> list[str]:
    """The words that each screen shows of a page, but for the one that says that passkeys need scripts."""
    sentence = translate(LANGUAGES[0], PASSKEYS_NEED_SCRIPTS)
    shown = []
    for view in screens:
        await view.open(path)
        shown.append(" ".join((await view.words()).replace(sentence, "").split()))
    return shown


async def test_what_is_no_page_keeps_the_rules(browser: Browser, arnia: Running) -> None:
    async with screen(browser, arnia.settings.url) as view:
        for path in ("/fr/nulle-part", "/en/nowhere", "/fr/solutions/arnia/nulle-part"):
            await view.open(path, 404)
            await view.check()


async def test_the_rules_are_applied(browser: Browser, arnia: Running) -> None:
    """A page that breaks them is noticed, whatever its policy."""
    async with screen(browser, arnia.settings.url) as view:
        await view.open("/fr")
        await view.page.evaluate(
            "document.querySelector('main').innerHTML += '<img src=\"/static/x\"><p id=wide>wide</p>'"
        )
        assert any(text.startswith("image-alt") for text in await view.violations())
        await view.page.evaluate("document.getElementById('wide').style.minWidth = '2000px'")
        with pytest.raises(AssertionError, match="scrolls sideways"):
            await view.check_width()
        view.check_requests()
        await view.page.evaluate("fetch('http://elsewhere.example/').catch(() => null)")
        with pytest.raises(AssertionError, match="elsewhere"):
            view.check_requests()
        view.requests.clear()
        view.errors.clear()
