"""The JSON Schemas of everything that is sent and received, made of the same structs that validate.

Structs in the declarations of operations become components: those of answers are open, since versions differ;
those of bodies are closed and, where an answer has the same struct, called ``…Input``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args, get_origin

import msgspec

from federation.api.operations import Named, Operation
from federation.api.problem_details import Problem
from federation.domain.document import Document
from federation.domain.entry import FeedEntry
from federation.domain.query import MAX_TOTAL
from federation.domain.registry import TYPES
from federation.domain.values import Content
from federation.node.copy_views import Provenance

_REF = "#/components/schemas/{name}"


def json_schema(kind: type[Content]) -> dict[str, Any]:
    """The JSON Schema 2020-12 of documents of a type. Unknown members are allowed: versions differ."""
    schema = msgspec.json.schema(_of(Document, kind), schema_hook=_raw)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:federation:v1:{kind.type}",
        **schema,
    }


class Components:
    """The components of an OpenAPI document, and the references to them."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        listed = tuple(operations)
        answers = _structs(answer.content for operation in listed for answer in operation.answers)
        bodies = _structs(body.schema for operation in listed for body in operation.bodies)
        documents = [_of(Document, kind) for kind in TYPES.values()]
        read = dict.fromkeys([*documents, Problem, Provenance, _entry(), *answers])
        sent = dict.fromkeys(bodies)
        _, self._read = msgspec.json.schema_components(list(read), ref_template=_REF, schema_hook=_raw)
        _, self._sent = msgspec.json.schema_components(list(sent), ref_template=_REF, schema_hook=_raw)
        self._only_sent = {_name_of(struct) for struct in sent} - {_component(name) for name in self._read}

    def schemas(self) -> dict[str, Any]:
        """All schemas by name."""
        schemas = {_component(name): _rename(schema, _component) for name, schema in self._read.items()}
        for name, schema in self._sent.items():
            schemas[self._input(name)] = _close(_rename(schema, self._input))
        for schema in schemas.values():
            schema.pop("title", None)
        schemas["Entry"]["properties"]["document"] = {
            "description": "The document as its origin wrote it down; absent in a withdrawal.",
            "type": "object",
        }
        for kind in TYPES.values():
            schemas[page_of(kind).name] = _page(kind)
        schemas["Change"] = _change(schemas["Entry"])
        return dict(sorted(schemas.items()))

    def answer(self, schema: Any) -> Any:
        """A schema of an answer, with references in place of structs."""
        return _referring(schema, _name_of)

    def body(self, schema: Any) -> Any:
        """A schema of a body, with references in place of structs."""

        def name_of(struct: Any) -> str:
            return _name_of(struct) if get_args(struct) else self._input(struct.__name__)

        return _referring(schema, name_of)

    def _input(self, name: str) -> str:
        component = _component(name)
        return component if component != name or component in self._only_sent else f"{component}Input"


def page_of(kind: type[Content]) -> Named:
    """A page of a list of records."""
    return Named(f"{kind.__name__}Page")


ENTRY = Named("Entry")
"""An entry of a feed."""
CHANGE = Named("Change")
"""A change of anything that the node has."""


def _page(kind: type[Content]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array",
                "items": {"$ref": f"#/components/schemas/{kind.__name__}Document"},
            },
            "next": {"type": "string", "format": "uri", "description": "Where the next page is."},
            "not_understood": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_TOTAL,
                "description": (
                    "Records of this type, whatever the filters, that you may see and that are not listed:"
                    " this version of the node does not understand them. Absent when there are none; 1 000"
                    " stands for as many and more."
                ),
            },
            "sort": {
                "type": "string",
                "description": "The order of a search (`q`): not `relevance` where more than 1 000 match.",
            },
            "suggestion": {
                "type": "string",
                "description": "Similar words that find something, where those of `q` find nothing.",
            },
            "provenance": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/Provenance"},
                "description": "The feeds that this page comes from; with `Prefer: provenance`.",
            },
            "total": {"type": "integer", "minimum": 0},
            "total_is_exact": {
                "type": "boolean",
                "description": "False when there are more than `total`.",
            },
        },
    }


def _change(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        **entry,
        "description": "One change of what the node holds, of any origin, in the order it arrived here.",
        "required": ["cursor", "op", "origin", "type", "key", "revision"],
        "properties": {
            "cursor": {"type": "string", "description": "The cursor after this change."},
            "origin": {"type": "string"},
            **{name: value for name, value in entry["properties"].items() if name != "seq"},
        },
    }


def _entry() -> Any:
    """``Entry`` less its document: msgspec has no schema for raw bytes."""
    fields = [
        (field.name, field.type, field.default)
        if field.default is not msgspec.NODEFAULT
        else (field.name, field.type)
        for field in msgspec.structs.fields(FeedEntry)
        if field.name != "document"
    ]
    return msgspec.defstruct("Entry", fields, kw_only=True, namespace={"__doc__": FeedEntry.__doc__})


def _structs(value: Any) -> Iterator[Any]:
    """The structs in a declared schema."""
    if isinstance(value, dict):
        for member in value.values():
            yield from _structs(member)
    elif _is_struct(value):
        yield value
    elif not isinstance(value, str | int | float | None | Named):
        for item in value:
            yield from _structs(item)


def _referring(value: Any, name_of: Callable[[Any], str]) -> Any:
    if isinstance(value, dict):
        return {name: _referring(member, name_of) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_referring(item, name_of) for item in value]
    if isinstance(value, Named):
        return {"$ref": _REF.format(name=value.name)}
    return {"$ref": _REF.format(name=name_of(value))} if _is_struct(value) else value


def _is_struct(value: Any) -> bool:
    return isinstance(value, type) or get_origin(value) is not None


def _name_of(struct: Any) -> str:
    """The component that a struct becomes: ``Document[Solution]`` is ``SolutionDocument``."""
    generic = get_origin(struct)
    name: str = struct.__name__ if generic is None else get_args(struct)[0].__name__ + generic.__name__
    return name


def _component(name: str) -> str:
    """msgspec's ``Document_Solution_`` is ``SolutionDocument``."""
    if parts := re.fullmatch(r"(\w+?)_(\w+)_", name):
        return parts[2] + parts[1]
    return name


def _of(shape: Any, kind: type[Content]) -> Any:
    return shape[kind]


def _raw(kind: Any) -> dict[str, Any]:
    if kind is msgspec.Raw:
        return {"type": "object"}
    raise NotImplementedError(kind)


def _rename(schema: Any, rename: Callable[[str], str]) -> Any:
    """A schema of msgspec whose references carry the names of the components."""
    if isinstance(schema, list):
        return [_rename(value, rename) for value in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {name: _rename(value, rename) for name, value in schema.items()}
    if isinstance(renamed.get("$ref"), str):
        renamed["$ref"] = _rename_reference(schema["$ref"], rename)
    discriminator = renamed.get("discriminator")
    mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
    if mapping:
        for tag, target in schema["discriminator"]["mapping"].items():
            mapping[tag] = _rename_reference(target, rename)
    return renamed


def _rename_reference(reference: str, rename: Callable[[str], str]) -> str:
    return _REF.format(name=rename(reference.rsplit("/", 1)[-1]))


def _close(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "object" and "properties" in schema:
        return {**schema, "additionalProperties": False}
    return schema
