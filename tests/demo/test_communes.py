"""The real communes and EPCI that the demonstration runs on."""

import csv
import gzip
import io
import json
import random
import tarfile
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from stdnum.fr import siren

from federation.demo.communes import REGIONS, beneficiaries
from federation.domain.territories.bodies import PACKAGE, VERSION, Body, bodies, edition, parse
from federation.domain.territories.make import SHIPPED, pack, read_package

PROJECT = Path(__file__).parents[2]
REFERENCE = PROJECT.parent / "shared" / "data" / "communes" / "beneficiaries-4-regions.csv"


def everybody() -> list[Body]:
    return list(chain.from_iterable(beneficiaries(region) for region in REGIONS.values()))


@pytest.mark.parametrize(("region", "communes"), [("27", 3685), ("53", 1202), ("24", 1754), ("11", 1266)])
def test_each_region_has_all_its_communes(region: str, communes: int) -> None:
    found = beneficiaries(region)
    assert Counter(body.kind for body in found)["commune"] == communes
    assert {body.region for body in found} == {region}
    assert beneficiaries(region) is found


def test_the_register_has_every_commune_and_epci_of_france() -> None:
    kinds = Counter(body.kind for body in bodies())
    assert kinds == {"commune": 34_969, "epci": 1_266}
    assert len({body.cog for body in bodies() if body.cog}) == 34_969
    numbers = [body.siren for body in bodies() if body.siren]
    assert len(numbers) == len(set(numbers)) == 34_969 + 1_266 - 94
    assert len(edition()) == 16


def test_every_epci_that_a_commune_names_is_there_with_the_population_of_its_communes() -> None:
    """About: the two numbers are of different years."""
    people: Counter[str] = Counter()
    for body in bodies():
        for number in (body.epci, body.ept):
            if number:
                people[str(number)] += body.population
    named = {body.siren: body.population for body in bodies() if body.kind == "epci"}
    assert set(people) == set(named)
    apart = [number for number, told in named.items() if abs(people[number or ""] - told) > told / 20]
    assert len(apart) < 30


def test_a_region_that_is_not_shipped_is_told_apart_from_an_empty_one() -> None:
    with pytest.raises(ValueError, match="region 94 is not in the demonstration data: 11, 24, 27, 53 are"):
        beneficiaries("94")


def test_97_communes_in_100_of_bourgogne_franche_comte_have_fewer_than_3500_inhabitants() -> None:
    communes = [body for body in beneficiaries("27") if body.kind == "commune"]
    assert sum(body.population < 3500 for body in communes) == 3578


def test_every_siren_is_valid_and_stands_once() -> None:
    numbers = [body.siren for body in everybody()]
    assert len(numbers) == len(set(numbers)) == 8222
    assert [number for number in numbers if not siren.is_valid(number or "")] == []


def test_communes_have_an_insee_code_and_epci_have_none() -> None:
    for body in everybody():
        if body.kind == "commune":
            assert body.cog is not None
            assert len(body.cog) == 5
            assert body.cog.startswith(body.departement)
        else:
            assert (body.cog, body.epci) == (None, None)
    codes = [body.cog for body in everybody() if body.cog]
    assert len(codes) == len(set(codes)) == 7907


def test_communes_point_to_their_epci_and_only_islands_have_none() -> None:
    shipped = {body.siren for body in everybody() if body.kind == "epci"}
    communes = [body for body in everybody() if body.kind == "commune"]
    alone = sorted(body.name for body in communes if body.epci is None)
    assert alone == ["Ouessant", "Île-de-Bréhat", "Île-de-Sein"]
    # Those that are missing have most of their communes in a neighbouring region.
    elsewhere = [body for body in communes if body.epci and body.epci not in shipped]
    assert 0 < len(elsewhere) < 40


def test_bodies_come_in_one_order_communes_first() -> None:
    for region in REGIONS.values():
        found = beneficiaries(region)
        assert list(found) == sorted(found, key=lambda body: (body.kind, body.cog or body.siren))


