"""Addresses of repositories: one form for each, and no certainty where a group may be meant."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.exposure.linkage import links
from federation.domain.exposure.solution_identifiers import identifier, identifiers, is_doubtful
from tests.domain.builders import a_record, a_solution


def names_in(**members: Any) -> tuple[str, ...]:
    """The identifiers of a record with these members."""
    same_as = members.pop("same_as", [])
    shape: Any = Document
    record = a_record(a_solution(**members), same_as=same_as)
    return identifiers(msgspec.json.decode(record.document, type=shape[Solution]))


def linked(here: dict[str, Any], there: dict[str, Any]) -> bool | None:
    """True where an incident about the one solution certainly is about the other; None where it is not."""
    by_solution = {"arnia/a": names_in(**here), "megalis/b": names_in(**there)}
    namers: dict[str, list[str]] = {}
    for solution, names in by_solution.items():
        for name in names:
            namers.setdefault(name, []).append(solution)
    # An answer about one solution reads its identifiers, and by them who else has them.
    found, _ = links("arnia/a", {"arnia/a": by_solution["arnia/a"]}, namers)
    return found["megalis/b"].certain if "megalis/b" in found else None


GROUP = "https://gitlab.example.org/collectivite"


@pytest.mark.case(
    "b04", "A group page identifies no product; where it cannot be told, the link is a question"
)
@pytest.mark.parametrize(
    "page",
    [
        GROUP,
        f"{GROUP}/sub",
        f"{GROUP}/sub/sub",
        "https://gitlab.com/group/sub",
        f"{GROUP}?sort=name",
        f"{GROUP}/sub?page=1&per_page=20",
        f"{GROUP}/sub/src",
        f"{GROUP}/sub/raw",
        f"{GROUP}/sub/commit/",
        "https://forge.example.org/?filter=adullact",
    ],
)
def test_the_page_of_a_group_makes_no_two_products_one_for_certain(page: str) -> None:
    assert linked({"name": "A", "repository": page}, {"name": "B", "repository": page}) is False
    assert linked({"name": "A", "same_as": [page]}, {"name": "B", "repository": page}) is False
    assert linked({"name": "A thing", "repository": page}, {"name": "a-Thing", "repository": page}) is True
    assert linked({"name": "+", "repository": page}, {"name": "-", "repository": page}) is False


@pytest.mark.case(
    "b04", "A group page identifies no product; where it cannot be told, the link is a question"
)
@pytest.mark.parametrize(
    "page",
    [
        "https://github.com/group",
        "https://gitlab.com/group",
        "https://bitbucket.org/group/",
        "https://codeberg.org/group",
        "https://git.sr.ht/~somebody",
        "https://gitlab.com/groups/group/sub",
        f"{GROUP.replace('/coll', '/groups/coll')}/-/issues",
        "https://github.com/orgs/group/repositories",
        "https://gitlab.example.org/users/somebody",
        "https://gitlab.example.org/explore",
        "https://gitlab.example.org/search?search=etat-civil",
        "https://github.com/marketplace/actions",
        "https://gitlab.example.org/",
    ],
)
def test_a_page_that_lists_repositories_identifies_nothing(page: str) -> None:
    assert identifier(page) is None
    assert linked({"name": "A", "repository": page}, {"name": "A", "repository": page}) is None


@pytest.mark.parametrize(
    "repository",
    [
        "https://github.com/o/r",
        "https://codeberg.org/o/r",
        "https://bitbucket.org/o/r",
        "https://git.sr.ht/~o/r",
        "https://bitbucket.example.org/projects/P/repos/r/browse?at=main",
        "https://gitlab.example.org/o/r.git",
        "https://gitlab.example.org/g/sub/r.git",
        "https://gitlab.example.org/o/r/-/tree/main",
        "https://gitlab.com/o/r/-/blob/main/README.md",
        "https://git.example.org/r.git",
        "https://git.example.org/?p=r.git",
        "https://git.example.org/?p=r.git;a=summary",
        "https://catalogue.example.org/software?id=9",
        "https://code.gouv.fr/sill/detail?name=GLPI",
        "https://forgejo.example.org/o/r/src/branch/main",
        "https://gitlab.example.org/g/sub/src/tree/main",
    ],
)
def test_the_address_of_one_repository_makes_two_solutions_one(repository: str) -> None:
    assert linked({"name": "A", "repository": repository}, {"name": "B", "repository": repository}) is True


def test_one_record_that_leaves_no_doubt_is_enough() -> None:
    page, clone = {"repository": f"{GROUP}/r"}, {"repository": f"{GROUP}/r.git"}
    assert linked({"name": "A", **page}, {"name": "B", **clone}) is True
    assert linked({"name": "A", **clone}, {"name": "B", **page}) is True
    assert linked({"name": "A", **clone}, {"name": "B", "packages": [{"purl": "pkg:npm/x"}]}) is None
    forge = {"packages": [{"purl": "pkg:gitlab/group/r"}]}
    assert linked({"name": "A", **forge}, {"name": "B", "repository": "https://gitlab.com/group/r"}) is True


def test_a_third_record_does_not_take_the_doubt_of_two_others() -> None:
    names = {
        "arnia/a": names_in(name="A", repository=GROUP),
        "megalis/b": names_in(name="B", repository=GROUP),
    }
    namers = {name: [solution for solution, listed in names.items() if name in listed] for name in (GROUP,)}
    namers[f"{GROUP}.git"] = ["evil/c"]
    namers[GROUP].append("evil/c")
    found, _ = links("arnia/a", {"arnia/a": names["arnia/a"]}, namers)
    assert (found["megalis/b"].certain, found["evil/c"].certain) == (False, True)


def test_platforms_that_differ_in_hyphens_alone_make_a_question() -> None:
    def platform(cpe: str, name: str) -> dict[str, Any]:
        return {"name": name, "packages": [{"cpe": cpe}]}

    hyphen, underscore = "cpe:2.3:a:glpi-project:glpi", "cpe:/a:glpi_project:glpi:10.0"
    assert linked(platform(hyphen, "A"), platform(underscore, "B")) is False
    assert linked(platform(hyphen, "A"), platform(underscore, "A")) is True
    assert linked(platform(hyphen, "A"), platform("cpe:/a:GLPI-project:glpi", "B")) is True
    assert linked(platform(underscore, "A"), platform(underscore, "B")) is True
    assert linked(platform(hyphen, "A"), platform("cpe:/a:glpi:project_glpi", "A")) is None
    assert linked(platform("cpe:/a:x:y", "A"), platform("cpe:/o:x:y", "A")) is None


def test_an_image_without_its_registry_makes_a_question() -> None:
    def image(purl: str, name: str) -> dict[str, Any]:
        return {"name": name, "packages": [{"purl": purl}]}

    bare, full = "pkg:oci/x", "pkg:oci/x?repository_url=ghcr.io/o/x"
    assert linked(image(bare, "A"), image(bare, "B")) is False
    assert linked(image(bare, "A"), image(bare, "A")) is True
    assert linked(image(full, "A"), image("pkg:oci/X@sha256:1?repository_url=https://ghcr.io/o", "B")) is True
    assert linked(image(full, "A"), image("pkg:oci/x?repository_url=ghcr.io/other/x", "A")) is None
    assert (
        linked(image("pkg:docker/o/x@1", "A"), image("pkg:oci/x?repository_url=docker.io/o/x", "B")) is True
    )


@pytest.mark.case("b06", "A repository is one, however its address is written")
@pytest.mark.parametrize(
    "written",
    [
        "git@gitlab.example.org:o/r.git",
        "ssh://git@gitlab.example.org/o/r",
        "ssh://git@gitlab.example.org:22/o/r.git",
        "ssh://git@gitlab.example.org:2222/o/r.git",
        "git+ssh://git@gitlab.example.org:o/r.git",
        "git://gitlab.example.org/o/r.git",
        "git+https://gitlab.example.org/o/r.git",
        "scm:git:https://gitlab.example.org/o/r.git",
        "HTTPS://GitLab.Example.org/O/R",
        "http://www.gitlab.example.org:80/o/r/",
        "https://gitlab.example.org:443//o/./x/../r",
        "https://user:secret@gitlab.example.org/o/r.git",
        "https://gitlab.example.org./o/r",
        "https://gitlab.example.org/o/%72",
        "https://gitlab.example.org/o/r/-/tree/main/sub",
        "https://gitlab.example.org/o/r/-/issues",
        "https://gitlab.example.org/o/r/-/merge_requests/1?tab=x",
        "https://gitlab.example.org/o/r/blob/main/publiccode.yml",
        "https://gitlab.example.org/o/r/issues",
        "https://gitlab.example.org/o/r/src/branch/main",
        "https://gitlab.example.org/o/r.git/info/refs",
        "https://gitlab.example.org/o/r?ref_type=heads",
        "https://gitlab.example.org/o/r#readme",
    ],
)
def test_however_it_is_written_a_repository_has_one_address(written: str) -> None:
    assert identifier(written) == "https://gitlab.example.org/o/r"


@pytest.mark.case("b06", "A repository is one, however its address is written")
@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://github.com/o/r/blob/main/publiccode.yml", "https://github.com/o/r"),
        ("https://github.com/o/r/issues?q=is%3Aopen", "https://github.com/o/r"),
        ("ssh://git@ssh.github.com:443/o/r.git", "https://github.com/o/r"),
        ("github:o/r", "https://github.com/o/r"),
        ("https://raw.githubusercontent.com/o/r/main/publiccode.yml", "https://github.com/o/r"),
        ("https://bücher.example.org/o/r", "https://xn--bcher-kva.example.org/o/r"),
        ("https://xn--bcher-kva.example.org/o/r", "https://xn--bcher-kva.example.org/o/r"),
        ("https://B%C3%BCcher.example.org/o/r", "https://xn--bcher-kva.example.org/o/r"),
        ("https://git.example.org:8443/o/r", "https://git.example.org:8443/o/r"),
        ("https://git.example.org/cgit/r.git/tree/README", "https://git.example.org/cgit/r"),
        ("https://git.sr.ht/~user/r/tree/main", "https://git.sr.ht/~user/r"),
        ("https://git.example.org/g/sub/src/tree/main", "https://git.example.org/g/sub/src"),
        ("https://git.example.org/g/src/-/tree/main?x=1", "https://git.example.org/g/src"),
        ("https://github.com/o/r.wiki.git", "https://github.com/o/r"),
        ("https://git.example.org/g/r.wiki.git", "https://git.example.org/g/r"),
        ("https://git.example.org/projects/P/repos/R/browse", "https://git.example.org/scm/p/r"),
        ("ssh://git@git.example.org:7999/scm/p/r.git", "https://git.example.org/scm/p/r"),
        ("https://code.gouv.fr/sill/fr/detail?name=GLPI", "https://code.gouv.fr/sill/detail?name=glpi"),
        ("https://sill.code.gouv.fr/software?x=1&name=X%20Y", "https://code.gouv.fr/sill/detail?name=x%20y"),
        ("https://sill.etalab.gouv.fr/fr/software?name=x+y", "https://code.gouv.fr/sill/detail?name=x%20y"),
        ("https://catalogue.example.org/software?id=9", "https://catalogue.example.org/software?id=9"),
    ],
)
def test_pages_ports_and_names_of_hosts_have_one_form(written: str, address: str) -> None:
    assert identifier(written) == address
    assert identifier(address) == address


@pytest.mark.parametrize(
    "written",
    [
        "https://",
        "https://[::1",
        "https://a:b/c",
        f"https://{'a' * 64}é.example.org/o/r",
        "https://é..example/o/r",
        "git@:o/r",
        "git@host:",
        "ssh://git@host",
        "github:",
        "https://github.com/o/r" + "/x" * 2_000,
    ],
)
def test_what_cannot_be_read_identifies_nothing_and_raises_nothing(written: str) -> None:
    assert identifier(written) is None


def test_an_address_that_was_read_is_in_doubt_or_not_by_its_form() -> None:
    assert is_doubtful("https://gitlab.example.org/o/r")
    assert not is_doubtful("https://github.com/o/r")
    assert not is_doubtful("https://www.wikidata.org/entity/Q1")
    assert not is_doubtful("https://gitlab.example.org/o/r#name")
    assert not is_doubtful("pkg:npm/x")
    assert not is_doubtful("arnia/glpi")
