"""Structs as named schemas: components of the OpenAPI document, and the ``$defs`` of a record type's file.

msgspec makes the schemas of the structs that validate, :mod:`federation.api.portable` gives them their form.
What is read is open, since versions differ. What is sent is closed and, where the two differ, called
``…Input``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from federation.api.conditions import CONDITIONS
from federation.api.member_words import member_words
from federation.api.portable import Schema, Use, all_required, fingerprint, reform, walk
from federation.domain import values
from federation.domain.alert import AlertEvent
from federation.domain.content.deployment import Coverage, Deployment, Hosting, VersionState
from federation.domain.content.incident import Incident, IncidentKind, IncidentStatus
from federation.domain.content.solution import THEMES, DevelopmentStatus, SolutionKind, Theme
from federation.domain.content.statement import Justification, StatementStatus
from federation.domain.visibility import Tlp


def _values_of(struct: type[msgspec.Struct], member: str) -> Any:
    """The type of a member, less None."""
    hint = get_type_hints(struct, include_extras=True)[member]
    branches = tuple(branch for branch in get_args(hint) if branch is not type(None))
    return branches[0] if isinstance(hint, UnionType) and len(branches) == 1 else hint


NAMED: tuple[tuple[str, Any], ...] = (
    ("Tlp", Tlp),
    ("OperatorId", values.Operator),
    ("Key", values.Key),
    ("GroupName", values.Group),
    ("TypeName", values.TypeName),
    ("RecordId", values.Id),
    ("RecordIdOrUri", values.IdOrUri),
    ("Instant", values.Instant),
    ("Day", values.Day),
    ("LanguageMap", values.LanguageMap),
    ("Url", values.Url),
    ("Uri", values.Uri),
    ("Country", values.Country),
    ("Territory", values.Territory),
    ("Mailbox", values.Mailbox),
    ("Sha256", values.Sha256),
    ("Theme", Theme),
    ("IncidentKind", IncidentKind),
    ("IncidentStatus", IncidentStatus),
    ("StatementStatus", StatementStatus),
    ("Severity", _values_of(Incident, "severity")),
    ("Exploitation", _values_of(Incident, "exploitation")),
    ("SolutionKind", SolutionKind),
    ("DevelopmentStatus", DevelopmentStatus),
    ("DeploymentStatus", _values_of(Deployment, "status")),
    ("Tenancy", _values_of(Deployment, "tenancy")),
    ("Environment", _values_of(Deployment, "environment")),
    ("Attestation", _values_of(Deployment, "attestation")),
    ("VersionState", VersionState),
    ("HostingModel", _values_of(Hosting, "model")),
    ("Justification", Justification),
    ("AlertEvent", AlertEvent),
    ("Coverage", Coverage),
)
"""Values that recur, and are schemas of their own."""
LISTS_OF_WRITERS: dict[str, frozenset[str]] = {"Theme": THEMES}
"""Values that a writer chooses from a list; a peer's list may be longer."""
_OTHER_NAMES = {
    "NewUpdate": "UpdateDraft",
    "NewVersion": "VersionDraft",
    "NewSubscription": "SubscriptionDraft",
    "Number": "CountedBodies",
    "Bodies": "ListedBodies",
    "Area": "CoveredTerritories",
    "Body": "RegisteredBody",
    "Code": "ActivationCode",
    "Leaves": "DigestLeaves",
}
"""Names that break a generator, or say nothing outside of their module. In Go ``NewUpdate`` is the
constructor of ``Update``; in TypeScript ``Number`` hides the type of numbers."""


def component_name(name: str) -> str:
    """The component that a struct of msgspec becomes: ``Document_Solution_`` is ``SolutionDocument``."""
    if parts := re.fullmatch(r"(\w+?)_(\w+)_", name):
        return parts[2] + parts[1]
    return _OTHER_NAMES.get(name, name)


def struct_name(struct: Any) -> str:
    """The component of a struct: ``Document[Solution]`` is ``SolutionDocument``."""
    generic = get_origin(struct)
    if generic is None:
        return component_name(struct.__name__)
    name: str = get_args(struct)[0].__name__ + generic.__name__
    return name


def is_struct(value: Any) -> bool:
    return isinstance(value, type) or get_origin(value) is not None


def structs_in(value: Any) -> Iterator[Any]:
    """The structs in a declared schema."""
    if isinstance(value, dict):
        for member in value.values():
            yield from structs_in(member)
    elif is_struct(value):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from structs_in(item)


