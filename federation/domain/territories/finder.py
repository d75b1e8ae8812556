"""Find a public body by what people type: a name, a postcode, an INSEE code, a SIREN or a SIRET.

1. A name is cut into words without accents, hyphens and apostrophes; ``st`` and ``ste`` are ``saint`` and
   ``sainte``. A body is found when each word of the question begins a word of its name.
2. Numbers in the question narrow it: a postcode, an INSEE code, or the number of a département, as in
   ``Saint-Denis 93``. Those alone find all bodies that have them.
3. First come bodies whose whole name was typed, then those whose name begins with it; of each the larger ones
   first, départements and régions last. Names of delegated communes and of arrondissements find the commune
   of today.

The index is made once, in a tenth of a second or so: ``prepare`` is for a thread beside the event loop.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from threading import Lock
from typing import Literal, NamedTuple

import msgspec

from federation.domain.errors import Invalid
from federation.domain.territories.areas import REGIONS, Area, area_of, region_of
from federation.domain.territories.bodies import bodies
from federation.domain.territories.identity import body_numbers, number_of
from federation.domain.territories.lookup import communes_of_postcode, part_of, parts, postcodes_of
from federation.domain.territories.public_bodies import (
    FormerCode,
    PublicBody,
    communes_of,
    public_body,
    registered_body,
    territory_body,
)

MAX_QUESTION_CHARACTERS = 200
"""Characters of a question, at most."""
MAX_WORDS = 12
"""Words of a question that are looked up; further ones are left out."""
MAX_BODIES = 50
"""Bodies of one answer, at most."""

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss"})
_SHORT_FORMS = {"st": "saint", "ste": "sainte", "sts": "saints", "stes": "saintes"}
_WORD = re.compile(r"[0-9a-z]+")
_DEPARTEMENT = re.compile(r"0[1-9]|[1-8][0-9]|9[0-5]|2[ab]|9[78][0-9]")
_CODE = re.compile(r"[0-9][0-9ab][0-9]{3}")
_AMONG_DIGITS = re.compile(r"(?<=[0-9])[\s.\u00a0\u202f]+(?=[0-9])")

_PREPARING = Lock()
_SECOND_CODE_OF_CORSICA = "FR-COR"

By = Literal["name", "postcode", "insee", "siren", "siret", "departement"]
_BY_LENGTH: dict[int, tuple[str, By]] = {9: ("0002", "siren"), 14: ("0009", "siret")}


class BodyMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A body, and how the question names it."""

    by: By
    body: PublicBody


class BodyMatches(msgspec.Struct, frozen=True, kw_only=True):
    """The bodies that a question names, the likeliest first."""

    total: int
    """Bodies found; more than are in the answer where it is cut."""
    bodies: tuple[BodyMatch, ...]


class _Name(NamedTuple):
    """A name in the index: of a body, a part of one, a département or a région."""

    text: str
    population: int
    departement: str
    number: int | None
    """The number of the body in the register."""
    part: str | None
    """INSEE code of the part that has the name."""
    area: Area | None


class _Index(NamedTuple):
    names: tuple[_Name, ...]
    words: tuple[str, ...]
    """Words of names in order, each as often as names have it."""
    named: tuple[int, ...]
    """The place in ``names`` of the name that has the word."""


