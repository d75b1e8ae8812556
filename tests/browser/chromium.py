"""Chromium as Debian ships it, under Playwright, and the rules of axe."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

AXE = Path(__file__).parents[2] / "build" / "node" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
PROGRAMS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Names under localhost are this machine, and every other name is nowhere.
    "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def program() -> str | None:
    """The Chromium of this machine; None without one."""
    return next((path for path in PROGRAMS if Path(path).exists()), shutil.which("chromium"))


def lacking() -> str | None:
    """The reason why no page can be seen here; None if one can."""
    if program() is None:
        return "there is no Chromium on this machine: apt-get install chromium"
    if not AXE.exists():
        return "axe is not installed: make browser"
    return None


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a window, which reaches nothing but this machine."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(), args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            await browser.close()
