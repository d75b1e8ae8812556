"""The body of a bulk upload: its lines, and what each of them is.

NDJSON has a record a line; JSON has an array of at most ``MAX_JSON_RECORDS``. An upload that replaces a set
begins with the number of records that follow (``{"records": 3}``); in JSON it is an object with the members
``records`` and ``lines``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request

from federation.domain.draft import Draft, KeyedDraft, read_draft
from federation.domain.entry import Lines
from federation.domain.errors import Invalid, TooLarge
from federation.domain.record_content import Content
from federation.domain.values import Key
from federation.edge.answers import JSON
from federation.edge.requests import body_of, pieces
from federation.node.edits import Retract

MAX_LINES = 100_000
"""Records of one upload, at most."""
MAX_UPLOAD_BYTES = 512 * 1_048_576
"""Length of one upload, at most."""
MAX_LINE_BYTES = 1_048_576
"""Length of one line, at most."""
MAX_JSON_RECORDS = 1_000
"""Records of one upload in JSON, at most."""
MAX_JSON_BYTES = 4 * 1_048_576
"""Length of one upload in JSON, at most."""

Line = Draft[Any] | Retract
"""The wish for one record."""


class RetractedLine(msgspec.Struct, frozen=True):
    """A line of a bulk upload that retracts a record."""

    key: Key
    retract: Literal[True]


class Declaration(msgspec.Struct, frozen=True):
    """The first line of an upload that replaces a set: a cut upload is known by it."""

    records: Annotated[int, msgspec.Meta(ge=0, le=MAX_LINES)]
    """How many records follow."""


class _Keyed(msgspec.Struct):
    key: Key


class UploadBody:
    """The lines of an upload as they come."""

    def __init__(self, request: Request[Any, Any, Any], *, declares: bool) -> None:
        self._request = request
        self._declares = declares
        media_type = (request.headers.get("content-type") or "").partition(";")[0]
        self.is_json = media_type.strip().lower() == JSON
        """Whether it is read as a whole: then no line has come before it is refused."""
        self.declared: int | None = None
        """The number of records that the upload says it has."""

    async def lines(self) -> AsyncIterator[tuple[int, bytes | None]]:
        """Number and bytes of each line that is not blank; None for one that is too long.

        Raises Invalid, TooLarge, TooSlow.
        """
        if self.is_json:
            for number, record in enumerate(await self._json_lines(), 1):
                # In one line each, as they may be spooled.
                yield number, msgspec.json.format(bytes(record), indent=-1)
            return
        async for number, line in self._numbered():
            if self._declares and self.declared is None:
                self.declared = _declaration(line).records
            else:
                yield number, line

    async def _json_lines(self) -> list[msgspec.Raw]:
        body = await body_of(self._request, MAX_JSON_BYTES)
        try:
            lines = msgspec.json.decode(body, type=list[msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid(
                "an upload in JSON is an array of records: {reason}", reason=str(error), pointer=""
            ) from None
        if self._declares:
            self.declared = _declaration(bytes(lines.pop(0)) if lines else None).records
        if len(lines) > MAX_JSON_RECORDS:
            raise TooLarge(
                "an upload in JSON has at most {number} records; NDJSON can have more",
                number=MAX_JSON_RECORDS,
            )
        return lines

    async def _numbered(self) -> AsyncIterator[tuple[int, bytes | None]]:
        lines, number, size = Lines(), 0, 0
        async for chunk in pieces(self._request):
            size += len(chunk)
            # Lines that end before the bound are read, however the body was cut on its way.
            for line in lines.cut(chunk[: len(chunk) - max(size - MAX_UPLOAD_BYTES, 0)]):
                number += 1
                if line.strip():
                    yield self._check_number(number), line
            if size > MAX_UPLOAD_BYTES:
                raise TooLarge(
                    "the upload is longer than {maximum} bytes; send the rest in another one",
                    maximum=MAX_UPLOAD_BYTES,
                )
            if lines.rest > MAX_LINE_BYTES:
                number += 1
                yield self._check_number(number), None
                lines.skip()
        if (rest := lines.end()).strip():
            yield self._check_number(number + 1), rest

    def _check_number(self, number: int) -> int:
        if number > MAX_LINES + self._declares:
            raise TooLarge(
                "an upload has at most {maximum} lines; send the rest in another one", maximum=MAX_LINES
            )
        return number


class LineReader:
    """Reads lines, strictly. A key is in an upload once."""

    def __init__(self, kind: type[Content], *, retracts: bool = True) -> None:
        shape: Any = KeyedDraft
        self._shape = shape[kind]
        self._retracts = retracts
        self.numbers: dict[str, int] = {}
        """The line of each key."""

    def read(self, number: int, line: bytes | None) -> tuple[str, Line]:
        """The key of a line, and what is to become of its record. Raises Refused."""
        if line is None or len(line) > MAX_LINE_BYTES:
            raise TooLarge("the line is longer than {maximum} bytes", maximum=MAX_LINE_BYTES)
        key, read = self.decode(line)
        if key in self.numbers:
            raise Invalid(
                "the key {key} is in line {first} already",
                key=key,
                first=self.numbers[key],
                pointer="/key",
                fault="rule",
            )
        self.numbers[key] = number
        return key, read

    def decode(self, line: bytes) -> tuple[str, Line]:
        """The key of a line, and what is to become of its record, wherever it stands. Raises Refused."""
        if b'"retract"' in line and _has_member(line, "retract"):
            if not self._retracts:
                raise Invalid(
                    "an upload that replaces a set retracts what is not in it: leave the line out",
                    pointer="/retract",
                    fault="unknown-member",
                )
            retracted: RetractedLine = read_draft(line, RetractedLine)
            return retracted.key, Retract()
        draft: KeyedDraft[Any] = read_draft(line, self._shape)
        return draft.key, draft


def key_in(line: bytes | None) -> str | None:
    """The key of a line that was refused, where it can be read."""
    if line is None or len(line) > MAX_LINE_BYTES:
        return None
    try:
        return msgspec.json.decode(line, type=_Keyed).key
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _has_member(line: bytes, name: str) -> bool:
    try:
        return name in msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _declaration(line: bytes | None) -> Declaration:
    try:
        declaration: Declaration = read_draft(line or b"", Declaration)
    except Invalid:
        raise no_declaration() from None
    return declaration


def no_declaration() -> Invalid:
    """The refusal of an upload that does not say how many records it has."""
    return Invalid(
        'the first line of an upload that replaces a set says how many records follow, as {"records": 3}',
        pointer="/records",
        fault="missing",
    )
