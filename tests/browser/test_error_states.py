"""Pages that say what went wrong keep the same rules: refused forms, an ended session, a retracted record."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser

from federation.demo.nodes import Running
from federation.domain.content.practice import Practice
from federation.postgres import server
from federation.store import schema
from tests.browser.addresses import in_language, reachable
from tests.browser.federation import Federation
from tests.browser.screen import Screen, screen
from tests.nodes import served
from tests.stores import close_spare

pytestmark = pytest.mark.browser

WRITING = (
    "/admin/clients",
    "/admin/join",
    "/admin/people",
    "/consultations/{origin:str}/{key:str}",
    "/consultations/{origin:str}/{key:str}/participation",
    "/deadlines",
    "/incidents/{origin:str}/{key:str}/answer",
    "/meetings/{origin:str}/{key:str}",
    "/practices/{origin:str}/{key:str}",
    "/subscriptions",
    "/write/{type_name:str}",
    "/write/{type_name:str}/{key:str}",
    "/write/{type_name:str}/{key:str}/update",
)
"""Pages with a form that writes something and that is refused when it is empty."""
_SEND_EMPTY = """() => {
  const forms = [...document.querySelectorAll('main form[method=post]')];
  const form = forms.find(f => f.querySelector('input:not([type=hidden]), textarea, select'));
  if (!form) return false;
  for (const e of form.elements) {
    if (e.type === 'checkbox' || e.type === 'radio') e.checked = false;
    else if (e.tagName === 'SELECT') e.selectedIndex = -1;
    else if (e.tagName !== 'BUTTON' && e.type !== 'hidden') e.value = '';
  }
  form.noValidate = true;
  const button = form.querySelector('button:not([formnovalidate])');
  setTimeout(() => form.requestSubmit(button), 0);
  return true;
}"""


async def send_empty(view: Screen) -> int | None:
    """Send the first form of the page with nothing in it. Returns the status; None where there is none."""
    has_form = (
        "document.querySelector('main form[method=post] :is(input:not([type=hidden]), textarea, select)')"
    )
    if not await view.page.evaluate(f"{has_form} !== null"):
        return None
    async with view.page.expect_navigation() as navigation:
        assert await view.page.evaluate(_SEND_EMPTY)
    answer = await navigation.value
    assert answer is not None
    return answer.status


async def test_refused_forms_keep_the_rules(browser: Browser, federation: Federation) -> None:
    session = federation.sessions["arnia", "administrator"]
    found = await reachable(federation.nodes["arnia"], session)
    refused: set[str] = set()
    faults: list[str] = []
    async with screen(browser, federation.url("arnia"), session=session) as view:
        for page in WRITING:
            for address in found[page]:
                await view.open(in_language("fr", address))
                if await send_empty(view) != 400:
                    continue
                refused.add(page)
                try:
                    assert await view.page.locator("main [role=alert]").count(), f"{address} does not say why"
                    await view.check()
                except AssertionError as fault:
                    faults.append(str(fault))
                    view.errors.clear()
    assert not faults, "\n".join(faults)
    assert refused == set(WRITING), "a form that was taken empty shows no fault"


async def test_an_ended_session_keeps_the_rules_and_what_was_typed(
    browser: Browser, federation: Federation
) -> None:
    session = federation.sessions["arnia", "editor"]
    async with screen(browser, federation.url("arnia"), session=session) as view:
        await view.open("/fr/write/practice")
        await view.fill(title__fr="Écrit avant la fin")
        await view.page.context.clear_cookies()
        await view.page.evaluate("document.querySelectorAll('form').forEach(form => form.noValidate = true)")
        await view.press("Review who will see it")
        assert await view.value("title.fr") == "Écrit avant la fin"
        await view.check()
        await view.open("/fr/mine")  # a page that needs a login leads to it
        assert view.path == "/fr/login"
        await view.check()


async def test_a_retracted_record_keeps_the_rules(browser: Browser, arnia: Running) -> None:
    practice = Practice(title={"fr": "À retirer"}, summary={"fr": "Bientôt retirée"}, kind="guide")
    await arnia.client.practices.publish("a-retirer", practice, tlp="CLEAR")
    await arnia.client.practices.retract("a-retirer")
    async with screen(browser, arnia.settings.url) as view:
        await view.open("/fr/practices/arnia/a-retirer", 410)
        await view.shows("This was retracted")
        await view.check()


async def test_the_page_of_a_stopped_database_keeps_the_rules(browser: Browser, tmp_path: Path) -> None:
    async with AsyncExitStack() as running:
        dsn = await running.enter_async_context(server.running(tmp_path / "node", exclusive=True))
        await schema.migrate(dsn, "arnia")
        async with served("arnia", dsn, sync=False) as url, screen(browser, url) as view:
            await view.open("/fr/solutions")
            await close_spare(dsn)
            await running.aclose()
            await view.open("/fr/purchases", 503)
            await view.check()
