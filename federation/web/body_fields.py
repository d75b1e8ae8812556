"""Bodies as people type them: ourselves, a list of numbers, territories, or how many they are."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from federation.domain.content.deployment import Area, Bodies, Coverage, Number
from federation.domain.organisation import Identifier
from federation.domain.territories.bodies import bodies
from federation.domain.territories.identity import name_of, number_of
from federation.web.forms import MAX_WHOLE_NUMBER, Form, whole_number
from federation.web.visit import Visit

MAX_NAMED_FAULTS = 5
"""Numbers that a fault names."""
_SCHEMES = (
    (re.compile(r"[0-9]{9}"), "0002"),
    (re.compile(r"[0-9]{14}"), "0009"),
    (re.compile(r"[0-9][0-9AB][0-9]{3}"), "cog"),
)
_WITH_SCHEME = re.compile(r"([0-9]{4}|cog):([A-Za-z0-9][A-Za-z0-9:._-]{0,63})")


class BodyFields(msgspec.Struct, frozen=True):
    """The values of the fields that stand for a coverage."""

    way: str = "ourselves"
    listed: str = ""
    territory: str = ""
    count: str = ""


def fields_of(coverage: Coverage | None) -> BodyFields:
    """The fields of a coverage that is there."""
    match coverage:
        case Bodies(beneficiaries=listed):
            return BodyFields("list", "\n".join(_typed(body.identifiers[0]) for body in listed))
        case Area(territory=codes):
            return BodyFields("territory", territory="\n".join(codes))
        case Number(count=count):
            return BodyFields("count", count=str(count))
    return BodyFields()


def coverage_of(visit: Visit, form: Form, before: Coverage | None) -> dict[str, Any] | None:
    """The coverage that was typed, as JSON; None for the operator itself, and where a fault was noted.

    A list that was not changed stays as it is, with its names.
    """
    way = form.value("bodies")
    if way == "list":
        typed = form.value("listed")
        if before is not None and typed.split() == fields_of(before).listed.split():
            return _as_json(before)
        return _listed(visit, form, typed)
    if way == "territory":
        codes = form.value("territory").replace(",", " ").upper().split()
        if not codes:
            form.refuse("territory", visit.text("Name one territory at least, such as 71 or FR-BFC."))
        return {"kind": "territory", "territory": codes}
    if way == "count":
        count = whole_number(form.value("count"), MAX_WHOLE_NUMBER)
        if count is None:
            form.refuse("count", visit.text("A whole number, such as 20."))
            return None
        return {"kind": "count", "count": count}
    return None


def _as_json(coverage: Coverage) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(coverage)
    return made


def _listed(visit: Visit, form: Form, typed: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = []
    unknown: list[str] = []
    for text in dict.fromkeys(typed.replace(",", " ").upper().replace("COG:", "cog:").split()):
        body = _body(text)
        if body is None:
            unknown.append(text)
        else:
            found.append(body)
    if unknown:
        named = ", ".join(unknown[:MAX_NAMED_FAULTS])
        form.refuse(
            "listed", visit.text("These are no SIREN, SIRET or INSEE code: %(numbers)s", numbers=named)
        )
    elif not found:
        form.refuse("listed", visit.text("Name one body at least by its SIREN, SIRET or INSEE code."))
    return {"kind": "list", "beneficiaries": found} if found and not unknown else None


def _body(text: str) -> dict[str, Any] | None:
    """A body by its number; with its name, where the register has it. None for what is no such number."""
    if match := _WITH_SCHEME.fullmatch(text):
        scheme, value = match.groups()
    else:
        scheme = next((scheme for pattern, scheme in _SCHEMES if pattern.fullmatch(text)), "")
        value = text
    if not scheme:
        return None
    body: dict[str, Any] = {"identifiers": [{"scheme": scheme, "value": value}]}
    try:
        number = number_of(name_of(Identifier(scheme=scheme, value=value)))
    except ValueError:  # check digits
        return None
    if number is None:
        return None if scheme == "cog" else body
    known = bodies()[number]
    return {**body, "name": known.name, "type": known.kind}


def _typed(identifier: Identifier) -> str:
    if identifier.scheme in ("0002", "0009", "cog"):
        return identifier.value
    return f"{identifier.scheme}:{identifier.value}"
