"""publiccode.yml of others: files of French administrations, the examples of the standard, hostile ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid
from federation.domain.formats.licences import read_licence
from federation.domain.formats.publiccode import read_publiccode
from federation.domain.formats.publiccode_packages import package_purl
from federation.domain.formats.solution_items import repository_identity
from federation.domain.formats.yaml_reading import MAX_YAML_BYTES, MAX_YAML_DEPTH, read_yaml
from federation.domain.sources.reading import Item

DATA = Path(__file__).parents[3] / "shared" / "data" / "publiccode"
needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="the shared publiccode files are not beside the project"
)
MINIMAL = """
publiccodeYmlVersion: "0.4"
name: Medusa
url: https://github.com/example/medusa
softwareType: standalone/web
developmentStatus: stable
categories: [office]
legal: {license: AGPL-3.0-or-later}
description: {en: {shortDescription: A short one}}
"""


def item(text: str | bytes, **options: Any) -> Item:
    raw = text if isinstance(text, bytes) else text.encode()
    (found,) = read_publiccode(raw, **options).items
    return found


def content(text: str | bytes) -> dict[str, Any]:
    members: dict[str, Any] = item(text).members["content"]
    return members


def changed(old: str, new: str) -> str:
    assert old in MINIMAL
    return MINIMAL.replace(old, new)


def refused(text: str | bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        item(text)
    return caught.value


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((DATA / folder).glob("*.yml"))]


@needs_data
def test_all_43_files_of_french_administrations_are_read_and_the_report_says_what_they_lack() -> None:
    notes: Counter[str] = Counter()
    keys: Counter[str] = Counter()
    shape: Any = Draft[Solution]
    paths = files("2023-12", "2024-09")
    for path in paths:
        found = item(path.read_bytes(), place=path.name)
        check_draft(found.members, shape)
        assert "example.org" not in str(found.members).replace("packages.example.org", "")
        assert "Personne" not in str(found)
        assert (found.type, found.place) == ("solutions", path.name)
        keys[found.key] += 1
        notes.update(found.defaulted)
    assert len(paths) == 43
    assert notes == {
        "status: none is named, taken as beta": 38,
        "themes: none is named, taken as other": 38,
        "kind: no softwareType is given, taken as software": 36,
        "licence: none is named, taken as unknown": 7,
        "kind: the softwareType is not one of the standard, taken as software": 1,
    }
    assert keys["github.com~betagouv~recommandations-collaboratives"] == 2  # two files of one repository
    assert len(keys) == 23


@needs_data
def test_what_a_file_says_is_taken_over() -> None:
    (path,) = (DATA / "2024-09").glob("esup_pod*")
    found = item(path.read_bytes())
    members = found.members["content"]
    assert found.defaulted == ()
    assert found.key == "github.com~esupportail~esup-pod"
    assert {name: value for name, value in members.items() if name != "description"} == {
        "name": "Esup-Pod",
        "repository": "https://github.com/EsupPortail/Esup-Pod",
        "kind": "software",
        "status": "stable",
        "licence": "LGPL-3.0-or-later",
        "themes": ["video-editing", "communications", "video-conferencing"],
        "summary": {"fr": "Plateforme de gestion de fichier vidéo"},
        "homepage": "https://pod.esup-portail.org/",
        "documentation": "https://www.esup-portail.org/wiki/display/ES/Esup-Pod",
        "steward": "Esup-Portail",
        "maintenance": "community",
        "releases": [{"version": "3.5.2", "released_at": "2024-03-28"}],
    }
    assert members["description"]["fr"].startswith("Créé en 2014, le projet Pod")


@needs_data
def test_the_examples_of_the_standard_are_read_without_the_persons_in_them() -> None:
    found = [item(path.read_bytes()) for path in files("standard")]
    assert len(found) == 4
    for example in found:
        for person in ("Rossi", "bianchi", "Fornitore", "Chicago", "+3923113215112"):
            assert person not in str(example)
    assert {example.members["content"].get("steward") for example in found} == {None, "Roma Capitale"}
    assert {note for example in found for note in example.defaulted} == {
        "themes: none is named, taken as other"
    }


@needs_data
def test_the_same_file_gives_the_same_item_and_another_one_another_key() -> None:
    first, *others = files("2024-09")
    assert item(first.read_bytes()) == item(first.read_bytes())
    assert item(first.read_bytes()).key not in {item(path.read_bytes()).key for path in others}


def test_a_file_that_lacks_nothing_has_no_notes() -> None:
    assert item(MINIMAL).defaulted == ()
    assert content(MINIMAL)["licence"] == "AGPL-3.0-or-later"


@pytest.mark.parametrize("version", ["0", "0.2", "0.2.2", "0.3", "0.4.0", "0.5", "0.6", "0.7", "0.7.0"])
def test_all_versions_are_read(version: str) -> None:
    assert item(changed('"0.4"', f'"{version}"')).defaulted == ()


def test_a_version_of_tomorrow_is_read_and_reported() -> None:
    (note,) = item(changed('"0.4"', '"1"')).defaulted
    assert note == "publiccodeYmlVersion: it is not one that is known here"


def test_keys_of_0_1_are_found_with_their_hyphens() -> None:
    old = changed("publiccodeYmlVersion", "publiccode-yaml-version").replace(
        "developmentStatus", "development-status"
    )
    found = item(old + "landing-url: https://example.org/\n")
    assert found.defaulted == ()
    assert found.members["content"]["homepage"] == "https://example.org/"


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("agpl-3.0-or-later", "AGPL-3.0-or-later"), ("eupl-1.2", "EUPL-1.2"), ("MIT", "MIT"),
        ("cecill-2.1", "CECILL-2.1"), ("GPLv3+", "GPL-3.0-or-later"), ("GNU AGPL v3", "AGPL-3.0"),
        ("mit OR apache-2.0", "MIT OR Apache-2.0"), ("MIT, Apache-2.0", "MIT OR Apache-2.0"),
        ("other", "LicenseRef-unknown"), ("", "LicenseRef-unknown"), ("a" * 400, "LicenseRef-unknown"),
        ("(" * 250, "LicenseRef-unknown"), (", ".join(["MIT"] * 50), "LicenseRef-unknown"),
    ],
)  # fmt: skip
def test_licences_are_read_in_any_case(written: str, stored: str) -> None:
    licence, note = read_licence(written)
    assert licence == stored
    assert (note is None) == (written.lower() == stored.lower())
    assert content(changed("AGPL-3.0-or-later", f"'{written}'"))["licence"] == stored


def test_texts_of_a_region_are_those_of_its_language_unless_the_language_has_its_own() -> None:
    region = changed("{en: {", "{IT_it: {")
    found = item(region)
    assert found.members["content"]["summary"] == {"it": "A short one"}
    assert found.defaulted == ("summary: it-IT was read as it",)
    both = item(changed("{en: {", "{it-IT: {shortDescription: Due}, it: {"))
    assert both.members["content"]["summary"] == {"it": "A short one", "it-IT": "Due"}
    assert both.defaulted == ()
    assert content(changed("{en: {", "{eng: {"))["summary"] == {"en": "A short one"}
    assert content(changed("{en: {", "{1: {"))["summary"] == {"en": "Medusa"}


def test_tabs_of_the_indentation_are_read_as_spaces() -> None:
    tabs = MINIMAL.replace("description: {en: {shortDescription: A short one}}", "")
    tabs += "description:\n\ten:\n\t\tshortDescription: A short one\n\t\tfeatures:\n\t\t\t- one\n"
    found = item(tabs)
    assert found.members["content"]["summary"] == {"en": "A short one"}
    assert found.defaulted == ("indentation: tabs were read as spaces",)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("softwareVersion: 3.10", "3.10"), ("softwareVersion: 1e3", "1e3"), ("softwareVersion: 0o17", "0o17"),
        ("softwareVersion: no", "no"), ("softwareVersion: 2024-09-01", "2024-09-01"),
        ("softwareVersion: !!python/object:os.system x", "x"),
    ],
)  # fmt: skip
def test_a_version_stays_the_text_that_it_is(text: str, value: str) -> None:
    assert content(f"{MINIMAL}{text}\n")["releases"] == [{"version": value}]


def test_software_without_a_status_is_stable_where_a_release_is_named() -> None:
    without = changed("developmentStatus: stable\n", "")
    assert content(without)["status"] == "beta"
    assert content(f"{without}softwareVersion: '1.0'\n")["status"] == "stable"
    assert content(changed("stable", "Obsolete"))["status"] == "obsolete"


def test_a_person_is_nobodys_steward() -> None:
    owner = changed("legal: {", "legal: {repoOwner: Ada Example, mainCopyrightOwner: Ada Example, ")
    contact = "maintenance: {type: community, contacts: [{name: Ada Example, email: ada@example.org}]}\n"
    assert "Ada" not in str(item(owner + contact))
    assert content(owner.replace("Ada Example", "Ville de Nantes"))["steward"] == "Ville de Nantes"


@pytest.mark.parametrize(
    ("old", "new", "member"),
    [
        ('publiccodeYmlVersion: "0.4"\n', "x: y\n", None),
        ("name: Medusa\n", "", "/name"),
        ("name: Medusa", "name: [a]", "/name"),
        ("https://github.com/example/medusa", "none", "/url"),
        ("https://github.com/example/medusa", "https://user:secret@example.org/x", "/url"),
        ("https://github.com/example/medusa", "file:///etc/passwd", "/url"),
    ],
)
def test_what_no_solution_can_be_made_of_is_refused_by_its_member(
    old: str, new: str, member: str | None
) -> None:
    text = changed(old, new)
    if member is None:  # all of the others are there: the version alone may be missing
        assert item(text).defaulted == ("publiccodeYmlVersion: it is not one that is known here",)
        return
    assert refused(text).pointer == member
    assert "secret" not in refused(text).detail


def test_a_file_of_another_kind_is_refused() -> None:
    assert refused("services: {web: {image: nginx}}").pointer == "/publiccodeYmlVersion"
    for other in ("", "[]", "x", "- a\n- b\n", "{", '"'):
        refused(other)


def test_a_repository_that_is_named_by_its_clone_is_that_of_its_page() -> None:
    page = item(MINIMAL)
    for clone in ("git@github.com:example/medusa.git", "ssh://git@github.com/example/medusa.git"):
        found = item(changed("https://github.com/example/medusa", clone))
        assert (found.key, found.identity) == (page.key, page.identity)
        assert found.members["content"]["repository"] == "https://github.com/example/medusa"
    assert (
        item(changed("https://github.com/example/medusa", "https://GitHub.com/Example/Medusa.git")).key
        == page.key
    )


def test_a_file_without_an_address_has_that_at_which_it_was_found() -> None:
    text = changed("url: https://github.com/example/medusa\n", "")
    refused(text)
    found = item(text, repository="https://github.com/example/medusa")
    assert found.key == "github.com~example~medusa"
    assert found.defaulted == ("repository: none is named, taken from the address of the file",)


def test_keys_of_long_and_of_odd_addresses_are_keys_and_differ() -> None:
    urls = [f"https://git.example.org/{'x' * 300}{end}" for end in "ab"] + ["https://git.example.org/é/ü?p=1"]
    keys = [repository_identity(url)[1] for url in urls]
    assert len(set(keys)) == 3
    assert max(map(len, keys)) <= 128


@pytest.mark.parametrize(
    ("registry", "url", "purl"),
    [
        ("npm", "https://packages.example.org/package/@a/b", "pkg:npm/%40a/b"),
        ("pypi", "https://packages.example.org/project/udata/", "pkg:pypi/udata"),
        ("maven", "https://repo.example.org/maven2/org/a/b/", "pkg:maven/org.a/b"),
        ("go", "https://pkg.example.org/github.com/a/b", "pkg:golang/github.com/a/b"),
        ("npm", "https://packages.example.org/", None),
        ("unheard-of", "https://packages.example.org/package/x", None),
        ("npm", "https://[", None),
        (None, None, None),
    ],
)
def test_packages_are_named_by_their_pages(registry: Any, url: Any, purl: str | None) -> None:
    assert package_purl(registry, url) == purl


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join([f'*{chr(97 + level)}'] * 10)}]\n"
    for level in range(9)
)
MERGES = "a: &a {x: y}\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{{<<: *{chr(97 + level)}}}, {{<<: *{chr(97 + level)}}}]\n"
    for level in range(20)
)


@pytest.mark.parametrize(
    "hostile",
    [
        BOMB, MERGES, "a: &a [*a]", "a: &a {<<: *a}", "[" * 5_000, "{a: " * 5_000, "- " * 5_000, "? " * 5_000,
        "a: *nothing", "x" * (MAX_YAML_BYTES + 1), "\n".join(f"a{n}: b" for n in range(20_001)),
        "%YAML 9.9\n--- a",
        "a: b: c", '"\\xZZ"', "!<tag:x> {", "\t\t\t- [", "a:\n\t- b\n   \t- c\n\t\t\t\t- d: [",
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused(hostile: str) -> None:
    with pytest.raises(Invalid):
        read_yaml(hostile.encode())


def test_yaml_within_the_bounds_is_read() -> None:
    deep = "[" * MAX_YAML_DEPTH + "]" * MAX_YAML_DEPTH
    assert read_yaml(deep.encode()).value is not None
    with pytest.raises(Invalid):
        read_yaml(f"[{deep}]".encode())
    anchors = "a: &a {b: c}\nd: *a\ne: {<<: *a, f: g}\n"
    assert read_yaml(anchors.encode()).value == {"a": {"b": "c"}, "d": {"b": "c"}, "e": {"b": "c", "f": "g"}}
    assert read_yaml(b"\xef\xbb\xbfa: \xc3\xa9\n").value == {"a": "é"}
    windows = read_yaml("a: é\n".encode("cp1252"))
    assert windows.value == {"a": "é"}
    assert windows.notes == ("encoding: it is not UTF-8, and was read as Windows-1252",)
    assert read_yaml(b"---\na: b\n---\nc: d\n").value == {"a": "b"}
