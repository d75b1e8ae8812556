"""Take the pictures of the documentation: each screen in both languages. ``make pictures``.

python -m tests.browser.pictures [NAME ...]
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Browser, Page

from federation.demo.communes import EXAMPLE
from federation.demo.cooperation import CONSULTATION, HELD
from federation.demo.data import IMPORTED
from federation.domain.messages import LANGUAGES
from federation.domain.person import Role
from tests.browser.addresses import in_language
from tests.browser.chromium import chromium, lacking
from tests.browser.federation import Federation, federated
from tests.browser.screen import screen

PICTURES = Path(__file__).parents[2] / "docs" / "images" / "pages"
WIDTH, MAX_HEIGHT = 1_000, 1_100
MAX_BYTES = 60_000
QUALITIES = (80, 70, 60, 50, 40, 30)
"""Of WebP, best first: the first one within ``MAX_BYTES`` is taken."""


class Picture(NamedTuple):
    """A screen to take a picture of."""

    name: str
    path: str
    """Without the language."""
    role: Role | None = None
    """The role of the visitor; None: nobody who is logged in."""
    operator: str = "arnia"


_INCIDENT = f"/incidents/{IMPORTED}"
SCREENS: tuple[Picture, ...] = (
    Picture("commune", f"/bodies/cog:{EXAMPLE}"),
    Picture("incident", _INCIDENT, "editor", "recia"),
    Picture("home", "/"),
    Picture("solution", "/solutions/arnia/glpi"),
    Picture("solutions", "/solutions"),
    Picture("status", "/status"),
    Picture("answer", f"{_INCIDENT}/answer", "editor", "recia"),
    Picture("peers", "/admin/peers", "administrator"),
    Picture("mine", "/mine", "editor", "recia"),
    Picture("consultation", f"/consultations/{CONSULTATION}", "reader"),
    Picture("meeting", f"/meetings/{HELD}", "reader"),
    Picture("practice", "/practices/arnia/inventaire-en-un-mois"),
    Picture("write", "/write/practice", "editor"),
    Picture("people", "/admin/people", "administrator"),
    Picture("audit", "/admin/audit", "administrator"),
    Picture("coverage", "/coverage"),
    Picture("operator", "/operators/megalis"),
    Picture("login", "/login"),
)
"""All pictures, by the name of their file."""


async def take(browser: Browser, federation: Federation, picture: Picture, language: str) -> bytes:
    """A picture of the upper part of a page (WebP). Raises ValueError where it is too large."""
    session = federation.sessions[picture.operator, picture.role] if picture.role else None
    async with screen(browser, federation.url(picture.operator), session=session, language=language) as view:
        await view.page.set_viewport_size({"width": WIDTH, "height": 600})
        await view.open(in_language(language, picture.path))
        height = await view.page.evaluate("document.documentElement.scrollHeight")
        await view.page.set_viewport_size({"width": WIDTH, "height": min(height, MAX_HEIGHT)})
        for quality in QUALITIES:
            body = await _webp(view.page, quality)
            if len(body) <= MAX_BYTES:
                return body
    raise ValueError(f"{picture.name} has {len(body)} bytes")


async def _webp(page: Page, quality: int) -> bytes:
    session = await page.context.new_cdp_session(page)
    taken = await session.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
    await session.detach()
    return base64.b64decode(taken["data"])


async def main(names: list[str]) -> int:
    if reason := lacking():
        print(reason)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    chosen = [picture for picture in SCREENS if not names or picture.name in names]
    with tempfile.TemporaryDirectory(prefix="federation-pictures-") as directory:
        async with chromium() as browser, federated(Path(directory)) as federation:
            for picture in chosen:
                for language in LANGUAGES:
                    file = PICTURES / f"{picture.name}.{language}.webp"
                    file.write_bytes(await take(browser, federation, picture, language))
                    print(f"{file.relative_to(PICTURES.parents[2])}: {file.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
