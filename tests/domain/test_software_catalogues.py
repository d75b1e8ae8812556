"""Catalogues of others: the SILL in three forms, the Comptoir du Libre, open-catalog-api, lists of forges."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid, Unreachable
from federation.domain.formats.comptoir import read_comptoir
from federation.domain.formats.open_catalog import next_page, read_open_catalog
from federation.domain.formats.repository_list import (
    MAX_REPOSITORIES,
    ListedRepository,
    raw_url,
    read_repository_list,
)
from federation.domain.formats.sill import read_sill
from federation.domain.formats.software_catalogues import read_catalogue
from federation.domain.formats.solution_items import MAX_ENTRIES, comptoir_url, wikidata_url
from federation.domain.sources.reading import Item, Reading
from federation.node.catalogue_pages import read_pages, read_repositories

SILL = Path(__file__).parents[3] / "shared" / "data" / "sill" / "etalab-sill-contents-sill.json"
PUBLICCODE = Path(__file__).parents[3] / "shared" / "data" / "publiccode"
needs_data = pytest.mark.skipif(not SILL.exists(), reason="the shared catalogues are not beside the project")
PERSON = {"@type": "Person", "name": "Ada Example", "url": "https://example.org/ada"}


def entries(reading: Reading) -> list[Item]:
    shape: Any = Draft[Solution]
    for entry in reading.items:
        check_draft(entry.members, shape)
    return list(reading.items)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@needs_data
def test_all_240_entries_of_the_sill_of_2022_are_read_and_the_report_says_what_was_interpreted() -> None:
    reading = read_sill(SILL.read_bytes())
    found = entries(reading)
    assert (len(found), reading.faults, reading.is_complete) == (240, (), True)
    notes = Counter(note for entry in found for note in entry.defaulted if not note.startswith("licence: '"))
    assert notes == {
        "kind: the SILL names none, taken as software": 240,
        "status: the SILL names none, taken as stable, since it is in use": 240,
        "status: the SILL recommends it no longer": 12,
        "themes: they were made of the categories of the SILL": 223,
        "themes: none is named, taken as other": 17,
        "licence: none is named, taken as unknown": 4,
    }
    licences = [note for entry in found for note in entry.defaulted if note.startswith("licence: '")]
    assert len(licences) == 20
    assert sum("taken as unknown" in note for note in licences) == 3
    assert sum(any("comptoir-du-libre" in uri for uri in entry.members["same_as"]) for entry in found) == 227
    first = found[0]
    assert (first.key, first.identity, first.place) == ("sill-1", "sill:1", "[0]")
    assert first.members == {
        "content": {
            "name": "7zip",
            "kind": "software",
            "status": "stable",
            "summary": {
                "fr": "Logiciel facilitant l'archivage des données",
                "en": "Open-source file archiver and extractor",
            },
            "description": {"fr": "Compression de fichier"},
            "licence": "LGPL-2.0-only",
            "themes": ["other"],
            "repository": "https://sourceforge.net/projects/sevenzip/files/7-Zip/",
            "homepage": "https://www.7-zip.org/",
        },
        "same_as": [
            "https://code.gouv.fr/sill/detail?name=7zip",
            "https://comptoir-du-libre.org/fr/softwares/72",
        ],
    }  # fmt: skip
    assert read_sill(SILL.read_bytes()) == reading


V1 = {
    "id": 8, "name": "Exemple", "description": "Un texte", "license": "MIT", "updateTime": 1_700_000_000_000,
    "categories": ["Bases de données relationnelles"], "externalId": None,
    "softwareExternalData": {
        "externalId": "Q4", "sourceSlug": "wikidata", "sourceUrl": "https://git.example.org/o/r.git",
        "websiteUrl": "https://example.org", "documentationUrl": "https://example.org/docs",
        "developers": [PERSON],
    },
    "comptoirDuLibreSoftware": {"id": 12, "users": [PERSON]}, "users": [{"organization": "x", **PERSON}],
    "latestVersion": {"semVer": "1.10", "publicationTime": 1_700_000_000_000},
}  # fmt: skip
V2 = {
    "id": 7, "name": {"fr": "GLPI", "en": "glpi"}, "description": {"fr": "Parc", "en": "Assets"},
    "license": "GPL-3.0-or-later", "url": "https://glpi-project.org",
    "softwareHelp": "https://help.example.org",
    "codeRepositoryUrl": "https://github.com/glpi-project/glpi", "externalId": "Q1466580",
    "sourceSlug": "wikidata",
    "latestVersion": {"version": "10.0.18", "releaseDate": "2025-02-01"}, "authors": [PERSON],
    "updateTime": "2026-01-01T00:00:00.000Z", "applicationCategories": ["Outil collaboratif"],
    "dereferencing": {"time": "2026-01-01T00:00:00.000Z"}, "keywords": ["x"],
    "identifiers": [
        {"@type": "PropertyValue", "url": "https://comptoir-du-libre.org/fr/softwares/27",
         "subjectOf": {"additionalType": "ComptoirDuLibre"}},
        {"@type": "PropertyValue", "url": "https://orcid.org/1", "subjectOf": {"additionalType": "Orcid"}},
    ],
}  # fmt: skip


def test_both_versions_of_the_api_of_the_sill_are_read_without_its_people() -> None:
    reading = read_sill(as_json([V1, V2]))
    first, second = entries(reading)
    assert "Ada" not in str(reading)
    assert first.members["content"] == {
        "name": "Exemple", "kind": "software", "status": "stable", "summary": {"fr": "Un texte"},
        "licence": "MIT",
        "themes": ["infrastructure"], "repository": "https://git.example.org/o/r.git",
        "homepage": "https://example.org", "documentation": "https://example.org/docs",
        "releases": [{"version": "1.10", "released_at": "2023-11-14"}],
    }  # fmt: skip
    assert first.changed_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert first.members["same_as"] == [
        "https://code.gouv.fr/sill/detail?name=Exemple",
        "https://www.wikidata.org/entity/Q4",
        "https://comptoir-du-libre.org/fr/softwares/12",
    ]
    assert second.members["content"]["summary"] == {"fr": "Parc", "en": "Assets"}
    assert second.members["content"]["releases"] == [{"version": "10.0.18", "released_at": "2025-02-01"}]
    assert second.members["same_as"][1:] == [
        "https://www.wikidata.org/entity/Q1466580",
        "https://comptoir-du-libre.org/fr/softwares/27",
    ]
    assert "status: the SILL recommends it no longer" in second.defaulted


def test_one_bad_entry_is_a_fault_and_the_others_are_read() -> None:
    reading = read_sill(
        as_json([V1, 3, {"id": 9}, {"id": "x", "name": "A"}, V1, {**V2, "license": {"a": []}}])
    )
    assert [entry.key for entry in entries(reading)] == ["sill-8", "sill-7"]
    assert [(fault.place, fault.member) for fault in reading.faults] == [
        ("[1]", None), ("[2]", "/name"), ("[3]", "/id"), ("[4]", None),
    ]  # fmt: skip
    assert reading.faults[3].reason == "the source has it twice; the first entry counts"


SOFTWARE = {
    "id": 461, "created": "2020-01-01T00:00:00+00:00", "modified": "2024-01-01T00:00:00+00:00",
    "url": "https://comptoir-du-libre.org/fr/softwares/461", "name": "GLPI", "licence": "GPL v2",
    "keywords": ["Gestion d'actif"],
    "external_resources": {
        "website": "https://glpi-project.org", "repository": "https://github.com/glpi-project/glpi",
        "wikidata": {"id": "Q1466580", "url": "", "data": ""}, "wikipedia": [], "cnll": [], "framalibre": [],
        "sill": {"id": 64, "url": "https://code.gouv.fr/sill/detail?name=GLPI", "i18n_url": {}},
    },
    "providers": [PERSON], "users": [PERSON],
}  # fmt: skip


def test_the_export_of_the_comptoir_du_libre_is_read_without_its_people() -> None:
    reading = read_comptoir(
        as_json({"date_of_export": "x", "number_of_software": 1, "softwares": [SOFTWARE]})
    )
    (entry,) = entries(reading)
    assert "Ada" not in str(reading)
    assert (entry.key, entry.identity) == ("comptoir-461", "comptoir:461")
    assert entry.members["same_as"] == [
        "https://comptoir-du-libre.org/fr/softwares/461",
        "https://www.wikidata.org/entity/Q1466580",
        "https://code.gouv.fr/sill/detail?name=GLPI",
    ]
    assert entry.members["content"]["themes"] == ["it-asset-management"]
    assert entry.changed_at == datetime(2024, 1, 1, tzinfo=UTC)
    assert reading.is_complete


def test_an_export_that_was_cut_is_not_complete_and_one_without_identifiers_is_read() -> None:
    bare = {**SOFTWARE, "external_resources": {"wikidata": [], "sill": []}}
    reading = read_comptoir(as_json({"number_of_software": 2, "softwares": [bare]}))
    (entry,) = entries(reading)
    assert entry.members["same_as"] == ["https://comptoir-du-libre.org/fr/softwares/461"]
    assert not reading.is_complete


PUBLICCODE_YML = """
publiccodeYmlVersion: "0.4"
name: Medusa {n}
url: https://github.com/example/medusa{n}
softwareType: standalone/web
developmentStatus: stable
categories: [office]
legal: {{license: AGPL-3.0-or-later}}
description: {{en: {{shortDescription: A short one}}}}
"""


def software(n: int, **members: Any) -> dict[str, Any]:
    return {
        "id": f"c353756e-8597-4e46-a99b-7da2e14160{n:02}", "url": f"https://github.com/example/medusa{n}",
        "publiccodeYml": PUBLICCODE_YML.format(n=n), "active": True, "vitality": None, "aliases": [],
        "createdAt": "2022-06-07T14:56:23Z", "updatedAt": "2024-06-07T14:56:23.123456Z", **members,
    }  # fmt: skip


def page(*data: Any, following: str | None = None) -> bytes:
    return as_json({"data": data, "links": {"prev": None, "next": following}})


def test_a_page_of_an_open_catalogue_is_read() -> None:
    found = read_open_catalog(page(software(1), software(2), following="?page[after]=WyIy%3D&page[size]=2"))
    first, second = entries(found.reading)
    assert (first.key, first.place) == (
        "github.com~example~medusa1",
        "data[0] (c353756e-8597-4e46-a99b-7da2e1416001)",
    )
    assert first.changed_at == second.changed_at == datetime(2024, 6, 7, 14, 56, 23, 123456, tzinfo=UTC)
    assert not found.reading.is_complete
    assert found.following is not None
    url = "https://api.example.org/v1/software?page[size]=2"
    assert (
        next_page(url, found.following)
        == "https://api.example.org/v1/software?page%5Bsize%5D=2&page%5Bafter%5D=WyIy%3D"
    )
    assert read_open_catalog(page(software(1))).following is None
    assert read_open_catalog(page(software(1))).reading.is_complete


@pytest.mark.parametrize(
    "following",
    ["https://evil.example.org/?page[after]=x", "//evil.example.org/?page[after]=x", "x=", "WyIy"],
)
def test_the_next_page_is_at_the_address_of_the_list(following: str) -> None:
    found = read_open_catalog(page(following=following))
    assert found.following is not None
    url = next_page("https://api.example.org/v1/software", found.following)
    assert url is not None
    assert url.startswith("https://api.example.org/v1/software?")


def test_what_a_catalogue_says_is_inactive_or_broken_is_a_fault() -> None:
    reading = read_open_catalog(
        page(
            software(1, active=False),
            software(2, publiccodeYml="{"),
            software(3),
            software(4, publiccodeYml=""),
        )
    ).reading
    assert [entry.key for entry in entries(reading)] == ["github.com~example~medusa3"]
    assert [fault.member for fault in reading.faults] == ["/active", None, "/publiccodeYml"]


async def test_500_solutions_of_a_catalogue_are_read_page_by_page() -> None:
    pages = {
        f"https://api.example.org/v1/software{f'?page%5Bafter%5D={n}' if n else ''}": page(
            *(software(n * 25 + m) for m in range(25)), following=f"?page[after]={n + 1}" if n < 19 else None
        )
        for n in range(20)
    }
    first, *_ = pages
    reading = await read_pages(pages[first], first, lambda url, _: answer_of(pages, url))
    assert (len(entries(reading)), reading.faults, reading.is_complete) == (500, (), True)


async def answer_of(pages: dict[str, bytes], url: str) -> bytes:
    if url not in pages:
        raise Unreachable("no answer")
    return pages[url]


async def test_pages_that_end_early_or_never_are_not_complete() -> None:
    url = "https://api.example.org/v1/software"
    for pages in ({}, {f"{url}?page%5Bafter%5D=1": page(software(2), following="?page[after]=1")}):
        reading = await read_pages(
            page(software(1), following="?page[after]=1"),
            url,
            lambda at, _, pages=pages: answer_of(pages, at),  # type: ignore[misc]
        )
        assert not reading.is_complete
        assert len(reading.faults) == 1
        assert len(reading.items) == 1 + len(pages)


LISTS: list[bytes] = [
    b"# ours\nhttps://github.com/A/B\n\nhttps://gitlab.example.org/g/p.git # second\n",
    b"- https://github.com/A/B\n- git@gitlab.example.org:g/p.git\n",
    b"repositories:\n  - url: https://github.com/A/B\n  - {url: https://gitlab.example.org/g/p}\n",
    as_json(["https://github.com/A/B", "https://gitlab.example.org/g/p"]),
    as_json([{"html_url": "https://github.com/A/B"}, {"web_url": "https://gitlab.example.org/g/p"}]),
]  # fmt: skip


@pytest.mark.parametrize("raw", LISTS)
def test_a_list_of_repositories_has_any_of_these_forms(raw: bytes) -> None:
    listed = read_repository_list(raw)
    assert listed.faults == ()
    assert [entry.file for entry in listed.repositories] == [
        "https://raw.githubusercontent.com/A/B/HEAD/publiccode.yml",
        "https://gitlab.example.org/g/p/-/raw/HEAD/publiccode.yml",
    ]


def test_the_projects_of_a_group_have_their_branch_and_archived_ones_are_faults() -> None:
    projects = [
        {"web_url": f"https://gitlab.example.org/g/p{n}", "default_branch": "main", "archived": n == 3}
        for n in range(20)
    ]
    listed = read_repository_list(as_json(projects))
    assert len(listed.repositories) == 19
    assert listed.repositories[0] == ListedRepository(
        "https://gitlab.example.org/g/p0/-/raw/main/publiccode.yml", "https://gitlab.example.org/g/p0", "[0]"
    )
    assert [(fault.place, fault.reason) for fault in listed.faults] == [("[3]", "the repository is archived")]


def test_an_address_of_a_file_stays_as_it_is() -> None:
    raw = b"https://git.example.org/a/b/-/raw/main/publiccode.yml\nhttps://git.example.org/x/catala_publiccode.yaml?a=b\n"
    assert [entry.file for entry in read_repository_list(raw).repositories] == raw.decode().split()


@pytest.mark.parametrize(
    ("repository", "branch", "url"),
    [
        ("https://github.com/A/B.git", None, "https://raw.githubusercontent.com/A/B/HEAD/publiccode.yml"),
        ("https://codeberg.org/a/b", "main", "https://codeberg.org/a/b/raw/main/publiccode.yml"),
        ("https://git.example.org/g/s/p", "a b", "https://git.example.org/g/s/p/-/raw/HEAD/publiccode.yml"),
    ],
)
def test_a_forge_serves_the_file_at_its_own_address(repository: str, branch: str | None, url: str) -> None:
    assert raw_url(repository, branch) == url


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"{", b"- ", b"\xff\xfe", b"- [a]\n", b"services: {}\n"])
def test_what_is_no_list_is_refused_or_all_of_it_is_at_fault(raw: bytes) -> None:
    try:
        assert read_repository_list(raw).repositories == ()
    except Invalid:
        return


def test_a_list_has_a_bound_and_an_entry_that_is_there_twice_is_a_fault() -> None:
    urls = [f"https://github.com/a/b{n}" for n in range(MAX_REPOSITORIES + 1)]
    with pytest.raises(Invalid):
        read_repository_list(as_json(urls))
    listed = read_repository_list(as_json([*urls[:2], urls[0]]))
    assert (len(listed.repositories), len(listed.faults)) == (2, 1)


@needs_data
async def test_a_list_of_20_real_files_is_read_with_one_request_each() -> None:
    files = sorted((PUBLICCODE / "2024-09").glob("*.yml"))[:20]
    pages = {
        f"https://gitlab.example.org/g/p{n}/-/raw/main/publiccode.yml": file.read_bytes()
        for n, file in enumerate(files)
    }
    projects = [
        {"web_url": f"https://gitlab.example.org/g/p{n}", "default_branch": "main"}
        for n in range(len(files) + 1)
    ]
    asked: list[str] = []

    async def fetch(url: str, max_bytes: int) -> bytes:
        asked.append(url)
        return await answer_of(pages, url)

    reading = await read_repositories(as_json(projects), fetch)
    assert len(asked) == len(set(asked)) == 21
    twice = "the source has it twice; the first entry counts"
    assert [fault.reason for fault in reading.faults] == ["no answer", twice]
    assert len(entries(reading)) == 19
    assert not reading.is_complete


@pytest.mark.parametrize(
    ("raw", "reader"),
    [
        (as_json([V1]), read_sill),
        (as_json({"softwares": [SOFTWARE]}), read_comptoir),
        (page(software(1)), lambda raw: read_open_catalog(raw).reading),
    ],
)
def test_the_form_of_a_catalogue_shows_in_the_file(raw: bytes, reader: Callable[[bytes], Reading]) -> None:
    assert read_catalogue(raw).reading == reader(raw)
    assert read_catalogue(b"\xef\xbb\xbf\n" + raw).reading.items


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"x", b"{}", b'{"data": 3}', b'{"softwares": {}}', b"[" * 40, b'{"data":[' + b"[" * 40, b"[1",
        b'{"a":1}', as_json([0] * (MAX_ENTRIES + 1)),
    ],
)  # fmt: skip
def test_what_is_no_catalogue_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_catalogue(raw)


WRONG_NUMBERS: tuple[Any, ...] = (None, "", "Q", "Q0", True, [], "Q1/../x", "0", -1, "1" * 20)


def test_addresses_of_entries_are_made_of_sound_numbers_alone() -> None:
    assert wikidata_url("q42") == "https://www.wikidata.org/entity/Q42"
    assert comptoir_url(7) == comptoir_url(" 7 ") == "https://comptoir-du-libre.org/fr/softwares/7"
    for wrong in WRONG_NUMBERS:
        assert wikidata_url(wrong) is None
        assert comptoir_url(wrong) is None
