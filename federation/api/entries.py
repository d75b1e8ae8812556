"""Entries of feeds and of the change log on the wire: the stored bytes are embedded as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from federation.domain.feed import Cursor


def entry_line(row: Any) -> bytes:
    """An entry of a feed."""
    seq, retracted, type_, key, revision, hash_, document = row
    start = b'{"seq":%d,"op":"%s","type":"%s","key":"%s","revision":%d' % (
        seq, op_of(retracted), type_.encode(), key.encode(), revision,
    )  # fmt: skip
    if document is None:
        return start + b"}"
    return b'%s,"hash":"%s","document":%s}' % (start, hash_.hex().encode(), document)


def change_line(row: Any, epoch: str) -> bytes:
    """A change as the operator's own systems see it: with its origin, and the cursor after it."""
    arrived, retracted, origin, type_, key, revision, hash_, document = row
    start = b'{"cursor":"%s.%d","op":"%s","origin":"%s","type":"%s","key":"%s","revision":%d' % (
        epoch.encode(), arrived, op_of(retracted), origin.encode(), type_.encode(), key.encode(), revision,
    )  # fmt: skip
    if document is None:
        return start + b"}"
    return b'%s,"hash":"%s","document":%s}' % (start, hash_.hex().encode(), document)


def op_of(retracted: bool | None) -> bytes:
    if retracted is None:
        return b"withdraw"
    return b"delete" if retracted else b"upsert"


def page_json(entries: Iterable[bytes], cursor: Cursor, *, more: bool) -> bytes:
    """A page of entries as one JSON object."""
    return b'{"entries":[%s],"cursor":"%s","more":%s}' % (
        b",".join(entries), str(cursor).encode(), b"true" if more else b"false",
    )  # fmt: skip
