"""Bodies found by what people type, in the register that ships with the program."""

from __future__ import annotations

import random
import re
import unicodedata

import pytest

from federation.domain.errors import Invalid
from federation.domain.territories.areas import region_of
from federation.domain.territories.finder import MAX_BODIES, BodyMatches, find_bodies, words_of
from federation.domain.territories.names import departement_name, region_name
from federation.domain.territories.public_bodies import FormerCode, location_codes, public_body

CHARACTERS = [*range(9, 127), *range(0xA0, 0x370), *range(0x1E00, 0x1F00), *range(0x2000, 0x2100), 0xFB01]
LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss"})
SHORT_FORMS = {"st": "saint", "ste": "sainte", "sts": "saints", "stes": "saintes"}


def ids(matches: BodyMatches) -> list[str]:
    return [match.body.id for match in matches.bodies]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Dijon", "cog:21231"),
        ("dijon", "cog:21231"),
        ("L'Haÿ-les-Roses", "cog:94038"),
        ("l hay les roses", "cog:94038"),
        ("oeting", "cog:57521"),
        ("Œting", "cog:57521"),
        ("st-denis 93", "cog:93066"),
        ("Saint-Denis (974)", "cog:97411"),
        ("Ste Foy 71", "cog:71415"),
        ("anne 74", "cog:74010"),
        ("Y", "cog:80829"),
        ("217100767", "cog:71076"),
        ("217 100 767", "cog:71076"),
        ("21710076700011", "cog:71076"),
        ("71076", "cog:71076"),
        ("2a004", "cog:2A004"),
        ("Ajaccio 2A", "cog:2A004"),
        ("dijon métropole", "0002:242100410"),
        ("côte d'or", "territory:21"),
        ("21", "territory:21"),
        ("Bourgogne-Franche-Comté", "territory:FR-BFC"),
        ("metropole de lyon", "0002:200046977"),
        ("Paris 12", "cog:75056"),
        ("97133", "cog:97701"),
    ],
)
def test_a_body_is_found_by_name_and_by_number(question: str, first: str) -> None:
    assert ids(find_bodies(question))[0] == first


def test_communes_of_one_name_come_with_departement_and_postcodes() -> None:
    matches = find_bodies("Saint-Denis")
    same = [match.body for match in matches.bodies if match.body.name == "Saint-Denis"]
    assert [(body.departement and body.departement.name, body.postcodes[0]) for body in same][:3] == [
        ("La Réunion", "97400"),
        ("Seine-Saint-Denis", "93200"),
        ("Aude", "11310"),
    ]
    assert matches.total > len(matches.bodies) == MAX_BODIES
    assert [match.body for match in matches.bodies[: len(same)]] == same


def test_a_postcode_finds_all_of_its_communes() -> None:
    matches = find_bodies("71100")
    by_postcode = [match.body.id for match in matches.bodies if match.by == "postcode"]
    assert "cog:71076" in by_postcode
    assert len(by_postcode) == 5
    assert [match.body.id for match in matches.bodies if match.by == "insee"] == ["cog:71100"]
    assert ids(find_bodies("Lux 71100")) == ["cog:71269"]
    assert ids(find_bodies("Dijon 71100")) == []


def test_a_part_of_a_commune_leads_to_the_commune_of_today() -> None:
    (match,) = find_bodies("annecy le vieux").bodies
    assert (match.body.id, match.body.part) == (
        "cog:74010",
        FormerCode("74011", "delegated", "Annecy-le-Vieux"),
    )
    (by_code,) = find_bodies("74011").bodies
    assert (by_code.by, by_code.body) == ("insee", match.body)
    assert public_body("cog:74011") == match.body
    assert public_body("cog:75112").id == "cog:75056"


@pytest.mark.parametrize("question", ["", " - ", "zzzz", "x" * 5_000, "00000", "217100768", "Dijon Lyon"])
def test_what_names_nothing_finds_nothing(question: str) -> None:
    assert find_bodies(question) == BodyMatches(total=0, bodies=())


def test_a_number_of_a_body_beyond_the_register_is_answered_as_unknown() -> None:
    (match,) = find_bodies("130 025 265").bodies
    assert (match.body.id, match.body.known, match.body.siren) == ("0002:130025265", False, "130025265")
    assert match.body.kind is None


def test_a_body_has_the_places_that_it_is_in() -> None:
    body = public_body("0002:217100767")
    assert (body.id, body.kind, body.name) == ("cog:71076", "commune", "Chalon-sur-Saône")
    assert body.departement is not None
    assert body.departement.name == "Saône-et-Loire"
    assert body.region is not None
    assert body.region.name == "Bourgogne-Franche-Comté"
    assert body.grouping is not None
    grouping = public_body(f"0002:{body.grouping.code}")
    assert grouping.member_communes is not None
    assert grouping.member_communes > 30
    assert location_codes(body) == (("71",), (body.grouping.code,))
    assert location_codes(public_body("territory:FR-BFC"))[0] == (
        "21",
        "25",
        "39",
        "58",
        "70",
        "71",
        "89",
        "90",
    )


def test_a_departement_is_one_body_under_each_of_its_codes() -> None:
    departement = public_body("territory:21")
    assert departement == public_body("territory:FR-21")
    assert departement.kind == "departement"
    assert public_body("territory:FR-69M").id == "0002:200046977"
    region = public_body("territory:FR-BFC")
    assert (region.kind, region.population and region.population > 2_500_000) == ("region", True)


@pytest.mark.parametrize(
    "text", ["cog", "cog:7107", "0002:217100768", "territory:FR", "territory:99", "territory:FR-6AE", "x:1"]
)
def test_what_is_no_identifier_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        public_body(text)


def test_every_place_of_the_register_has_a_name() -> None:
    for departement, region in region_of().items():
        assert departement_name(departement) != departement
        assert region_name(region) != region
    assert (departement_name("974"), region_name("04")) == ("La Réunion", "La Réunion")
    assert (departement_name("27"), region_name("27")) == ("Eure", "Bourgogne-Franche-Comté")


def test_words_are_those_of_the_decomposed_text_whatever_its_characters() -> None:
    chance = random.Random(24)
    for _ in range(2_000):
        text = "".join(chr(chance.choice(CHARACTERS)) for _ in range(chance.randrange(12)))
        decomposed = unicodedata.normalize("NFKD", text.casefold().translate(LIGATURES))
        plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
        words = [SHORT_FORMS.get(word, word) for word in re.findall("[0-9a-z]+", plain)]
        assert words_of(text) == words, ascii(text)
    assert words_of("Ste-Foy\nl’Œuvre À") == ["sainte", "foy", "l", "oeuvre", "a"]
