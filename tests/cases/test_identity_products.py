"""Advisories find the solutions that they are about: by identifiers, and by a name as a question."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from federation.domain.content.incident import Affected
from federation.domain.content.solution import Solution
from federation.domain.exposure.matching import match_version
from federation.domain.formats.advisory import Product
from federation.domain.formats.catalogue import Catalogue, Found
from federation.domain.formats.cve import read_cve
from federation.domain.formats.incident import incident_of
from federation.domain.formats.osv import read_osv
from tests.domain.builders import a_solution


def a_catalogue(**solutions: dict[str, Any]) -> Catalogue:
    """Solutions by key, of the operator arnia."""
    return Catalogue(
        (f"arnia/{key}", msgspec.convert(a_solution(**members), Solution))
        for key, members in solutions.items()
    )


def found(names: list[str], **solution: Any) -> list[Found]:
    return list(a_catalogue(x={"name": "Some product", **solution}).find(Product(names=tuple(names))))


CERTAIN, QUESTION = [Found("arnia/x")], [Found("arnia/x", by_name_only=True)]


def purls(*texts: str) -> dict[str, Any]:
    return {"packages": [{"purl": text} for text in texts]}


def cpes(*texts: str) -> dict[str, Any]:
    return {"packages": [{"cpe": text} for text in texts]}


def cve(*affected: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "dataType": "CVE_RECORD",
            "cveMetadata": {
                "cveId": "CVE-2099-10001", "state": "PUBLISHED", "datePublished": "2099-01-01T00:00:00Z",
            },
            "containers": {
                "cna": {"title": "t", "descriptions": [{"lang": "en", "value": "d"}], "affected": affected}
            },
        }
    ).encode()  # fmt: skip


def osv(*affected: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "id": "GHSA-aaaa-0000-0001", "modified": "2026-01-02T00:00:00Z",
            "published": "2026-01-01T00:00:00Z", "summary": "s", "details": "d", "affected": affected,
        }
    ).encode()  # fmt: skip


def verdict(raw: bytes, read: Any, version: str, **solution: Any) -> str | None:
    """The answer for a deployment of the one solution; None where the advisory is not about it."""
    (finding,) = read(raw)
    incident = incident_of(finding, a_catalogue(x=solution).find, raw)
    if incident is None:
        return None
    entries = msgspec.convert(incident.content["affects"], list[Affected])
    # A match by name alone is answered by the matching; here it is enough that the entry says so.
    if all(entry.by_name_only for entry in entries):
        return "question"
    match = match_version(entries, "arnia/x", version, "exact")
    return match.verdict if match else None


TALK = {
    "vendor": "Prod15", "product": "Talk for Android",
    "versions": [{"version": "0", "lessThan": "30.0", "status": "affected", "versionType": "semver"}],
}  # fmt: skip
SERVER = cpes("cpe:2.3:a:prod15:server:*:*:*:*:*:*:*:*")


@pytest.mark.case("a21", "A vendor is no product")
def test_the_name_of_a_vendor_finds_no_product() -> None:
    assert verdict(cve(TALK), read_cve, "29.0.1", name="Prod15", **SERVER) is None
    assert verdict(cve(TALK), read_cve, "29.0.1", name="Prod15") is None
    talk = cpes("cpe:2.3:a:prod15:talk_for_android:*:*:*:*:*:*:*:*")
    assert verdict(cve(TALK), read_cve, "29.0.1", name="Talk", **talk) == "affected"
    assert verdict(cve(TALK), read_cve, "30.0", name="Talk", **talk) == "not_affected"


@pytest.mark.case("a21", "A match by name alone is a question")
def test_a_name_alone_is_a_question_the_more_where_the_cpe_is_another() -> None:
    assert verdict(cve(TALK), read_cve, "29.0.1", name="Talk for Android") == "question"
    assert verdict(cve(TALK), read_cve, "29.0.1", name="Talk for Android", **SERVER) == "question"


@pytest.mark.case("a35", "Packages of two scopes are two packages")
def test_a_scope_of_npm_is_a_part_of_the_name() -> None:
    def about(purl: str, name: str) -> bytes:
        ranges = [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]
        return osv({"package": {"ecosystem": "npm", "name": name, "purl": purl}, "ranges": ranges})

    bare, encoded = purls("pkg:npm/@scope29/prod29"), purls("pkg:npm/%40scope29/prod29")
    for own in (bare, encoded):
        assert verdict(about("pkg:npm/@other/thing", "@other/thing"), read_osv, "1.0.0", **own) is None
        raw = about("pkg:npm/@scope29/prod29", "@scope29/prod29")
        assert verdict(raw, read_osv, "1.0.0", **own) == "affected"
        assert verdict(raw, read_osv, "2.0.0", **own) == "not_affected"


@pytest.mark.parametrize(
    ("name", "purl"),
    [
        ("purl:npm/@a/b", "pkg:npm/@a/b"),
        ("purl:npm/@a/b", "pkg:npm/%40A/b@1.0.0"),
        ("purl:maven/org.example/core", "pkg:maven/org.example/core"),
        ("purl:maven/org.example/core", "pkg:maven/org.example:core@1.0"),
        ("purl:pypi/some-thing-x", "pkg:pypi/Some_Thing.x"),
        ("purl:golang/github.com/a/b", "pkg:golang/github.com/A/b@v1.0.0"),
        ("purl:composer/a/b", "pkg:composer/A/b?x=y#z"),
        ("purl:cargo/some_thing", "pkg:cargo/some-thing"),
        ("purl:deb/debian/x", "pkg:deb/debian/x@1.0-2?arch=amd64"),
        ("purl:oci/ghcr.io/o/x", "pkg:oci/x?repository_url=ghcr.io/o/x"),
        ("purl:oci/ghcr.io/o/x", "pkg:oci/x@sha256:00?repository_url=https://ghcr.io/o"),
        ("purl:docker/o/x", "pkg:oci/x?repository_url=docker.io/o/x"),
        ("purl:docker/nginx", "pkg:docker/library/nginx@1"),
        ("repository:github.com/o/r", "pkg:github/O/r@1.0"),
        ("purl:github/o/r", "pkg:github/O/r@1.0"),
    ],
)
def test_a_package_is_found_however_its_purl_is_written(name: str, purl: str) -> None:
    assert found([name], **purls(purl)) == CERTAIN


@pytest.mark.parametrize(
    ("name", "purl"),
    [
        ("purl:npm/@a/b", "pkg:npm/b"),
        ("purl:npm/@a/b", "pkg:npm/@c/b"),
        ("purl:maven/org.example/core", "pkg:maven/org.other/core"),
        ("purl:pypi/x", "pkg:npm/x"),
        ("purl:deb/debian/x", "pkg:deb/ubuntu/x"),
        ("purl:oci/ghcr.io/o/x", "pkg:oci/x?repository_url=ghcr.io/other/x"),
        ("purl:oci/ghcr.io/o/x", "pkg:docker/o/x"),
        ("purl:npm/@a", "pkg:npm/@a"),
        ("purl:npm/", "pkg:npm/x"),
    ],
)
def test_another_namespace_type_or_registry_is_another_package(name: str, purl: str) -> None:
    assert found([name], **purls(purl)) == []


def test_an_image_without_its_registry_is_a_question() -> None:
    assert found(["purl:oci/x"], **purls("pkg:oci/x")) == QUESTION
    assert found(["purl:oci/x"], **purls("pkg:oci/x?repository_url=ghcr.io/o/x")) == QUESTION
    assert found(["purl:oci/y"], **purls("pkg:oci/x")) == []


def test_a_package_of_the_same_registry_that_is_another_one_is_no_match_by_name() -> None:
    assert found(["purl:npm/@a/b", "name:Some product"], **purls("pkg:npm/c")) == []
    assert found(["purl:npm/@a/b", "name:Some product"], **purls("pkg:pypi/c")) == QUESTION
    assert found(["purl:npm/@a/b", "name:Some product"], **purls("pkg:npm/c", "pkg:npm/@a/b")) == CERTAIN
    assert found(["name:some-PRODUCT"]) == QUESTION
    assert found(["name:product"]) == []


@pytest.mark.parametrize(
    "cpe",
    [
        "cpe:2.3:a:some-vendor:thing:1.0:*:*:*:*:*:*:*",
        "cpe:/a:some-vendor:thing:1.0",
        r"cpe:2.3:a:some\-vendor:thing",
        "cpe:/a:Some_Vendor:Thing",
    ],
)
def test_vendor_and_product_of_a_cpe_identify(cpe: str) -> None:
    for name in ("cpe:some-vendor:thing", "cpe:Some Vendor:Thing"):
        assert found([name], **cpes(cpe)) == CERTAIN
    assert found([r"cpe:some\-vendor:thing"], **cpes(cpe)) == CERTAIN
    assert found([r"cpe:some\:vendor:thing"], **cpes(r"cpe:2.3:a:some\:vendor:thing")) == CERTAIN
    assert found(["cpe:some-vendor:other"], **cpes(cpe)) == []
    assert found(["cpe:other:thing"], **cpes(cpe)) == []


@pytest.mark.parametrize(
    "name", ["cpe:n/a:n/a", "cpe:*:*", "cpe:-:-", "cpe:v:n/a", "cpe:", "cpe:v", "repository:", ""]
)
def test_words_that_say_nothing_name_nothing(name: str) -> None:
    nothing = {"name": "n/a", **cpes("cpe:2.3:a:n\\/a:n\\/a", "cpe:2.3:a:*:*", "cpe:2.3:a:v:-")}
    assert found([name], **nothing) == []


def test_a_repository_is_host_and_path() -> None:
    here = {"repository": "https://gitlab.example.org/a/b"}
    assert found(["repository:gitlab.example.org/a/b"], **here) == CERTAIN
    assert found(["repository:GitLab.example.org/A/b.git"], **here) == CERTAIN
    assert found(["repository:gitlab.example.org/a/c"], **here) == []
    # A fork or a copy has the same owner and name at another host; vendor and product of a record, too.
    assert found(["repository:github.com/a/b"], **here) == QUESTION
    assert found(["cpe:a:b"], **here) == QUESTION
    assert found(["repository:a/b"], **here) == QUESTION


@pytest.mark.case("b04", "The page of a group is no repository")
def test_a_page_of_a_group_identifies_no_product() -> None:
    assert found(["repository:github.com/a"], repository="https://github.com/a") == []
    group = {"repository": "https://gitlab.example.org/collectivite"}
    assert found(["repository:gitlab.example.org/collectivite"], **group) == QUESTION


@pytest.mark.parametrize("type_", ["deb/debian", "rpm/redhat", "apk/alpine"])
def test_the_package_of_a_distribution_is_not_upstream(type_: str) -> None:
    asked = [Found("arnia/x", by_name_only=True, is_numbered_otherwise=True)]
    assert found([f"purl:{type_}/thing", "name:Some product"], **cpes("cpe:2.3:a:v:thing")) == asked
    assert found([f"purl:{type_}/thing", "cpe:v:thing"], **cpes("cpe:2.3:a:v:thing")) == asked
    assert found([f"purl:{type_}/thing"], **cpes("cpe:2.3:a:v:thing")) == []
    assert found([f"purl:{type_}/thing"], **purls(f"pkg:{type_}/thing")) == CERTAIN
    assert found([f"purl:{type_}/thing"], **purls(f"pkg:{type_.partition('/')[0]}/thing")) == asked
    assert found([f"purl:{type_}/thing"], **purls(f"pkg:{type_.partition('/')[0]}/other/thing")) == []
    # Its numbers are not those of the solution: they answer nothing.
    product = Product(
        names=(f"purl:{type_}/thing", "name:Some product"), ranges=("vers:deb/<3.0-1",), fixed=("3.0-1",)
    )
    (finding,) = read_cve(cve(TALK))
    finding = msgspec.structs.replace(finding, products=(product,))
    incident = incident_of(finding, a_catalogue(x={"name": "Some product"}).find, b"")
    assert incident is not None
    (entry,) = msgspec.convert(incident.content["affects"], list[Affected])
    assert (entry.range, entry.fixed_in, entry.by_name_only) == (None, (), True)
    assert "vers:deb/<3.0-1" in (entry.range_text or "")
    match = match_version([entry], "arnia/x", "3.0-1", "exact")
    assert match is not None
    assert match.verdict == "unknown"


def test_solutions_that_are_named_by_the_caller_are_certain() -> None:
    catalogue = Catalogue((), always=("arnia/x", "arnia/y"))
    assert catalogue.find(Product(names=("name:anything",))) == [Found("arnia/x"), Found("arnia/y")]
