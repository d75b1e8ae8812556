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
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from itertools import islice
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
_LETTERS = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")
_DEPARTEMENT = re.compile(r"0[1-9]|[1-8][0-9]|9[0-5]|2[ab]|9[78][0-9]")
_CODE = re.compile(r"[0-9][0-9ab][0-9]{3}")
_AMONG_DIGITS = re.compile(r"(?<=[0-9])[\s.\u00a0\u202f]+(?=[0-9])")

_NAMES_AT_ONCE = 1_000
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
    """Words of names, each once, in order."""
    starts: array[int]
    """Where the places of each word begin in ``places``; the last one is their end."""
    places: array[int]
    """Places in ``names`` of the names that have a word, word by word."""


def words_of(text: str) -> list[str]:
    """The words of a name or a question, as they are compared."""
    return [_SHORT_FORMS.get(word, word) for word in _plain(text).split()]


def _plain(text: str) -> str:
    """A text in small letters without accents, with spaces for all that is in no word; lines stay lines."""
    letters = {ord(character): _plain_letter(character) for character in set(text)}
    return text.translate({**letters, ord("\n"): "\n"})


def _plain_letter(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", character.casefold().translate(_LIGATURES))
    letters = (letter for letter in decomposed if not unicodedata.combining(letter))
    return "".join(letter if letter in _LETTERS else " " for letter in letters)


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
    # Nothing here is a single long call, such as one sort of all names: others have their turn in between.
    by_population: dict[int, list[_Name]] = {}
    for name in _names(_named_bodies()):
        by_population.setdefault(name.population, []).append(name)
    names: list[_Name] = []
    for population in sorted(by_population, reverse=True):
        names += sorted(by_population[population], key=_within_population)
    # In this order all answers are: few people ask for a département.
    names += sorted(_names(_named_territories()), key=lambda name: (-name.population, name.text))
    by_word: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        for word in set(name.text.split()):
            by_word.setdefault(word, []).append(place)
    words = tuple(sorted(by_word))
    starts, places = array("i", [0]), array("i")
    for word in words:
        places.extend(by_word[word])
        starts.append(len(places))
    return _Index(tuple(names), words, starts, places)


def _within_population(name: _Name) -> tuple[str, str]:
    return name.text, name.part or ""


def _named_bodies() -> Iterator[_Name]:
    """Every body and every part of one, with its name as it is written."""
    register = bodies()
    for number, body in enumerate(register):
        yield _Name(body.name, body.population, body.departement, number, None, None)
    for part in parts().values():
        commune = number_of(f"cog:{part.code}") if part.name else None
        if commune is not None:
            yield _Name(part.name, 0, register[commune].departement, commune, part.code, None)


def _named_territories() -> Iterator[_Name]:
    for area in _territories():
        territory = territory_body(area)
        departement = territory.departement.code if territory.departement else ""
        yield _Name(territory.name or "", territory.population or 0, departement, None, None, area)


def _names(written: Iterator[_Name]) -> Iterator[_Name]:
    """The same with the words of their names. Letters are replaced in many names at once: one by one it takes
    four times as long."""
    while several := list(islice(written, _NAMES_AT_ONCE)):
        lines = _plain("\n".join([name.text for name in several])).split("\n")
        for name, line in zip(several, lines, strict=True):
            words = [_SHORT_FORMS.get(word, word) for word in line.split()]
            yield _Name(" ".join(words), *name[1:])


def _territories() -> Iterator[Area]:
    """Every région and département, once."""
    for code in (*REGIONS, *region_of()):
        area = area_of(code)
        if area is not None and code != _SECOND_CODE_OF_CORSICA:
            yield area


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
        last = bisect_left(index.words, word + "\x7f", lo=first)
        ranges.append((index.starts[first], index.starts[last]))
    ranges.sort(key=lambda bounds: bounds[1] - bounds[0])
    first, last = ranges[0]
    found = set(index.places[first:last])
    for first, last in ranges[1:]:
        if not found:
            break
        found.intersection_update(index.places[first:last])
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
