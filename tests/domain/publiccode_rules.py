"""The rules of publiccode.yml 0.7 by its Go parser (``v0.go``, ``validators/v0.go``), as a JSON Schema.

Written from the tags of its structures: which members are required, their lengths, lists and formats. What
the parser looks up on the network is not in it.
"""

from __future__ import annotations

from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

from federation.domain.content.solution import PUBLICCODE_THEMES
from federation.domain.formats.spdx import licence_problem

URL: dict[str, Any] = {"type": "string", "pattern": "^https?://[^/]+", "format": "uri"}
TEXT: dict[str, Any] = {"type": "string"}
TAG = "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
CONTACT = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1}, "email": {"type": "string", "format": "email"},
        "affiliation": TEXT, "phone": TEXT,
    },
}  # fmt: skip
CONTRACTOR = {
    "type": "object",
    "required": ["name", "until"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1}, "until": {"type": "string", "format": "date"},
        "email": {"type": "string", "format": "email"}, "website": URL,
    },
}  # fmt: skip
ORGANISATION = {
    "type": "object",
    "required": ["uri"],
    "additionalProperties": False,
    "properties": {"name": TEXT, "uri": {"type": "string", "format": "uri", "minLength": 1}},
}
DESCRIPTION = {
    "type": "object",
    "required": ["shortDescription", "longDescription", "features"],
    "additionalProperties": False,
    "properties": {
        "localisedName": TEXT, "genericName": {"type": "string", "maxLength": 35},
        "shortDescription": {"type": "string", "minLength": 1, "maxLength": 150},
        "longDescription": {"type": "string", "minLength": 150, "maxLength": 10_000},
        "documentation": URL, "apiDocumentation": URL,
        "features": {"type": "array", "minItems": 1, "items": TEXT},
        "screenshots": {"type": "array", "items": TEXT}, "videos": {"type": "array", "items": URL},
        "awards": {"type": "array", "items": TEXT},
    },
}  # fmt: skip
TYPES = [
    "standalone/mobile", "standalone/iot", "standalone/desktop", "standalone/web", "standalone/backend",
    "standalone/other", "addon", "library", "configurationFiles",
]  # fmt: skip
VERSIONS = [
    "0", "0.2", "0.2.0", "0.2.1", "0.2.2", "0.3", "0.3.0", "0.4", "0.4.0", "0.5", "0.5.0", "0.7", "0.7.0",
]  # fmt: skip
MAINTENANCE = {
    "type": "object",
    "required": ["type"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": ["internal", "contract", "community", "none"]},
        "contacts": {"type": "array", "items": CONTACT},
        "contractors": {"type": "array", "items": CONTRACTOR},
    },
    "if": {"properties": {"type": {"const": "contract"}}},
    "then": {"required": ["contractors"]},
    "else": {
        "properties": {"contractors": False},
        "if": {"properties": {"type": {"enum": ["internal", "community"]}}},
        "then": {"required": ["contacts"]},
    },
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": [
        "publiccodeYmlVersion", "name", "url", "platforms", "developmentStatus", "softwareType",
        "description", "legal", "maintenance", "localisation",
    ],
    "properties": {
        "publiccodeYmlVersion": {"enum": VERSIONS}, "name": {"type": "string", "minLength": 1},
        "applicationSuite": TEXT, "url": {"type": "string", "format": "uri", "minLength": 1},
        "landingURL": URL,
        "isBasedOn": {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}, "softwareVersion": TEXT,
        "releaseDate": {"type": "string", "format": "date"}, "logo": TEXT, "organisation": ORGANISATION,
        "platforms": {"type": "array", "minItems": 1, "items": TEXT},
        "categories": {"type": "array", "items": {"enum": PUBLICCODE_THEMES}},
        "usedBy": {"type": "array", "items": TEXT}, "fundedBy": {"type": "array", "items": ORGANISATION},
        "roadmap": URL,
        "developmentStatus": {"enum": ["concept", "development", "beta", "stable", "obsolete"]},
        "softwareType": {"enum": TYPES}, "intendedAudience": {"type": "object"},
        "description": {
            "type": "object", "minProperties": 1, "patternProperties": {TAG: DESCRIPTION},
            "additionalProperties": False,
        },
        "legal": {
            "type": "object", "required": ["license"], "additionalProperties": False,
            "properties": {"license": {"type": "string", "format": "spdx"}, "mainCopyrightOwner": TEXT},
        },
        "maintenance": MAINTENANCE,
        "localisation": {
            "type": "object", "required": ["localisationReady", "availableLanguages"],
            "additionalProperties": False,
            "properties": {
                "localisationReady": {"type": "boolean"},
                "availableLanguages": {
                    "type": "array", "minItems": 1, "items": {"type": "string", "pattern": TAG},
                },
            },
        },
        "dependsOn": {"type": "object"}, "IT": {"type": "object"},
    },
}  # fmt: skip
FORMATS = FormatChecker()


@FORMATS.checks("spdx")
def is_licence(text: object) -> bool:
    return not isinstance(text, str) or licence_problem(text) is None


VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FORMATS)


class _Loader(yaml.SafeLoader):
    """Reads the types of YAML but for dates, which the parser takes as texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe loader with fewer types


def faults(text: str) -> list[str]:
    """What the parser would find wrong, each as the path of the member and the reason."""
    return [
        f"{'/'.join(map(str, error.path))}: {error.message[:200]}"
        for error in sorted(VALIDATOR.iter_errors(load(text)), key=str)
    ]
