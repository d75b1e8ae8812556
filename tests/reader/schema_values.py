"""Values that a JSON Schema takes, made up by chance."""

from __future__ import annotations

import random
from collections.abc import Iterator
from re import _constants, _parser  # the parser of `re`, which has no public name
from typing import Any


def matching(pattern: str, chance: random.Random) -> str:
    """A text of this form."""
    return "".join(_matching(_parser.parse(pattern), chance))


def _matching(parts: Any, chance: random.Random) -> Iterator[str]:
    for kind, argument in parts:
        if kind is _constants.LITERAL:
            yield chr(argument)
        elif kind is _constants.IN:
            yield _of_class(argument, chance)
        elif kind is _constants.SUBPATTERN:
            yield from _matching(argument[-1], chance)
        elif kind is _constants.BRANCH:
            yield from _matching(chance.choice(argument[1]), chance)
        elif kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            least, most, again = argument
            for _ in range(chance.randint(int(least), min(int(most), int(least) + 8))):
                yield from _matching(again, chance)
        elif kind not in (_constants.AT, _constants.ASSERT, _constants.ASSERT_NOT):
            yield "x"


def _of_class(members: Any, chance: random.Random) -> str:
    if members[0][0] is _constants.NEGATE:
        return chance.choice("abcdefgh0123456789.-_é")
    kind, argument = chance.choice(members)
    if kind is _constants.LITERAL:
        return chr(argument)
    if kind is _constants.RANGE:
        return chr(chance.randint(*argument))
    return "0" if argument is _constants.CATEGORY_DIGIT else "x"


class SchemaValues:
    """Values that a schema takes."""

    def __init__(self, schema: dict[str, Any], chance: random.Random) -> None:
        self.root, self.chance = schema, chance

    def value(self, schema: Any) -> Any:
        chance = self.chance
        if "$ref" in schema:
            target = self.root
            for step in schema["$ref"][2:].split("/"):
                target = target[step]
            return self.value(target)
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self.value(
                    chance.choice([each for each in schema[several] if each != {"type": "null"}])
                )
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return chance.choice(schema["enum"])
        if schema.get("examples") and chance.random() < 0.7:
            return chance.choice(schema["examples"])
        return self.of_type(schema, schema.get("type"))

    def of_type(self, schema: dict[str, Any], name: Any) -> Any:
        chance = self.chance
        if name == "object":
            return self.object(schema)
        if name == "array":
            least = schema.get("minItems", 0)
            size = chance.randint(least, min(least + 3, schema.get("maxItems", 3)))
            return [self.value(schema.get("items", {})) for _ in range(size)]
        if name == "string":
            return self.text(schema)
        if name == "integer":
            return chance.randint(schema.get("minimum", -10), min(schema.get("maximum", 10), 10**6))
        return chance.choice((True, False)) if name == "boolean" else None

    def object(self, schema: dict[str, Any]) -> dict[str, Any]:
        chance = self.chance
        made = {}
        for name, member in schema.get("properties", {}).items():
            if name in schema.get("required", ()) or chance.random() < 0.3:
                made[name] = self.value(member)
        if "additionalProperties" in schema and "propertyNames" in schema:
            for name in chance.sample(("fr", "en", "nl", "pl", "it", "fr-BE"), chance.randint(1, 3)):
                made[name] = self.value(schema["additionalProperties"])
        return made

    def text(self, schema: dict[str, Any]) -> str:
        if schema.get("format") == "date":
            return f"2026-{self.chance.randint(1, 12):02}-{self.chance.randint(1, 28):02}"
        if schema.get("format") == "date-time":
            day, fraction = self.chance.randint(1, 28), self.chance.choice(("", ".5", ".123456"))
            return f"2026-03-{day:02}T08:30:00{fraction}Z"
        if "pattern" in schema:
            return matching(schema["pattern"], self.chance)[: schema.get("maxLength", 1_000)]
        words = self.chance.choice(("GLPI", "Gestion de parc", "é", "10.0.18", "Élégant 漢字"))
        return (words * 100)[: max(schema.get("minLength", 0), min(len(words), schema.get("maxLength", 100)))]
