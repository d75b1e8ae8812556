"""A screen: a page as somebody sees it, in a width, light or dark, with every request that it made."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from playwright.async_api import Browser, Locator, Page, Request, Response

from federation.web.language import translate
from federation.web.visitor import COOKIE
from tests.browser.chromium import AXE
from tests.waiting import MAX_WAIT_SECONDS

HEIGHT = 900
WAIT_MILLISECONDS = MAX_WAIT_SECONDS * 1_000


UNITS = "seconde?|minute|heure|hour|jour|day"
"""Units of ages in both languages, without their plural."""


class Variant(NamedTuple):
    """A way in which people look at a page."""

    scheme: Literal["light", "dark"]
    width: int


BY_LOOK = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
"""Rules that depend on colours and widths; every other one holds in all variants or in none."""
VARIANTS = (Variant("light", 1280), Variant("dark", 1280), Variant("light", 320), Variant("dark", 320))


class Screen:
    """A page in a browser, and its node."""

    def __init__(self, page: Page, url: str, *, scripts: bool = True) -> None:
        self.page = page
        self.scripts = scripts
        """False where the browser runs none: axe is one."""
        self.url = url
        """Base URL of the node."""
        self.requests: list[Request] = []
        page.context.on("request", lambda request: self.requests.append(request))
        self.errors: list[str] = []
        """Errors of scripts, and what the policy of the page has blocked."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._note(message.type, message.text))

    def _note(self, kind: str, text: str) -> None:
        # (The browser reports each answer of 400 and above as an error of the console.)
        if kind == "error" and "Failed to load resource" not in text:
            self.errors.append(text)

    async def open(self, path: str, status: int | None = 200) -> Response:
        """Go to a page of the node. Fails unless it is answered with the status."""
        answer = await self.page.goto(path if "://" in path else f"{self.url}{path}")
        assert answer is not None, path
        assert status is None or answer.status == status, (path, answer.status)
        return answer

    @property
    def path(self) -> str:
        """The path of the page that is shown, without its query."""
        return urlsplit(self.page.url).path

    async def text(self) -> str:
        """The text of the main part, white space joined."""
        return " ".join((await self.page.locator("main").inner_text()).split())

    async def words(self) -> str:
        """The text of the main part without numbers and units of time: ages pass while one looks."""
        return re.sub(rf"\d+(\s({UNITS})s?\b)?", "0", await self.text())

    def fr(self, english: str, **values: Any) -> str:
        """A text of the screens in French, the language in which people walk through the pages here."""
        text = translate("fr", english)
        return text % values if values else text

    async def follow(self, english: str, **values: Any) -> None:
        """Follow the first link with a text, as it is in French."""
        link = self.page.get_by_role("link", name=self.fr(english, **values))
        await self.go(link.first)

    async def press(self, english: str, **values: Any) -> None:
        """Press the button of the main part with a text, as it is in French."""
        name = self.fr(english, **values)
        await self.go(self.page.locator("main").get_by_role("button", name=name, exact=True))

    async def go(self, target: Locator) -> None:
        """Click on what leads to another page, and wait for it."""
        async with self.page.expect_navigation():
            await target.click()

    async def fill(self, **fields: str) -> None:
        """Fill in fields by their names; two underscores stand for a dot."""
        for name, text in fields.items():
            control = self.page.locator(f'[name="{name.replace("__", ".")}"]').first
            if await control.evaluate("e => e.tagName") == "SELECT":
                await control.select_option(text)
            else:
                await control.fill(text)

    async def value(self, name: str) -> str:
        """The text that a field has."""
        return await self.page.locator(f'[name="{name}"]').first.input_value()

    async def shows(self, *english: str) -> None:
        """Fail unless the main part has these texts, as they are in French."""
        text = await self.text()
        for part in english:
            assert " ".join(self.fr(part).split()) in text, (self.page.url, part, text)

    async def look(self, variant: Variant) -> None:
        """See the same page in another way."""
        await self.page.emulate_media(color_scheme=variant.scheme)
        await self.page.set_viewport_size({"width": variant.width, "height": HEIGHT})

    async def unfold(self) -> None:
        """Open all that is folded."""
        await self.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    async def check_width(self) -> None:
        """Fail where the page is wider than the window; parts of it may scroll."""
        wide = await self.page.evaluate(_WIDER)
        assert not wide, f"{self.page.url} scrolls sideways: {wide}"

    async def violations(self, *rules: str) -> list[str]:
        """Rules of accessibility that the page breaks, each with the elements that do: of all, or of some."""
        if not await self.page.evaluate("typeof axe !== 'undefined'"):
            await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[dict[str, Any]] = await self.page.evaluate(_RUN_AXE, list(rules))
        return [f"{rule['id']}: {node}" for rule in found for node in rule["nodes"]]

    async def check(self, *variants: Variant) -> None:
        """Fail for what axe finds, for what is too wide, for errors, and for requests to elsewhere."""
        found: list[str] = []
        for number, variant in enumerate(variants or VARIANTS):
            await self.look(variant)
            if self.scripts:
                rules = BY_LOOK if number else ()
                found += [
                    f"{variant.scheme} {variant.width}: {text}" for text in await self.violations(*rules)
                ]
            await self.check_width()
        assert not found, f"{self.page.url}:\n" + "\n".join(found)
        self.check_requests()

    def check_requests(self) -> None:
        """Fail for a request that went elsewhere than to the node, and for an error of a script."""
        elsewhere = [r.url for r in self.requests if not r.url.startswith((f"{self.url}/", "data:"))]
        assert not elsewhere, elsewhere
        assert not self.errors, (self.page.url, self.errors)


@asynccontextmanager
async def screen(
    browser: Browser, url: str, *, session: str | None = None, language: str = "fr", scripts: bool = True
) -> AsyncIterator[Screen]:
    """A browser without a memory, at a node. ``session``: the secret of somebody who is logged in."""
    context = await browser.new_context(
        locale=language,
        java_script_enabled=scripts,
        viewport={"width": 1280, "height": HEIGHT},
        color_scheme="light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(WAIT_MILLISECONDS)
    if session is not None:
        await context.add_cookies([{"name": COOKIE, "value": session, "url": url, "httpOnly": True}])
    try:
        made = Screen(await context.new_page(), url, scripts=scripts)
        yield made
        made.check_requests()
    finally:
        await context.close()


_WIDER = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return null;
  const wide = [...document.querySelectorAll('body *')].filter(
    e => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.wide'));
  return `${root.scrollWidth} > ${root.clientWidth}: ` +
    wide.slice(0, 5).map(e => e.outerHTML.slice(0, 160)).join(' | ');
}"""
_RUN_AXE = """async rules => {
  const options = {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}};
  if (rules.length) options.runOnly = {type: 'rule', values: rules};
  const found = (await axe.run(document, options)).violations;
  return found.map(rule => ({id: rule.id, nodes: rule.nodes.slice(0, 5).map(
    node => `${node.html.slice(0, 200)} (${node.failureSummary.replace(/\\s+/g, ' ').slice(0, 300)})`)}));
}"""
