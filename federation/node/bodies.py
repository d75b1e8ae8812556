"""Public bodies: find them by what people type, and know them by their identifiers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from federation.domain.territories import finder
from federation.domain.territories.finder import BodyMatches
from federation.domain.territories.public_bodies import PublicBody, public_body


async def find_bodies(question: str, limit: int = finder.MAX_BODIES) -> BodyMatches:
    """The bodies that a question names, the likeliest first."""
    await prepare_register()
    return finder.find_bodies(question, limit)


async def get_body(text: str) -> PublicBody:
    """The body that ``scheme:value`` names, as far as it is known. Raises Invalid."""
    await prepare_register()
    return public_body(text)


async def prepare_register() -> None:
    """Make the index of the register beside the event loop, once in a process.

    By one thread: questions that come before it is made wait for it here, and take no thread from others.
    """
    if not finder.is_prepared():
        await asyncio.get_running_loop().run_in_executor(_thread, finder.prepare)


_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="register")
