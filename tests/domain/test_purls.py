"""Package URLs and CPE names: one form for each package and product, however it is written."""

from __future__ import annotations

import pytest

from federation.domain.formats import cpe, purl

SAME = [
    (
        "purl:npm/@scope/name",
        ["pkg:npm/@scope/name", "pkg:npm/%40scope/name@1.0", "pkg:npm/@scope/name@1.0?a=b#c"],
    ),
    ("purl:npm/@scope/name", ["PKG:NPM/@Scope/Name", "pkg:npm/%40scope%2Fname", "pkg://npm/@scope/name/"]),
    ("purl:npm/x", ["pkg:npm/x", "pkg:npm/x@1", "pkg:npm/x@1?q=a@b", "pkg:npm/x@1#a@b/c"]),
    (
        "purl:maven/org.example/core",
        ["pkg:maven/org.example/core@1.0?type=jar", "pkg:maven/org.example:core"],
    ),
    (
        "purl:pypi/zope-interface",
        ["pkg:pypi/Zope.Interface", "pkg:pypi/zope_interface@5", "pkg:pypi/zope--interface"],
    ),
    ("purl:golang/github.com/o/r", ["pkg:golang/github.com/o/r@v1.0", "pkg:golang/github.com%2Fo%2Fr"]),
    (
        "purl:deb/debian/nginx",
        ["pkg:deb/debian/nginx@1%3A1.2-3?distro=bookworm", "pkg:deb/debian/nginx@1:1.2-3"],
    ),
    ("purl:generic/x@y/z", ["pkg:generic/x@y/z"]),
    (
        "cpe:v:node.js",
        ["cpe:2.3:a:v:node\\.js:1.0:*:*:*:*:*:*:*", "cpe:/a:V:Node.js:1.0", "cpe:/a:v:node%2ejs"],
    ),
]


@pytest.mark.case("a35", "a purl is read as its specification says, and as people write it")
@pytest.mark.parametrize(("identity", "uris"), SAME, ids=lambda value: str(value)[:40])
def test_each_package_has_one_name(identity: str, uris: list[str]) -> None:
    for uri in uris:
        assert (cpe if identity.startswith("cpe:") else purl).identity_of(uri) == identity


def test_a_text_that_names_no_package_has_no_name() -> None:
    for text in (
        "",
        "pkg:",
        "pkg:npm",
        "pkg:npm/",
        "npm/x",
        "pkg:1/x",
        "pkg:npm/\x00",
        "pkg:npm/" + "x" * 2_000,
    ):
        assert purl.identity_of(text) is None
    for text in ("", "cpe:2.3:a", "cpe:/a:v", "cpe:2.3:a:*:x:1", "cpe:2.3:a:v:-:1", "cpe:/" + "x:" * 2_000):
        assert cpe.identity_of(text) is None


def test_the_parts_of_a_purl_are_decoded() -> None:
    package = purl.parse_purl("pkg:deb/debian/nginx@1%3A1.2-3?Arch=source&distro=bookworm#a/b/")
    assert package is not None
    assert (package.type, package.namespace, package.name) == ("deb", "debian", "nginx")
    assert (package.version, package.subpath) == ("1:1.2-3", "a/b")
    assert package.qualifiers == (("arch", "source"), ("distro", "bookworm"))
