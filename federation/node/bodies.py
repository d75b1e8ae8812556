"""Public bodies: find them by what people type, and know them by their identifiers."""

from __future__ import annotations

import asyncio

from federation.domain.territories import finder
from federation.domain.territories.finder import BodyMatches
from federation.domain.territories.public_bodies import PublicBody, public_body


async def find_bodies(question: str, limit: int = finder.MAX_BODIES) -> BodyMatches:
    """The bodies that a question names, the likeliest first."""
    await _prepared()
    return finder.find_bodies(question, limit)


async def get_body(text: str) -> PublicBody:
    """The body that ``scheme:value`` names, as far as it is known. Raises Invalid."""
    await _prepared()
    return public_body(text)


async def _prepared() -> None:
    """Make the index of the register beside the event loop, once in a process."""
    if not finder.is_prepared():
        await asyncio.to_thread(finder.prepare)
