"""Bodies and preconditions of writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from federation.domain.draft import Draft
from federation.domain.visibility import Tlp

MERGE_PATCH = "application/merge-patch+json"


def encode_draft(
    content: Any, *, tlp: Tlp | None = None, audience: str | None = None, same_as: Sequence[str] = ()
) -> bytes:
    """The body of a write. The node checks all of it."""
    draft: Draft[Any] = Draft(content=content, tlp=tlp, audience=audience, same_as=tuple(same_as))
    return msgspec.json.encode(draft)


def preconditions(if_match: str | None, *, only_new: bool = False) -> dict[str, str]:
    """The headers of a conditional write (RFC 9110, 13.1). Raises ValueError for both conditions at once."""
    if if_match is not None and only_new:
        raise ValueError("if_match is for a record that is there, only_new for one that is not")
    if if_match is not None:
        return {"if-match": if_match}
    return {"if-none-match": "*"} if only_new else {}


def replaces_nothing(stored: dict[str, Any], body: bytes) -> bool:
    """True when a stored document has the content and the envelope members of this draft."""
    draft = msgspec.json.decode(body)
    return all(stored.get(name) == value for name, value in draft.items())