def schemas_of(
    structs: Iterable[Any],
    use: Use,
    *,
    template: str,
    name_of: Callable[[str], str] = component_name,
    known: dict[str, Schema] | None = None,
) -> dict[str, Schema]:
    """The schemas of structs, of all that they hold, and of the values that have a name.

    ``template``: a reference, with ``{name}``. ``known``: schemas that are there already; an equal one has
    their name.
    """
    listed = list(dict.fromkeys(structs))
    wanted = [*listed, *(kind for _, kind in NAMED)]
    roots, parts = msgspec.json.schema_components(wanted, ref_template=template, schema_hook=_raw)

    def with_names(schema: Any) -> Any:
        return walk(schema, lambda inner: _rename(inner, name_of, template))

    named: dict[str, Schema] = {}
    references: dict[bytes, str] = {}
    for (name, _), root in zip(NAMED, roots[len(listed) :], strict=True):
        shown = schema = reform(with_names(root), use)
        if use == "body" and name in LISTS_OF_WRITERS:
            shown = {**schema, "enum": sorted(LISTS_OF_WRITERS[name])}
        shown_name = name if (known or {}).get(name, shown) == shown else f"{name}Input"
        named[shown_name] = shown
        references[fingerprint(schema)] = template.format(name=shown_name)
    found = _structs_within(wanted)
    written = {
        component_name(name) for name, struct in found.items() if not struct.__struct_config__.omit_defaults
    }
    schemas = dict(named)
    for raw_name, part in parts.items():
        schema, name = with_names(part), component_name(raw_name)
        if use == "answer" and name in written:
            schema = all_required(schema)
        schema = reform(schema, use, references)
        if raw_name in found:
            _describe(schema, member_words(found[raw_name]))
        if use == "body" and schema.get("type") == "object" and "properties" in schema:
            schema["additionalProperties"] = False
        if use != "answer":
            schema |= CONDITIONS.get(raw_name, {})
        schemas[name_of(raw_name)] = schema
    return schemas


def references_to(schemas: dict[str, Schema], template: str) -> dict[bytes, str]:
    """References to those of the schemas that are of values with a name, by their fingerprints."""
    names = {name for name, _ in NAMED}
    return {
        fingerprint(schema): template.format(name=name)
        for name, schema in schemas.items()
        if name.removesuffix("Input") in names
    }


def reachable(schema: Any, template: str, schemas: dict[str, Schema]) -> dict[str, Schema]:
    """The schemas that a schema, or what it holds, refers to."""
    start, end = template.split("{name}")
    found: dict[str, Schema] = {}
    waiting = [schema]
    while waiting:
        for reference in references_in(waiting.pop()):
            name = reference.removeprefix(start).removesuffix(end)
            if reference.startswith(start) and name not in found:
                found[name] = schemas[name]
                waiting.append(schemas[name])
    return dict(sorted(found.items()))


def references_in(value: Any) -> Iterator[str]:
    """Every ``$ref`` in a JSON value."""
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference
        for inner in value.values():
            yield from references_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from references_in(inner)


def _raw(kind: Any) -> dict[str, Any]:
    if kind is msgspec.Raw:
        return {"type": "object"}
    raise NotImplementedError(kind)


def _rename(schema: Schema, name_of: Callable[[str], str], template: str) -> Schema:
    """A schema of msgspec whose references carry the names of the components."""

    def renamed(reference: str) -> str:
        return template.format(name=name_of(reference.rsplit("/", 1)[-1]))

    if "$ref" in schema:
        schema = {**schema, "$ref": renamed(schema["$ref"])}
    if "discriminator" in schema:
        mapping = {tag: renamed(target) for tag, target in schema["discriminator"]["mapping"].items()}
        schema = {**schema, "discriminator": {**schema["discriminator"], "mapping": mapping}}
    return schema


def _describe(schema: Schema, words: dict[str, str]) -> None:
    """Add the descriptions of members; a member that is a reference has that of its target."""
    for name, inner in schema.get("properties", {}).items():
        described = inner.get("description", "")
        if name in words and "$ref" not in inner and (not described or described.startswith("Absent: ")):
            inner["description"] = f"{words[name]} {described}".strip()


def _structs_within(types: list[Any]) -> dict[str, type[msgspec.Struct]]:
    """The structs of some types, by name; those with a type argument are left out."""
    found: set[Any] = set()
    waiting: list[Any] = list(inspect.multi_type_info(types))
    while waiting:
        match waiting.pop():
            case inspect.StructType(cls=struct, fields=fields) if struct not in found:
                found.add(struct)
                waiting += [field.type for field in fields]
            case inspect.Metadata(type=inner):
                waiting.append(inner)
            case inspect.UnionType(types=inner):
                waiting += inner
            case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner):
                waiting.append(inner)
            case inspect.DictType(value_type=inner):
                waiting.append(inner)
    return {struct.__name__: struct for struct in found if get_origin(struct) is None}
