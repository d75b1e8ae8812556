"""Schemas that are put together from others: documents by type, entries and changes, pages, previews."""

from __future__ import annotations

from typing import Any

import msgspec

from federation.api.portable import Schema
from federation.domain.entry import FeedEntry
from federation.domain.query import MAX_TOTAL
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.edge.operations import Named

ENTRY = Named("Entry")
"""An entry of a feed."""
ENTRY_PAGE = Named("EntryPage")
CHANGE = Named("Change")
"""A change of anything that the node has."""
CHANGE_PAGE = Named("ChangePage")


def page_of(kind: type[Content]) -> Named:
    """A page of a list of records."""
    return Named(f"{kind.__name__}Page")


def result_of(kind: type[Content]) -> Named:
    """The answer to a revision: the record, or a preview."""
    return Named(f"{kind.__name__}OrPreview")


def patch_of(kind: type[Content]) -> Named:
    """A merge patch of a record."""
    return Named(f"{kind.__name__}DraftPatch")


def entry_struct() -> Any:
    """``Entry`` less its document: msgspec has no schema for raw bytes."""
    fields = [
        (field.name, field.type, field.default)
        if field.default is not msgspec.NODEFAULT
        else (field.name, field.type)
        for field in msgspec.structs.fields(FeedEntry)
        if field.name != "document"
    ]
    namespace = {"__doc__": FeedEntry.__doc__}
    return msgspec.defstruct("Entry", fields, kw_only=True, omit_defaults=True, namespace=namespace)


def document_schema(schema: Schema, kind: type[Content], *, with_tombstones: bool) -> Schema:
    """The schema of documents of one type; with its tombstones, which have no content, or without."""
    properties = {
        **schema["properties"],
        "type": {"type": "string", "const": kind.type, "description": "The record's type."},
    }
    required = schema["required"] if with_tombstones else [*schema["required"], "content"]
    described = f"A document of type `{kind.type}`: envelope and content."
    if with_tombstones:
        described += " Without content it is a tombstone."
    return {**schema, "description": described, "properties": properties, "required": required}


def join_parts(schemas: dict[str, Schema]) -> None:
    """Add what is made of several schemas of answers, and give documents their type."""
    any_document = schemas["SolutionDocument"]
    for kind in TYPES.values():
        name = f"{kind.__name__}Document"
        schemas[name] = document_schema(schemas[name], kind, with_tombstones=False)
        schemas[page_of(kind).name] = _page(kind)
        schemas[result_of(kind).name] = {
            "description": "The record; or, with `dry_run`, the effect of the change at other operators.",
            "oneOf": [_ref(name), _ref("Preview")],
        }
    schemas["Preview"]["properties"]["dry_run"] = {"type": "boolean", "const": True}
    schemas["AnyDocument"] = {
        **any_document,
        "description": (
            "A document of a type that this description does not know, or a tombstone, which has no content."
        ),
        "properties": {**any_document["properties"], "content": {"type": "object"}},
    }
    entry, branches = schemas["Entry"], [f"{kind.__name__}Document" for kind in TYPES.values()]
    document = {
        "description": "The document as its origin wrote it down; absent in a withdrawal.",
        # Not `oneOf`: the last one takes every document, so that a client can read those of a later version.
        "anyOf": [_ref(name) for name in (*branches, "AnyDocument")],
    }
    properties = {**entry["properties"], "document": document}
    schemas["Entry"] = {**entry, "properties": properties}
    schemas["Change"] = {
        **entry,
        "description": "One change of what the node stores, of any origin, in the order it arrived here.",
        "required": ["cursor", "op", "origin", "type", "key", "revision"],
        "properties": {
            "cursor": {"type": "string", "description": "The cursor after this change."},
            "origin": _ref("OperatorId"),
            **{name: value for name, value in properties.items() if name != "seq"},
        },
    }
    schemas["EntryPage"] = _entries("Entries of a feed, in order.", "Entry")
    schemas["ChangePage"] = _entries("Changes of this node, in order.", "Change")


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _entries(description: str, name: str) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": ["entries", "cursor", "more"],
        "properties": {
            "entries": {"type": "array", "items": _ref(name)},
            "cursor": {"type": "string", "description": "Where to go on: `?after=`."},
            "more": {"type": "boolean", "description": "Whether there are entries after these."},
        },
    }


def _page(kind: type[Content]) -> Schema:
    return {
        "type": "object",
        "description": f"A page of a list of {kind.plural}.",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": _ref(f"{kind.__name__}Document")},
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
                "items": _ref("Provenance"),
                "description": "The feeds that this page comes from; with `Prefer: provenance`.",
            },
            "total": {"type": "integer", "minimum": 0},
            "total_is_exact": {
                "type": "boolean",
                "description": "False when there are more than `total`.",
            },
        },
    }
