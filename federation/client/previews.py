"""Dry runs of writes: nothing changes, and the answer has the effect at other operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic

import msgspec

from federation.client.answers import Preview
from federation.client.drafts import MERGE_PATCH, encode_draft
from federation.client.record_view import C
from federation.client.sender import JSON, Sender
from federation.domain.visibility import Tlp


class Previews(Generic[C]):
    """Dry runs of writes: nothing is changed."""

    def __init__(self, sender: Sender, path_of: Callable[[str], Awaitable[str]]) -> None:
        self._sender, self._path_of = sender, path_of

    async def publish(
        self,
        key: str,
        content: C,
        *,
        tlp: Tlp | None = None,
        audience: str | None = None,
        same_as: Sequence[str] = (),
    ) -> Preview:
        """The effect that publishing this would have. Raises Invalid as the write would."""
        body = encode_draft(content, tlp=tlp, audience=audience, same_as=same_as)
        return await self._ask("PUT", key, body, JSON)

    async def patch(self, key: str, change: Mapping[str, Any]) -> Preview:
        """The effect that this change would have."""
        return await self._ask("PATCH", key, msgspec.json.encode(change), MERGE_PATCH)

    async def retract(self, key: str) -> Preview:
        """The effect that a retraction would have."""
        return await self._ask("DELETE", key, None, None)

    async def _ask(self, method: str, key: str, body: bytes | None, media_type: str | None) -> Preview:
        headers = {"content-type": media_type} if media_type else {}
        return await self._sender.decoded(
            Preview,
            method,
            await self._path_of(key),
            parameters=(("dry_run", "true"),),
            content=body,
            headers=headers,
        )
