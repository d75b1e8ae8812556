"""publiccode.yml 0.7 of solutions: valid by the rules of the Go parser, and nothing in it is invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.errors import NotFound
from federation.domain.formats.publiccode import read_publiccode
from federation.domain.formats.publiccode_export import Publication, has_publiccode, write_publiccode
from tests.domain.builders import a_solution
from tests.domain.publiccode_rules import faults, load

DATA = Path(__file__).parents[3] / "shared" / "data" / "publiccode"
needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="the shared publiccode files are not beside the project"
)
REPOSITORY = "https://github.com/glpi-project/glpi"
RECORD = "https://node.example.org/v1/solutions/arnia/glpi"
VALID = """
publiccodeYmlVersion: "0.7"
name: Medusa
url: "https://example.com/italia/medusa.git"
platforms: [web]
developmentStatus: development
softwareType: standalone/desktop
description:
  en:
    shortDescription: A rather short description which is probably useless
    longDescription: >
      Very long description of this software, also split on multiple rows. You should note what the software
      is and why one should need it. We can potentially have many pages of text here.
    features: [Just one feature]
legal: {license: AGPL-3.0-or-later}
maintenance: {type: community, contacts: [{name: Francesco Rossi}]}
localisation: {localisationReady: true, availableLanguages: [en]}
"""


def written(**members: Any) -> str:
    solution = msgspec.convert(a_solution(**{"repository": REPOSITORY, **members}), Solution)
    return write_publiccode(Publication(solution, "ARNia", RECORD))


CHANGES = [
    ("name: Medusa\n", ""), ("platforms: [web]", "platforms: []"), ("development\n", "unheard-of\n"),
    ("standalone/desktop", "standalone"), ("    features: [Just one feature]\n", ""),
    ("[Just one feature]", "[]"), ("Very long description of this software, also split", "x"),
    ("AGPL-3.0-or-later", "AGPL-3"), ("community", "contract"), (", contacts: [{name: Francesco Rossi}]", ""),
    ("localisationReady: true, ", ""), ("localisationReady: true", "localisationReady: 'no'"), ("[en]", "[]"),
    ('"0.7"', '"0.6"'), ('"0.7"', "0.7"), ("url:", "uri:"), ("A rather", "A rather " * 20), ("en:", "en_GB:"),
    ("platforms", "categories: [x]\nplatforms"), ("platforms", "releaseDate: 2024-1-1\nplatforms"),
    ("platforms", "landingURL: x\nplatforms"), ("platforms", "organisation: {name: x}\nplatforms"),
    ("platforms", "unknown: x\nplatforms"), ("name: Medusa", "name: [Medusa]"),
    ("maintenance: {", "maintenance: {contractors: [{name: x, until: '2030-01-01'}], "),
]  # fmt: skip


def test_the_rules_hold_for_a_valid_file() -> None:
    assert faults(VALID) == []


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_the_rules_find_what_the_parser_finds(old: str, new: str) -> None:
    assert old in VALID
    assert faults(VALID.replace(old, new, 1)) != []


@pytest.mark.parametrize(
    "members",
    [
        {},
        {
            "summary": {"fr": "x", "en": "y" * 400, "pt-BR": "São"},
            "description": {"fr": "é" * 20_000, "en": "z" * 151},
        },
        {
            "summary": {"fr": "ligne\nseconde"},
            "description": {"fr": "trop courte  \n\n\ttexte: # ! & * \n- x\n"},
        },
        {"name": "0o17", "releases": [{"version": "3.10"}], "maintenance": "contract"},
        {"name": "yes", "releases": [{"version": "1e3", "released_at": "2024-01-02"}, {"version": "2"}]},
        {"name": "- ' \" {x}", "maintenance": "none", "homepage": "https://example.org/?a=b#c"},
        {
            "kind": "service",
            "themes": ["ai", "cybersecurity", "signature"],
            "documentation": "https://example.org",
        },
        {"kind": "configuration", "themes": ["other"], "licence": "GPL-2.0-only OR MIT", "status": "concept"},
        {"steward": "Ville de Nantes"},
        {"steward": {"identifiers": [{"scheme": "0002", "value": "217100767"}], "name": "Commune de Chalon"}},
        {"steward": {"identifiers": [{"scheme": "cog", "value": "71076"}]}, "maintenance": "internal"},
    ],
)
def test_whatever_a_solution_says_its_file_is_valid(members: dict[str, Any]) -> None:
    text = written(**members)
    assert faults(text) == []
    values = load(text)
    assert values["name"] == members.get("name", "GLPI")
    assert values["url"] == REPOSITORY
    assert values["legal"]["license"] == members.get("licence", "GPL-3.0-or-later")
    (again,) = read_publiccode(text.encode()).items
    assert again.members["content"]["name"] == values["name"]


def test_what_was_made_is_said_in_comments_and_nothing_is_said_of_what_was_there() -> None:
    long = {"fr": "Un outil de gestion de parc informatique. " * 5}
    comments = [
        line for line in written(description=long, maintenance="none").splitlines() if line[:1] == "#"
    ]
    assert comments == [
        f"# Made of the record {RECORD}",
        "# platforms: the record names none",
        "# features: they are the themes of the record, else its summary",
        "# localisation: the languages are those of the record",
    ]
    assert "# longDescription (fr)" in written()
    assert load(written())["maintenance"] == {"type": "community", "contacts": [{"name": "ARNia"}]}
    assert "# maintenance.contacts: an organisation, since records name no persons" in written()


def test_a_solution_without_repository_or_open_licence_has_no_file() -> None:
    with pytest.raises(NotFound, match="repository"):
        written(repository=None)
    for licence in ("LicenseRef-proprietary", "LicenseRef-unknown", "MIT AND LicenseRef-own"):
        with pytest.raises(NotFound, match="licence"):
            written(licence=licence)


@needs_data
def test_real_files_that_were_read_are_written_as_valid_ones_of_the_same_software() -> None:
    count = 0
    for path in sorted(DATA.glob("202*/*.yml")):
        (item,) = read_publiccode(path.read_bytes()).items
        solution = msgspec.convert(item.members["content"], Solution)
        if not has_publiccode(solution):
            continue
        text = write_publiccode(Publication(solution, "ARNia", RECORD))
        assert faults(text) == [], path.name
        (again,) = read_publiccode(text.encode()).items
        assert (again.key, again.identity) == (item.key, item.identity)
        for member in ("name", "summary", "status", "licence", "homepage", "documentation", "releases"):
            assert again.members["content"].get(member) == item.members["content"].get(member), path.name
        count += 1
    assert count == 36
