"""Schemas of JSON Merge Patches (RFC 7396), made from those of what is sent.

Every member may be left out. A member that may be absent in the result may be null, which removes it. Objects
are merged member by member, so they become patches, too; a list is replaced as a whole.
"""

from __future__ import annotations

from typing import Any

from federation.api.portable import Schema, nullable


class MergePatches:
    """The patches of some schemas, and of the objects in them."""

    def __init__(self, sent: dict[str, Schema], template: str) -> None:
        self._sent = sent
        self._template = template
        self.schemas: dict[str, Schema] = {}

    def add(self, name: str) -> str:
        """The name of the patch of a schema of what is sent."""
        patch_name = f"{name.removesuffix('Input')}Patch"
        if patch_name not in self.schemas:
            self.schemas[patch_name] = {}  # (in case it holds itself)
            self.schemas[patch_name] = self._object(self._sent[name])
        return patch_name

    def _object(self, schema: Schema) -> Schema:
        description = f"A merge patch (RFC 7396). {schema.get('description', '')}".strip()
        if "oneOf" in schema:  # one object or another, by its tag: a patch may lead from one to the other
            tag = schema["discriminator"]["propertyName"]
            branches = [self._sent[self._name(branch["$ref"])] for branch in schema["oneOf"]]
            members: dict[str, Any] = {}
            for branch in branches:
                members |= {
                    name: self._member(inner, removable=name != tag)
                    for name, inner in branch["properties"].items()
                }
            members[tag] = {"type": "string", "enum": list(schema["discriminator"]["mapping"])}
        elif "properties" in schema:
            required = schema.get("required", ())
            members = {
                name: self._member(inner, removable=name not in required)
                for name, inner in schema["properties"].items()
            }
        else:
            inner = schema["additionalProperties"]
            names = {"propertyNames": schema["propertyNames"]} if "propertyNames" in schema else {}
            patched = self._member(inner, removable=True)
            return {"type": "object", "description": description, **names, "additionalProperties": patched}
        return {
            "type": "object",
            "description": description,
            "properties": members,
            "additionalProperties": False,
        }

    def _member(self, schema: Schema, *, removable: bool) -> Schema:
        patched = {name: value for name, value in schema.items() if name != "default"}
        if "$ref" in patched:
            patched = self._reference(patched)
        elif "oneOf" in patched:
            patched["oneOf"] = [self._member(branch, removable=False) for branch in patched["oneOf"]]
        elif "properties" in patched or isinstance(patched.get("additionalProperties"), dict):
            patched = self._object(patched)
        return nullable(patched) if removable else patched

    def _reference(self, schema: Schema) -> Schema:
        name = self._name(schema["$ref"])
        target = self._sent.get(name, {})
        if target.get("type") == "object" or "discriminator" in target:
            return {**schema, "$ref": self._template.format(name=self.add(name))}
        return schema

    def _name(self, reference: str) -> str:
        return reference.rsplit("/", 1)[-1]
