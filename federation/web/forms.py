"""Forms: what was typed, within bounds, and the faults beside their fields."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from litestar import Request
from multipart import (  # type: ignore[import-untyped]  # it has no types
    MultipartError,
    MultipartParser,
    parse_options_header,
)

from federation.domain.errors import Invalid
from federation.domain.faults import Fault
from federation.domain.messages import Language
from federation.edge.requests import body_of

MAX_FIELDS = 2_000
"""Fields of one form, at most."""
MAX_WHOLE_NUMBER = 999_999_999
"""The largest whole number that a field takes, where its page does not say otherwise."""
MAX_FORM_BYTES = 65_536
"""Bytes of a form, at most, where its page does not say otherwise."""
FILE_FIELD = "file"
"""The name of the field with the file; the first one counts."""
MAX_PARTS = 100
"""Fields of a form with a file, at most."""


class Form:
    """The fields that were typed, and what is wrong with them."""

    def __init__(self, fields: Mapping[str, list[str]] | None = None) -> None:
        self.fields: dict[str, list[str]] = dict(fields or {})
        self.faults: dict[str, list[str]] = {}
        """Texts for people by the name of the field; the empty name: of the form as a whole."""

    def value(self, name: str, otherwise: str = "") -> str:
        """The text of a field, without the white space around it."""
        values = self.fields.get(name)
        return values[0].strip() if values else otherwise

    def values(self, name: str) -> list[str]:
        """The texts of a field that may be there several times, without empty ones."""
        return [value.strip() for value in self.fields.get(name, ()) if value.strip()]

    def is_set(self, name: str) -> bool:
        """True for a box that is ticked."""
        return bool(self.value(name))

    def refuse(self, name: str, text: str) -> None:
        """Note a fault of a field."""
        self.faults.setdefault(name, []).append(text)

    def refuse_all(
        self, faults: tuple[Fault, ...], language: Language, fields: Mapping[str, str] | None = None
    ) -> None:
        """Note the faults of a refusal. ``fields``: names of fields by pointer, where they differ.

        A pointer names the field of the longest pointer that it begins with; else the form as a whole has the
        fault.
        """
        for fault in faults:
            self.refuse(self._field_of(fault.pointer, fields or {}), fault.message.to_text(language))

    def _field_of(self, pointer: str, fields: Mapping[str, str]) -> str:
        prefixes = [prefix for prefix in fields if pointer == prefix or pointer.startswith(f"{prefix}/")]
        if prefixes:
            return fields[max(prefixes, key=len)]
        name = pointer.removeprefix("/content").removeprefix("/")
        return name if name in self.fields else ""


def whole_number(text: str, maximum: int) -> int | None:
    """The whole number that a text is, from 0 to ``maximum``; None for any other text."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(maximum))):
        return None
    number = int(text)
    return number if number <= maximum else None


async def read_form(request: Request[Any, Any, Any], max_bytes: int = MAX_FORM_BYTES) -> Form:
    """The form that was sent. Raises Invalid, TooLarge, TooSlow."""
    if request.headers.get("content-length") == "0":
        return Form()
    body = await body_of(request, max_bytes)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except (UnicodeDecodeError, ValueError):
        raise Invalid(
            "the form cannot be read: UTF-8, percent-encoded, at most {maximum} fields", maximum=MAX_FIELDS
        ) from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        # Browsers send line feeds as CR LF; documents have LF.
        fields.setdefault(name, []).append(value.replace("\r\n", "\n").replace("\r", "\n"))
    return Form(fields)


class SentFile(NamedTuple):
    """A file of a form."""

    name: str
    """Its name on the computer of the visitor."""
    raw: bytes


async def read_upload(request: Request[Any, Any, Any], max_bytes: int) -> tuple[Form, SentFile | None]:
    """A form with a file (RFC 7578): its fields, and its file. Raises Invalid, TooLarge, TooSlow."""
    body = await body_of(request, max_bytes)
    content_type = request.headers.get("content-type", "")
    return await asyncio.to_thread(_read_multipart, content_type, body)


def _read_multipart(content_type: str, body: bytes) -> tuple[Form, SentFile | None]:
    fields: dict[str, list[str]] = {}
    file: SentFile | None = None
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    try:
        if not boundary:
            raise MultipartError("no boundary")
        parser = MultipartParser(
            io.BytesIO(body),
            boundary,
            content_length=len(body),
            charset="utf-8",
            strict=True,
            part_limit=MAX_PARTS,
            spool_limit=len(body),
            memory_limit=2 * len(body),
            disk_limit=0,
        )
        for part in parser:
            if part.filename is None:
                fields.setdefault(part.name, []).append(part.value)
            elif file is None and part.name == FILE_FIELD and part.filename:
                file = SentFile(part.filename, part.raw)
            part.close()
    except (MultipartError, UnicodeDecodeError, ValueError):
        raise Invalid("the form with its file cannot be read: multipart/form-data in UTF-8") from None
    return Form(fields), file
