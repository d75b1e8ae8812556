"""YAML of unknown make, as nested mappings, lists and texts.

Scalars stay the texts that they are: YAML would read the version ``3.10`` as a number, ``2024-09-01`` as a
date and ``no`` as false. Nothing is constructed but these, whatever tags a document has.

An anchor that is repeated is one value in memory, and counts as often as it is repeated: a document that
would be large when written out is refused (``MAX_YAML_VALUES``), before anything walks through it. Nothing
here is recursive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import yaml

from federation.domain.errors import Invalid

MAX_YAML_BYTES = 1_048_576
"""Bytes of a document, at most."""
MAX_YAML_DEPTH = 32
"""Mappings and lists inside one another, at most."""
MAX_YAML_VALUES = 20_000
"""Values and keys, at most, each as often as it is repeated by an anchor."""
TAB_WIDTHS = (2, 4, 8)
"""Columns that a tab at the beginning of a line may stand for: YAML allows none there."""
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INDENT = re.compile(r"^[ \t]*\t[ \t]*", re.MULTILINE)
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that YAML refuses (YAML 1.2, 5.1)."""
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlText(msgspec.Struct, frozen=True):
    """A document, and what was done to read it."""

    value: Any
    """Mappings (``dict`` by text), lists, texts, and None."""
    notes: tuple[str, ...] = ()


def read_yaml(raw: bytes) -> YamlText:
    """The first document of a file. Raises Invalid."""
    if len(raw) > MAX_YAML_BYTES:
        raise Invalid("the file has more than {maximum} bytes", maximum=MAX_YAML_BYTES)
    notes: list[str] = []
    try:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
        notes.append("encoding: it is not UTF-8, and was read as Windows-1252")
    if _UNREADABLE.search(text):
        text = _UNREADABLE.sub("", text)
        notes.append("encoding: control characters were left out")
    try:
        return YamlText(_read(text), tuple(notes))
    except yaml.YAMLError as error:
        if not _INDENT.search(text):
            raise _refusal(error) from None
        first = error
    for width in TAB_WIDTHS:
        try:
            spaced = _INDENT.sub(partial(_expand_tabs, width=width), text)
            if len(spaced) > 2 * MAX_YAML_BYTES:
                break
            return YamlText(_read(spaced), (*notes, "indentation: tabs were read as spaces"))
        except yaml.YAMLError:
            continue
    raise _refusal(first)


def _expand_tabs(indent: re.Match[str], width: int) -> str:
    return indent[0].expandtabs(width)


def _refusal(error: yaml.YAMLError) -> Invalid:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return Invalid("it is not YAML")
    return Invalid("it is not YAML: line {line} cannot be read", line=mark.line + 1)


class _Container:
    """A mapping or a list that is being read."""

    def __init__(self, value: dict[str, Any] | list[Any], anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.key: str | None = None
        """The key whose value comes next; None where a key comes, and in a list."""
        self.size = 1
        """Values in it, and itself, each as often as it is repeated."""


def _read(text: str) -> Any:
    reader = _Reader()
    for event in _events(text):
        if reader.feed(event):
            break
    return reader.document


def _events(text: str) -> Iterator[Any]:
    loader = _Loader(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


class _Reader:
    """Makes a value of the events of a document."""

    def __init__(self) -> None:
        self.document: Any = None
        self._open: list[_Container] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0

    def feed(self, event: Any) -> bool:
        """Take an event; True at the end of the document. Raises Invalid."""
        match event:
            case yaml.ScalarEvent():
                is_plain = event.style in (None, "")
                value = None if is_plain and event.value in _NULLS else event.value
                self._add(value, 1, event.anchor)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    raise Invalid("an anchor of the YAML contains itself, or is not there")
                self._add(*self._anchors[event.anchor], None)
            case yaml.MappingStartEvent():
                self._begin({}, event.anchor)
            case yaml.SequenceStartEvent():
                self._begin([], event.anchor)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                container = self._open.pop()
                self._add(container.value, container.size, container.anchor)
            case yaml.DocumentEndEvent():
                return True
        return False

    def _begin(self, value: dict[str, Any] | list[Any], anchor: str | None) -> None:
        if len(self._open) >= MAX_YAML_DEPTH:
            raise Invalid("the YAML is nested deeper than {maximum} levels", maximum=MAX_YAML_DEPTH)
        if anchor is not None:
            self._anchors.pop(anchor, None)  # until it ends it cannot be repeated: it would contain itself
        self._open.append(_Container(value, anchor))

    def _add(self, value: Any, size: int, anchor: str | None) -> None:
        """Put a value where it belongs."""
        self._values += 1
        container = self._open[-1] if self._open else None
        if self._values > MAX_YAML_VALUES or (container and container.size + size > MAX_YAML_VALUES):
            raise Invalid("the YAML has more than {maximum} values", maximum=MAX_YAML_VALUES)
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        if container is None:
            self.document = value
            return
        container.size += size
        if isinstance(container.value, list):
            container.value.append(value)
        elif container.key is None:
            container.key = value if isinstance(value, str) else ""
        elif container.key == "<<" and isinstance(value, dict):  # keys that are merged (YAML 1.1)
            for name, inner in value.items():
                container.value.setdefault(name, inner)
            container.key = None
        else:
            container.value[container.key] = value
            container.key = None
