"""The schemas of the contract: a file for each record type, and the components of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args

from federation.api.components import (
    component_name,
    is_struct,
    reachable,
    references_to,
    schemas_of,
    struct_name,
    structs_in,
)
from federation.api.documents import document_schema, entry_struct, join_parts
from federation.api.merge_patches import MergePatches
from federation.api.portable import Schema, refer
from federation.api.problem_details import Problem
from federation.api.webhooks import WEBHOOKS
from federation.domain.document import Document
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.edge.operations import Named, Operation
from federation.node.copy_views import Provenance
from federation.node.previews import Preview

REFERENCE = "#/components/schemas/{name}"
DEFINITION = "#/$defs/{name}"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(kind: type[Content]) -> Schema:
    """The JSON Schema 2020-12 of documents of a type. Unknown members are allowed: versions differ."""
    schemas = schemas_of([_of(Document, kind)], "document", template=DEFINITION)
    root = document_schema(schemas.pop(f"{kind.__name__}Document"), kind, with_tombstones=True)
    return {
        "$schema": DIALECT,
        "$id": f"urn:federation:v1:{kind.type}",
        "title": f"Document of type {kind.type}",
        **root,
        "$defs": reachable(root, DEFINITION, schemas),
    }


class Components:
    """The schemas of an OpenAPI document, and the references to them."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        listed = tuple(operations)
        answers = structs_in([answer.content for operation in listed for answer in operation.answers])
        bodies = list(structs_in([body.schema for operation in listed for body in operation.bodies]))
        documents = [_of(Document, kind) for kind in TYPES.values()]
        read = [*documents, Problem, Provenance, Preview, entry_struct(), *WEBHOOKS.values(), *answers]
        self._read = schemas_of(read, "answer", template=REFERENCE)
        sent = schemas_of(bodies, "body", template=REFERENCE, name_of=self._input, known=self._read)
        self._names_of_answers = references_to(self._read, REFERENCE)
        self._names_of_bodies = references_to(sent, REFERENCE)
        join_parts(self._read)
        patches = MergePatches(sent, REFERENCE)
        for kind in TYPES.values():
            patches.add(f"{kind.__name__}Draft")
        self._all = {**sent, **patches.schemas, **self._read}

    def schemas(self) -> dict[str, Schema]:
        """All schemas by name."""
        return dict(sorted(self._all.items()))

    def answer(self, schema: Any) -> Any:
        """A schema of an answer, with references in place of structs."""
        return refer(_referring(schema, struct_name), "answer", self._names_of_answers)

    def body(self, schema: Any) -> Any:
        """A schema of a body, with references in place of structs."""

        def name_of(struct: Any) -> str:
            return struct_name(struct) if get_args(struct) else self._input(struct.__name__)

        return refer(_referring(schema, name_of), "body", self._names_of_bodies)

    def _input(self, name: str) -> str:
        component = component_name(name)
        return f"{component}Input" if component in self._read else component


def _referring(value: Any, name_of: Callable[[Any], str]) -> Any:
    if isinstance(value, dict):
        return {name: _referring(member, name_of) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_referring(item, name_of) for item in value]
    if isinstance(value, Named):
        return {"$ref": REFERENCE.format(name=value.name)}
    return {"$ref": REFERENCE.format(name=name_of(value))} if is_struct(value) else value


def _of(shape: Any, kind: type[Content]) -> Any:
    return shape[kind]
