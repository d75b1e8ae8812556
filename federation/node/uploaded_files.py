"""Files that people are about to import: stored for an hour, so that a dry run comes first."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import msgspec

from federation.domain.errors import Forbidden, NotFound, TooLarge, TooManyRequests
from federation.domain.feed import printable
from federation.domain.sources.kinds import kind_of
from federation.domain.sources.uploaded import UploadedFile
from federation.domain.visibility import Caller
from federation.node.node import Node

LIFETIME = timedelta(hours=1)
MAX_FILES_OF_PERSON = 3
"""Files of one person; the oldest one gives way."""
MAX_FILES = 30
"""Files of all people."""
MAX_FILE_BYTES = 10 * 1_048_576
"""Bytes of one file."""
MAX_BYTES = 100 * 1_048_576
"""Bytes of all files."""
MAX_NAME_LENGTH = 200


async def add(node: Node, name: str, kind: str, raw: bytes, *, by: Caller) -> str:
    """Store a file for an hour, and return its id. Raises Invalid, Forbidden, TooLarge, TooManyRequests."""
    kind_of(kind)
    if by.person is None:
        raise Forbidden("only people upload files in two steps")
    if len(raw) > MAX_FILE_BYTES:
        raise TooLarge("a file has at most {maximum} bytes", maximum=MAX_FILE_BYTES)
    now = node.clock()
    file = UploadedFile(
        secrets.token_urlsafe(16), by.person, printable(name, MAX_NAME_LENGTH), kind, b"{}", raw
    )
    async with node.store.write() as tx:
        await tx.uploaded_files.lock()
        await tx.uploaded_files.expire(now)
        await tx.uploaded_files.drop_older(by.person, MAX_FILES_OF_PERSON - 1)
        number, size = await tx.uploaded_files.use()
        if number >= MAX_FILES or size + len(raw) > MAX_BYTES:
            raise TooManyRequests("others are importing files at this moment; try again", retry_after=600)
        await tx.uploaded_files.add(file, now + LIFETIME)
    return file.id


async def find(node: Node, id_: str, *, by: Caller) -> UploadedFile:
    """A file of the caller. Raises NotFound."""
    file = None
    if by.person is not None:
        async with node.store.read() as tx:
            file = await tx.uploaded_files.find(id_, by.person, node.clock())
    if file is None:
        raise NotFound("the file is not here any more: it is stored for an hour; upload it again")
    return file


async def change_options(node: Node, id_: str, options: dict[str, Any], *, by: Caller) -> None:
    """Read a file of the caller in another way."""
    async with node.store.write() as tx:
        await tx.uploaded_files.change_options(id_, by.person or "", msgspec.json.encode(options))


async def remove(node: Node, id_: str, *, by: Caller) -> None:
    """Delete a file of the caller, if it is there."""
    async with node.store.write() as tx:
        await tx.uploaded_files.remove(id_, by.person or "")


async def drop_expired(node: Node) -> None:
    """Delete the files that have expired."""
    async with node.store.write() as tx:
        await tx.uploaded_files.expire(node.clock())
