"""RDF graphs as plain values, written as JSON-LD 1.1 and as Turtle (RDF 1.1).

A graph is a list of nodes. A node is a dict in the compact form of JSON-LD: ``@id``, ``@type``, and members
named by a prefix of the context. A value is a node, ``{"@id": …}``, or ``{"@value": …}`` with ``@language``
or ``@type``; or a list of these. So both forms are written of the same values, and need no RDF library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

Node = dict[str, Any]
_NOT_IN_IRIS = re.compile(r"[\x00-\x20<>\"{}|\\^`]")
_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_TO_ESCAPE = re.compile(r'[\x00-\x1f"\\\x7f]')
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*:[A-Za-z][A-Za-z0-9_]*")


def iri(text: str) -> str:
    """A text as an IRI: what may not stand in one is percent-encoded."""
    return _NOT_IN_IRIS.sub(lambda match: f"%{ord(match[0]):02X}", text)


def reference(text: str, type_: str | None = None) -> Node:
    """A resource by its IRI, with its class where that is said."""
    return {"@id": iri(text), **({"@type": type_} if type_ else {})}


def literal(text: str, language: str | None = None) -> Node:
    return {"@value": text, **({"@language": language} if language else {})}


def typed(text: str, type_: str) -> Node:
    """A literal of a datatype, such as ``xsd:dateTime``."""
    return {"@type": type_, "@value": text}


def json_ld(nodes: Sequence[Node], prefixes: Mapping[str, str]) -> bytes:
    """The graph as JSON-LD, with its context in it: a reader fetches nothing."""
    return msgspec.json.encode({"@context": dict(prefixes), "@graph": list(nodes)})


def turtle(nodes: Sequence[Node], prefixes: Mapping[str, str]) -> bytes:
    """The graph as Turtle."""
    lines = [f"@prefix {name}: <{namespace}> ." for name, namespace in prefixes.items()]
    waiting = list(nodes)
    while waiting:
        node = waiting.pop(0)
        inner: list[Node] = []
        lines.append(f"\n{_subject(node)} {_members(node, inner)} .")
        waiting[:0] = inner
    return "\n".join(lines).encode() + b"\n"


def _subject(node: Node) -> str:
    return f"<{iri(node['@id'])}>"


def _members(node: Node, named: list[Node]) -> str:
    """Classes and members of a node; nodes with a name and members of their own come after it."""
    return " ;\n    ".join(_statements(node, named))


def _statements(node: Node, named: list[Node]) -> Iterator[str]:
    types = node.get("@type", ())
    if types:
        yield "a " + ", ".join(map(_name, [types] if isinstance(types, str) else types))
    for member, value in node.items():
        if not member.startswith("@"):
            values = value if isinstance(value, list) else [value]
            yield f"{_name(member)} " + ", ".join(_value(inner, named) for inner in values)


def _value(value: Any, named: list[Node]) -> str:
    if "@value" in value:
        text = _TO_ESCAPE.sub(_escape, str(value["@value"]))
        if "@language" in value:
            return f'"{text}"@{value["@language"]}'
        return f'"{text}"^^{_name(value["@type"])}' if "@type" in value else f'"{text}"'
    if "@id" in value:
        if len(value) > 1:
            named.append(value)
        return f"<{iri(value['@id'])}>"
    return f"[ {_members(value, named)} ]"


def _escape(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[0]) or f"\\u{ord(match[0]):04X}"


def _name(name: str) -> str:
    """A prefixed name. The members are those of the code, never of a record."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no prefixed name")
    return name
