"""Records as people write them: licences in any case, addresses without secrets, and errors in words."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import inspect

from federation.domain.addresses import (
    address_problem,
    addresses_in,
    types_of,
    url_problem,
    with_plain_scheme,
)
from federation.domain.content.deployment import Deployment
from federation.domain.content.incident import Incident
from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.errors import Invalid
from federation.domain.expected import in_words
from federation.domain.exposure.solution_identifiers import identifier
from federation.domain.formats.spdx import licence_problem, listed_licence
from federation.domain.query import read_query
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from tests.domain.builders import (
    a_deployment,
    a_document,
    a_draft,
    a_record,
    a_solution,
    an_incident,
    an_operator,
    received,
    refused_draft,
)


def refusal(
    content: dict[str, Any], kind: type[Content] = Solution, **envelope: Any
) -> tuple[str | None, str]:
    error = refused_draft(content, kind, **envelope)
    return error.pointer, error.detail


# Licences


@pytest.mark.case("b01", "SPDX identifiers have no case: written in the form of the list, and found in any")
@pytest.mark.parametrize(
    ("written", "listed"),
    [
        ("agpl-3.0-or-later", "AGPL-3.0-or-later"),
        ("Etalab-2.0", "etalab-2.0"),
        ("eupl-1.2", "EUPL-1.2"),
        ("gpl-2.0+", "GPL-2.0+"),
        ("apache-2.0+", "Apache-2.0+"),
        ("(mit OR cecill-2.1) AND LicenseRef-Own", "(MIT OR CECILL-2.1) AND LicenseRef-Own"),
        ("gpl-2.0-only WITH classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("LicenseRef-Own OR DocumentRef-x:LicenseRef-Own", "LicenseRef-Own OR DocumentRef-x:LicenseRef-Own"),
        ("licenseref-Proprietary", "LicenseRef-proprietary"),
        ("mpl-2.0-NO-copyleft-exception", "MPL-2.0-no-copyleft-exception"),
        ("gpl-2.0-with-classpath-exception OR ecos-2.0", "GPL-2.0-with-classpath-exception OR eCos-2.0"),
    ],
)
def test_a_licence_is_written_as_the_list_has_it(written: str, listed: str) -> None:
    assert a_draft(a_solution(licence=written)).content.licence == listed
    assert b'"%s"' % listed.encode() in a_record(a_solution(licence=written)).document
    assert listed_licence(listed) == listed


@pytest.mark.case("b01", "The filter finds a licence in any case")
@pytest.mark.parametrize("asked", ["AGPL-3.0-or-later", "agpl-3.0-or-later", "Agpl-3.0-OR-LATER"])
def test_a_filter_finds_a_licence_in_any_case(asked: str) -> None:
    ((name, values),) = read_query(Solution, [("licence", asked)]).facets
    assert name == "licence"
    for written in ("AGPL-3.0-or-later", "agpl-3.0-or-later"):
        # Also a peer's record, which stays as it was signed.
        peers = received(a_document(content=a_solution(licence=written)))
        assert f"solution.licence={values[0]}" in peers.projection.facets
        assert written in values, "as it was indexed before"
    with pytest.raises(Invalid, match="AI is not one of"):
        read_query(Solution, [("theme", "AI")])


@pytest.mark.case("b01", "A deprecated identifier finds the present one, and is found by it")
def test_deprecated_identifiers_of_a_licence_and_present_ones_find_each_other() -> None:
    def found(asked: str, written: str) -> bool:
        facets = a_record(a_solution(licence=written)).projection.facets
        ((_, values),) = read_query(Solution, [("licence", asked)]).facets
        return any(f"solution.licence={value}" in facets for value in values)

    for one, other in [
        ("AGPL-3.0", "AGPL-3.0-only"), ("gpl-2.0+", "GPL-2.0-or-later"), ("lgpl-2.1", "LGPL-2.1-only"),
        ("GPL-2.0 OR MIT", "gpl-2.0-only OR mit"), ("MIT AND GFDL-1.3+", "MIT AND GFDL-1.3-or-later"),
    ]:  # fmt: skip
        assert found(one, other)
        assert found(other, one)
    for one, other in [
        ("GPL-3.0", "GPL-3.0-or-later"), ("GPL-3.0+", "GPL-3.0-only"), ("GPL-3.0", "GPL-2.0-only"),
        ("GPL-3.0", "AGPL-3.0-only"), ("GPL-2.0", "GPL-2.0-with-classpath-exception"),
    ]:  # fmt: skip
        assert not found(one, other)
        assert not found(other, one)


@pytest.mark.parametrize(
    "unknown",
    ["GPL-99", "gpl", "GPL", "bsd-2", "LicenseRef-", "MIT:MIT"],
)
def test_a_licence_that_is_on_no_list_is_refused_with_what_to_write(unknown: str) -> None:
    pointer, detail = refusal(a_solution(licence=unknown))
    assert pointer == "/content/licence"
    assert "LicenseRef-" in detail
    assert licence_problem("MIT or later") is not None
    assert licence_problem("MIT WITH GPL-2.0-with-classpath-exception") is not None
    assert "in capital letters" in str(licence_problem("MIT or GPL-2.0-only"))


# Addresses


SECRETS = [
    "https://oauth2:glpat-x@gitlab.example.org/a/b.git", "https://user@gitlab.example.org/a/b",
    "https://:x@gitlab.example.org/a/b", "HTTPS://user:p%40ss@gitlab.example.org/a/b",
    "https://gitlab.example.org/a/b?private_token=glpat-x", "https://example.org/?a=b&Access_Token=x",
    "https://example.org/?a=b;api_key=x", "https://example.org/?token=x", "https://example.org/#a=b&access_token=x",
    "https://bucket.example.org/a?X-Amz-Expires=9&X-Amz-Signature=x",
]  # fmt: skip


@pytest.mark.case("b07", "No address of a record has a user name, a password or a token")
@pytest.mark.parametrize("address", SECRETS)
def test_a_secret_in_an_address_is_refused_and_not_shown(address: str) -> None:
    places: list[tuple[dict[str, Any], type[Content], str]] = [
        (a_solution(repository=address), Solution, "/content/repository"),
        (a_solution(homepage=address), Solution, "/content/homepage"),
        (a_solution(documentation=address), Solution, "/content/documentation"),
        (a_solution(ai={"register_url": address}), Solution, "/content/ai/register_url"),
        (
            a_solution(assurances=[{"scheme": "hds"}, {"scheme": "hds", "certificate_url": address}]),
            Solution,
            "/content/assurances/1/certificate_url",
        ),
        (a_deployment(url=address), Deployment, "/content/url"),
        (a_deployment(offer={"open": True, "join_url": address}), Deployment, "/content/offer/join_url"),
        (an_incident(source={"url": address}), Incident, "/content/source/url"),
        (
            an_incident(remediations=[{"category": "workaround", "url": address}]),
            Incident,
            "/content/remediations/0/url",
        ),
        (an_incident(related_to=["arnia/x", address]), Incident, "/content/related_to/1"),
        (an_operator(homepage=address), Operator, "/content/homepage"),
    ]
    for content, kind, expected in places:
        pointer, detail = refusal(content, kind)
        assert (pointer, "would read" in detail) == (expected, True)
        assert "glpat-x" not in detail
        assert "p%40ss" not in detail
    assert refusal(a_solution(), same_as=["urn:x:y", address])[0] == "/same_as/1"


@pytest.mark.case("b07", "An address without a secret is taken")
def test_an_address_without_a_secret_is_taken() -> None:
    for address in (
        "https://gitlab.example.org/a/b.git", "https://example.org/@user/status?q=token", "https://example.org/?a=b@c",
        "https://example.org:8443/a", "https://[2001:db8::1]/a",
    ):  # fmt: skip
        assert a_draft(a_solution(repository=address)).content.repository == address
    same_as = [
        "ssh://git@gitlab.example.org/a/b.git",
        "mailto:a@example.org",
        "pkg:npm/%40a/b@1.0",
        "git@x:y",
    ]
    assert a_draft(a_solution(), same_as=same_as[:3]).same_as == tuple(same_as[:3])
    for secret in (
        "ssh://git:x@gitlab.example.org/a/b.git",
        "git+https://glpat-x@gitlab.example.org/a/b.git",
    ):
        assert refusal(a_solution(), same_as=[secret])[0] == "/same_as/0"


@pytest.mark.case("b07", "A record of a peer is not refused for it")
def test_a_peers_record_with_a_secret_stays_what_its_peer_signed() -> None:
    for address in map(with_plain_scheme, SECRETS):
        record = received(a_document(content=a_solution(repository=address)))
        assert address.encode() in record.document
        shown = identifier(address) or ""
        assert [part for part in ("glpat", "=x", "ss@") if part in shown] == [], "a reason has no secret"


@pytest.mark.parametrize(
    "address", ["https://[::1", "https://a:b/c", "https://:80/", "https:///x", "https://a:99999/"]
)
def test_an_address_that_no_parser_reads_is_refused(address: str) -> None:
    assert refusal(a_solution(homepage=address))[0] == "/content/homepage"
    assert address_problem(address)


def test_every_address_of_a_record_is_looked_at() -> None:
    url = "https://example.org/x"
    content = an_incident(
        source={"url": url},
        remediations=[{"category": "workaround", "url": url}],
        related_to=["arnia/x", url],
    )
    draft = a_draft(content, Incident, same_as=[url])
    assert [pointer for pointer, _ in addresses_in(draft)] == ["/same_as/0"]
    assert [pointer for pointer, _ in addresses_in(draft.content)] == [
        "/remediations/0/url", "/source/url", "/related_to/0", "/related_to/1",
    ]  # fmt: skip


@pytest.mark.case("b06", "A scheme has no case")
def test_a_scheme_in_capital_letters_is_written_in_small_ones() -> None:
    draft = a_draft(a_solution(repository="HTTPS://GitHub.com/o/r", homepage="Http://example.org/X"))
    assert draft.content.repository == "https://GitHub.com/o/r"
    assert draft.content.homepage == "http://example.org/X"
    many = [{"scheme": "hds", "certificate_url": "HTTPS://example.org/x"} for _ in range(50)]
    draft = a_draft(a_solution(assurances=many))
    assert {one.certificate_url for one in draft.content.assurances} == {"https://example.org/x"}


@pytest.mark.case("b06", "The writer is told in words what to write")
@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("git@github.com:o/r.git", "write that of the page, https://github.com/o/r"),
        ("ssh://git@GitHub.com:22/o/r", "write that of the page, https://github.com/o/r"),
        ("git://github.com/o/R.git", "write that of the page, https://github.com/o/R"),
        ("github.com/o/r", "it begins with neither https:// nor http://"),
        ("ftp://example.org/x", "it begins with ftp:"),
        ("javascript:alert(1)", "it begins with javascript:"),
        ("https://example.org/a b", "white space"),
        ("https://example.org/<b>", "(RFC 3986, 2.1)"),
        ("https:example.org", "two slashes"),
        ("", "it begins with neither"),
    ],
)
def test_what_is_no_address_of_a_page_is_refused_in_words(written: str, told: str) -> None:
    pointer, detail = refusal(a_solution(repository=written))
    assert pointer == "/content/repository"
    assert detail.startswith("expected the address of a page, such as https://forge.example.org/owner/name; ")
    assert told in detail
    assert told in str(url_problem(written))


# Errors in words


@pytest.mark.case("d07", "A time with an offset is written down in UTC, and one without is refused in words")
def test_a_time_with_an_offset_is_written_down_in_utc() -> None:
    def line(moment: str) -> dict[str, Any]:
        return an_incident(updates=[{"at": moment, "status": "investigating", "text": {"fr": "x"}}])

    def refused_at(moment: str) -> str:
        pointer, detail = refusal(line(moment), Incident)
        assert pointer == "/content/updates/0/at"
        return detail

    draft = a_draft(line("2026-10-25T02:30:00+02:00"), Incident, tlp="GREEN")
    assert draft.content.updates[0].at == "2026-10-25T00:30:00Z"
    for moment in ("2026-10-25T02:30:00", "yesterday"):
        assert "offset from UTC" in refused_at(moment)
    assert "1970 to 2200" in refused_at("1901-01-01T00:00:00+01:00")


WORDS: list[tuple[dict[str, Any], type[Content], str, str]] = [
    (
        a_solution(packages=[{"purl": "npm/x"}]),
        Solution,
        "/content/packages/0/purl",
        "pkg:composer/glpi/glpi",
    ),
    (
        a_solution(packages=[{"purl": "pkg:npm/@a"}]),
        Solution,
        "/content/packages/0/purl",
        "TYPE/NAMESPACE/NAME",
    ),
    (
        a_solution(packages=[{"cpe": "glpi:glpi"}]),
        Solution,
        "/content/packages/0/cpe",
        "cpe:2.3:a:glpi-project",
    ),
    (a_solution(packages=[{"cpe": "cpe:2.3:a"}]), Solution, "/content/packages/0/cpe", "vendor and product"),
    (a_solution(licence="GPL_3"), Solution, "/content/licence", "SPDX expression such as AGPL-3.0-or-later"),
    (a_solution(based_on=["glpi"]), Solution, "/content/based_on/0", "origin/key, such as arnia/glpi"),
    (a_solution(summary={"français": "x"}), Solution, "/content/summary/français", "(BCP 47), such as fr"),
    (a_solution(version_scheme="PyPI!"), Solution, "/content/version_scheme", "such as generic, pypi"),
    (a_deployment(since="1.3.2026"), Deployment, "/content/since", "a date, such as 2026-03-01"),
    (
        a_deployment(hosting={"model": "operator", "country": "fr"}),
        Deployment,
        "/content/hosting/country",
        "in capital letters: FR",
    ),
    (
        a_deployment(coverage={"kind": "territory", "territory": ["fr-bfc"]}),
        Deployment,
        "/content/coverage/territory/0",
        "in capital letters: FR-BFC",
    ),
    (
        a_deployment(coverage={"kind": "territory", "territory": ["71", "75 "]}),
        Deployment,
        "/content/coverage/territory/1",
        "without white space: 75",
    ),
    (an_incident(aliases=["a b"]), Incident, "/content/aliases/0", "CVE-2025-24799"),
    (an_incident(cvss="9.8"), Incident, "/content/cvss", "CVSS:3.1/AV:N"),
    (
        an_incident(affects=[{"solution": "a/b", "range": "<2"}]),
        Incident,
        "/content/affects/0/range",
        "vers:generic/",
    ),
    (an_operator(country="France"), Operator, "/content/country", "(ISO 3166-1), such as FR"),
    (an_operator(contact="nobody"), Operator, "/content/contact", "contact@example.org"),
]


@pytest.mark.parametrize(("content", "kind", "pointer", "words"), WORDS, ids=[entry[2] for entry in WORDS])
def test_a_refusal_says_in_words_what_is_expected(
    content: dict[str, Any], kind: type[Content], pointer: str, words: str
) -> None:
    at, detail = refusal(content, kind)
    assert at == pointer
    assert words in detail
    assert "regex" not in detail


def test_no_member_of_a_record_answers_with_a_regular_expression() -> None:
    def patterns(type_: Any, seen: set[type]) -> set[str]:
        if isinstance(type_, inspect.DictType):
            return patterns(type_.key_type, seen) | patterns(type_.value_type, seen)
        if isinstance(type_, inspect.StructType):
            if type_.cls in seen:
                return set()
            seen.add(type_.cls)
            return {
                found for field in type_.fields for t in types_of(field.type) for found in patterns(t, seen)
            }
        return {type_.pattern} if isinstance(type_, inspect.StrType) and type_.pattern else set()

    for kind in TYPES.values():
        for pattern in patterns(inspect.type_info(kind), set()):
            with pytest.raises(msgspec.ValidationError) as error:
                msgspec.json.decode(b'"\\u0000 \\u0000"', type=_matching(pattern))
            assert "regex" not in in_words(str(error.value)), f"{kind.type}: {pattern}"


def _matching(pattern: str) -> Any:
    return Annotated[str, msgspec.Meta(pattern=pattern)]