def words_of(text: str) -> list[str]:
    """The words of a name or a question, as they are compared."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LIGATURES))
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return [_SHORT_FORMS.get(word, word) for word in _WORD.findall(plain)]


def prepare() -> None:
    """Read the register and make the index, if that has not been done; one thread does it."""
    with _PREPARING:
        communes_of_postcode("")
        postcodes_of("")
        communes_of("")
        body_numbers()
        _index()


def is_prepared() -> bool:
    """True once the index has been made."""
    return _index.cache_info().currsize > 0


@cache
def _index() -> _Index:
    names: list[_Name] = []
    for number, body in enumerate(bodies()):
        names.append(_name(body.name, body.population, body.departement, number))
    for part in parts().values():
        commune = number_of(f"cog:{part.code}") if part.name else None
        if commune is not None:
            names.append(_name(part.name, 0, bodies()[commune].departement, commune, part.code))
    for area in _territories():
        territory = territory_body(area)
        departement = territory.departement.code if territory.departement else ""
        names.append(_name(territory.name or "", territory.population or 0, departement, None, None, area))
    # In this order all answers are: few people ask for a département.
    names.sort(key=lambda name: (name.area is not None, -name.population, name.text, name.part or ""))
    entries = sorted((word, place) for place, name in enumerate(names) for word in set(name.text.split()))
    return _Index(tuple(names), tuple(word for word, _ in entries), tuple(place for _, place in entries))


def _territories() -> Iterator[Area]:
    """Every région and département, once."""
    for code in (*REGIONS, *region_of()):
        area = area_of(code)
        if area is not None and code != _SECOND_CODE_OF_CORSICA:
            yield area


def _name(
    text: str,
    population: int,
    departement: str,
    number: int | None,
    part: str | None = None,
    area: Area | None = None,
) -> _Name:
    return _Name(" ".join(words_of(text)), population, departement, number, part, area)


def find_bodies(question: str, limit: int = MAX_BODIES) -> BodyMatches:
    """The bodies that a question names, ``limit`` of them at most. Takes some milliseconds at most."""
    text = question[:MAX_QUESTION_CHARACTERS]
    if (matches := _of_number(text)) is not None:
        return matches
    words = words_of(text)[:MAX_WORDS]
    named, departements, codes = _split(words)
    if not named:
        return _of_codes(departements, codes, limit)
    matches = _of_names(named, departements, codes, limit)
    if not matches.total and departements:
        # "Paris 12" is the arrondissement, and not a Paris in the Aveyron.
        matches = _of_names([word for word in words if word.upper() not in codes], set(), codes, limit)
    return matches


def _of_names(words: list[str], departements: set[str], codes: set[str], limit: int) -> BodyMatches:
    """The bodies whose name has the words, in one pass over them: short words begin thousands of names."""
    index = _index()
    asked = " ".join(words)
    beginning = f"{asked} "
    allowed = {number for code in codes for number in _numbers_of_code(code)} if codes else None
    whole: dict[object, _Name] = {}
    begun: dict[object, _Name] = {}
    prefixed: dict[object, _Name] = {}
    others: dict[object, _Name] = {}
    for place in _places(index, words):
        name = index.names[place]
        if departements and name.departement not in departements:
            continue
        if allowed is not None and name.number not in allowed:
            continue
        if name.text == asked:
            found = whole
        elif name.text.startswith(beginning):
            found = begun
        elif name.text.startswith(asked):
            found = prefixed
        else:
            found = others
        found.setdefault(name.area if name.number is None else name.number, name)
    best = {**others, **prefixed, **begun, **whole}
    order = dict.fromkeys((*whole, *begun, *prefixed, *others))
    return BodyMatches(total=len(best), bodies=tuple(_match(best[body]) for body in list(order)[:limit]))


def _match(name: _Name) -> BodyMatch:
    if name.area is not None:
        return BodyMatch(by="name", body=territory_body(name.area))
    assert name.number is not None  # noqa: S101 - a name is of a body or of a territory
    body = registered_body(name.number)
    if name.part is not None and (part := part_of(name.part)):
        former = FormerCode(part.code, part.kind, part.name or None)
        body = msgspec.structs.replace(body, part=former)
    return BodyMatch(by="name", body=body)


def _places(index: _Index, words: list[str]) -> list[int]:
    """The names that have a word for each word of the question, the rarest looked up first."""
    ranges = []
    for word in dict.fromkeys(words):
        first = bisect_left(index.words, word)
        # (No word has a character after the last one of the alphabet.)
        ranges.append((first, bisect_left(index.words, word + "\x7f", lo=first)))
    ranges.sort(key=lambda bounds: bounds[1] - bounds[0])
    first, last = ranges[0]
    found = set(index.named[first:last])
    for first, last in ranges[1:]:
        if not found:
            break
        found.intersection_update(index.named[first:last])
    return sorted(found)


def _split(words: list[str]) -> tuple[list[str], set[str], set[str]]:
    """Words of the name; numbers of départements; postcodes and INSEE codes."""
    named: list[str] = []
    departements: set[str] = set()
    codes: set[str] = set()
    for word in words[:MAX_WORDS]:
        if _CODE.fullmatch(word):
            codes.add(word.upper())
        elif _DEPARTEMENT.fullmatch(word):
            departements.add(word.upper())
        else:
            named.append(word)
    return named, departements, codes


def _numbers_of_code(code: str) -> list[int]:
    numbers = [number_of(f"cog:{code}"), *(number_of(f"cog:{cog}") for cog in communes_of_postcode(code))]
    return [number for number in dict.fromkeys(numbers) if number is not None]


def _of_codes(departements: set[str], codes: set[str], limit: int) -> BodyMatches:
    """The bodies that numbers alone name: of a postcode and an INSEE code, or a département."""
    matches: list[BodyMatch] = []
    for code in sorted(codes):
        for number in _numbers_of_code(code):
            body = registered_body(number)
            former = part_of(code) if number == number_of(f"cog:{code}") else None
            if former is not None and body.insee != code:
                part = FormerCode(former.code, former.kind, former.name or None)
                body = msgspec.structs.replace(body, part=part)
            is_insee = body.insee == code or body.part is not None
            matches.append(BodyMatch(by="insee" if is_insee else "postcode", body=body))
    for code in sorted(departements):
        area = area_of(code)
        if area is not None and len(area.codes) == 1:
            matches.append(BodyMatch(by="departement", body=territory_body(area)))
    matches.sort(key=lambda match: -(match.body.population or 0))
    return BodyMatches(total=len(matches), bodies=tuple(matches[:limit]))


def _of_number(text: str) -> BodyMatches | None:
    """The body of a SIREN or SIRET, with or without spaces; None where the question is no such number."""
    digits = _AMONG_DIGITS.sub("", text.strip())
    if not (digits.isascii() and digits.isdigit() and len(digits) in _BY_LENGTH):
        return None
    scheme, by = _BY_LENGTH[len(digits)]
    try:
        body = public_body(f"{scheme}:{digits}")
    except Invalid:
        return BodyMatches(total=0, bodies=())
    return BodyMatches(total=1, bodies=(BodyMatch(by=by, body=body),))
