"""The reasons of an answer in words: why an offer is not open or unknown, and what a price needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from federation.domain.content.tariff import BodyKind
from federation.domain.messages import LANGUAGES, Language, Message
from federation.domain.offers.eligibility import UnmetCondition
from federation.domain.offers.quote import Unknown
from federation.domain.territories.areas import area_of
from federation.domain.territories.bodies import bodies
from federation.domain.territories.identity import body_numbers
from federation.domain.territories.names import departement_name, region_name

MAX_NAMED = 10
"""Kinds, territories or offers that a sentence names, at most."""
KIND_NAMES: dict[BodyKind, dict[Language, str]] = {
    "commune": {"en": "communes", "fr": "communes"},
    "epci": {"en": "groupings of communes (EPCI)", "fr": "intercommunalités (EPCI)"},
    "departement": {"en": "départements", "fr": "départements"},
    "region": {"en": "régions", "fr": "régions"},
    "ccas": {"en": "social action centres (CCAS)", "fr": "centres communaux d'action sociale (CCAS)"},
    "school": {"en": "schools", "fr": "établissements scolaires"},
    "syndicat": {"en": "joint boards (syndicats)", "fr": "syndicats"},
    "other": {"en": "other public bodies", "fr": "autres organismes publics"},
}
"""Kinds of bodies, several of each."""
NEEDED: dict[Unknown, Message] = {
    "population": Message("unknown: needs the number of inhabitants"),
    "agents": Message("unknown: needs the number of agents"),
    "users": Message("unknown: needs the number of users"),
    "gigabytes": Message("unknown: needs the number of gigabytes"),
    "member_communes": Message("unknown: needs the number of member communes"),
    "price": Message("unknown: the operator tells the price on request"),
    "part": Message("unknown: the tariff has no part for this body"),
}
"""What a price that is not known needs."""


def reason_text(reason: UnmetCondition) -> dict[str, str]:
    """A condition that is not met, or not known to be, as a sentence in each language."""
    return {language: _reason(reason, language).to_text(language) for language in LANGUAGES}


def needed_text(unknown: Unknown) -> dict[str, str]:
    """What a price needs, in each language."""
    return {language: NEEDED[unknown].to_text(language) for language in LANGUAGES}


def _reason(reason: UnmetCondition, language: Language) -> Message:
    is_unknown = reason.state == "unknown"
    match reason.condition:
        case "kind":
            names = [KIND_NAMES[kind][language] for kind in KIND_NAMES if kind in reason.allowed]
            return Message("for {kinds} only", {"kinds": _listed(names, language)})
        case "territory":
            names = [territory_name(code) for code in reason.allowed]
            values = {"territories": _listed(names, language)}
            if is_unknown:
                return Message(
                    "for bodies of {territories} only, and it is not known whether this one is",
                    values,
                )
            return Message("for bodies of {territories} only", values)
        case "population":
            bounds = {"bounds": _bounds(reason)}
            if is_unknown:
                return Message("for bodies with {bounds} inhabitants, and their number is not known", bounds)
            return Message("for bodies with {bounds} inhabitants", bounds)
        case "agents":
            bounds = {"bounds": _bounds(reason)}
            if is_unknown:
                return Message("for bodies with {bounds} agents, and their number is not known", bounds)
            return Message("for bodies with {bounds} agents", bounds)
        case "valid_from":
            return Message("open from {day} on", {"day": _day(reason.on, language)})
        case "valid_until":
            return Message("it could be joined until {day}", {"day": _day(reason.on, language)})
        case "requires":
            if reason.allowed:
                offers = _listed(list(reason.allowed), language)
                return Message("one must have joined {offers} before", {"offers": offers})
            return Message("something else is required before: see what the offer says")


def _bounds(reason: UnmetCondition) -> Message:
    if reason.from_ is None:
        return Message("at most {to}", {"to": reason.to})
    if reason.to is None:
        return Message("at least {from_}", {"from_": reason.from_})
    return Message("{from_} to {to}", {"from_": reason.from_, "to": reason.to})


def territory_name(code: str) -> str:
    """The name of a territory for people, with its code where it has one; the code of one not known here."""
    if code == "FR":
        return "France"
    area = area_of(code)
    if area is None:
        return code
    if area.kind == "grouping":
        number = body_numbers().get(f"0002:{area.codes[0]}")
        return bodies()[number].name if number is not None else code
    if area.kind == "region":
        return region_name(area.codes[0])
    names = [departement_name(insee) for insee in area.codes]
    return ", ".join(f"{name} ({insee})" for name, insee in zip(names, area.codes, strict=True))


def _listed(names: Iterable[str], language: Language) -> str:
    listed = list(names)
    if len(listed) > MAX_NAMED:
        number = len(listed) - MAX_NAMED
        more = Message("{number} more", {"number": number}) if number > 1 else Message("another one")
        listed = [*listed[:MAX_NAMED], more.to_text(language)]
    if len(listed) < 2:
        return "".join(listed)
    joined = " et " if language == "fr" else " and "
    return joined.join((", ".join(listed[:-1]), listed[-1]))


def _day(day: str | None, language: Language) -> str:
    read = date.fromisoformat(day or "1970-01-01")
    return f"{read:%d/%m/%Y}" if language == "fr" else f"{read.day} {read:%B %Y}"
