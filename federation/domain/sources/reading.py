"""The outcome of reading a source: items of records, and lines that were not understood."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from federation.domain.messages import Message
from federation.domain.visibility import Tlp


class Item(msgspec.Struct, frozen=True):
    """One record as the source gives it."""

    type: str
    """Plural name of the record type: "solutions", "deployments", "offers", "incidents", …"""
    key: str
    """Key of the record at this node; derived from the source's own stable identifier."""
    members: dict[str, Any]
    """Members of the draft (as a PUT body has them), only those that the source gives."""
    place: str
    """Place in the source for the report: "line 12", "softwares[3]", a URL."""
    identity: str
    """The source's own identifier of it, stable between runs."""
    changed_at: datetime | None = None
    """Time of the last change by the source; an older copy never overwrites a newer one."""
    defaulted: tuple[str, ...] = ()
    """Members that the source lacks and that got a default, values that were interpreted."""


class ReadingFault(msgspec.Struct, frozen=True):
    """An item of the source that was left out."""

    place: str
    reason: str | Message
    """Of the form of the messages of ``Invalid``, with French in domain/french.toml; a text has no values."""
    member: str | None = None


class Reading(msgspec.Struct, frozen=True):
    """All that a file or an answer gives."""

    items: tuple[Item, ...]
    faults: tuple[ReadingFault, ...] = ()
    is_complete: bool = True
    """False: the answer has only what changed, so nothing that is missing has disappeared."""
    label: Tlp | None = None
    """The label of the source, if it has one: nothing of it gets a wider one."""