def test_the_bodies_are_those_of_the_shared_data() -> None:
    if not REFERENCE.exists():
        pytest.skip("the shared data are not beside the project: nothing to compare with")
    with REFERENCE.open(encoding="utf-8", newline="") as file:
        expected = {
            (
                row["siren"],
                row["cog"] or None,
                row["name"],
                int(row["population"]),
                row["departement"],
                row["region"],
                row["epci_siren"] or None,
                "commune" if row["kind"] == "commune" else "epci",
            )
            for row in csv.DictReader(file)
        }
    found = {
        (b.siren, b.cog, b.name, b.population, b.departement, b.region, b.epci, b.kind) for b in everybody()
    }
    assert found == expected


def test_the_shipped_file_is_small_and_is_what_the_script_writes() -> None:
    shipped = SHIPPED.read_bytes()
    assert len(shipped) < 800_000
    assert gzip.decompress(shipped) == gzip.decompress(pack(bodies()))
    assert shipped[4:8] == bytes(4), "a date in the header would make two runs differ"


def test_a_file_with_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="does not have the columns"):
        parse("siren\tname\n")
    with pytest.raises(ValueError, match="neither a commune nor an EPCI: region"):
        parse(parse_head() + "region\t217100767\t\tx\t1\t71\t27\t\t\n")


def test_insee_codes_of_corsica_and_overseas_are_read(tmp_path: Path) -> None:
    found = tuple(read_package(a_package(tmp_path, COMMUNES, EPCI), regions=("94", "04")))
    assert {(b.cog, b.departement, b.epci) for b in found if b.kind == "commune"} == {
        ("2A004", "2A", "242010056"),
        ("2B033", "2B", None),
        ("97411", "974", None),
        ("97502", "975", None),
    }
    assert [(b.siren, b.population, b.departement) for b in found if b.kind == "epci"] == [
        ("242010056", 12, "2A")
    ]
    assert set(parse(gzip.decompress(pack(found)).decode())) == set(found)


def test_the_order_of_the_source_changes_no_byte(tmp_path: Path) -> None:
    shuffled = random.Random(7)
    first = pack(read_package(a_package(tmp_path, COMMUNES, EPCI), regions=("94", "04")))
    for _ in range(5):
        communes = shuffled.sample(COMMUNES, len(COMMUNES))
        assert pack(read_package(a_package(tmp_path, communes, EPCI), regions=("94", "04"))) == first


def test_another_version_of_the_package_is_refused(tmp_path: Path) -> None:
    package = a_package(tmp_path, COMMUNES, EPCI, version="5.3.0")
    with pytest.raises(ValueError, match=r"is @etalab/decoupage-administratif 5\.3\.0, not"):
        list(read_package(package))


def parse_head() -> str:
    return gzip.decompress(pack(())).decode()


def a_commune(code: str, number: str | None, departement: str, region: str, **more: object) -> dict[str, Any]:
    commune = {
        "code": code,
        "nom": f"Commune {code}",
        "departement": departement,
        "region": region,
        "type": "commune-actuelle",
        "population": 12,
        **more,
    }
    return commune if number is None else {**commune, "siren": number}


COMMUNES = [
    a_commune("2A004", "212000046", "2A", "94"),
    a_commune("2B033", "212000335", "2B", "94"),
    a_commune("97411", "219740115", "974", "04"),
    a_commune("97502", None, "975", "04"),  # no SIREN
    a_commune("2A999", None, "2A", "94", type="commune-deleguee"),
    a_commune("71076", "217100767", "71", "27"),
]
EPCI = [
    {"code": "242010056", "nom": "CA d'Ajaccio", "populationMunicipale": 12, "membres": [{"code": "2A004"}]}
]


def a_package(place: Path, communes: object, epci: object, version: str = VERSION) -> Path:
    path = place / "package.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in {
            "package.json": {"name": PACKAGE, "version": version},
            "data/communes.json": communes,
            "data/epci.json": epci,
            "data/ept.json": [],
        }.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path
