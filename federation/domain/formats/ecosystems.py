"""Ecosystems of packages: their type in a purl, their scheme of versions, the names of their packages.

OSV names an ecosystem (``Maven``, ``Debian:12``), CVE the address of a collection. A package of a
distribution is not the software that it packs: its versions are the distribution's, so it has the
distribution in its name and is never found by the bare name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import msgspec

from federation.domain.formats.names import repository_name
from federation.domain.formats.purl import identity, identity_of


class Ecosystem(msgspec.Struct, frozen=True):
    """An ecosystem, by its type in a purl."""

    type: str
    scheme: str = "generic"
    """Scheme of ``vers`` for its versions."""
    distribution: str = ""
    """The namespace of a distribution; empty where packages are the software itself."""


GENERIC = Ecosystem("generic")
ECOSYSTEMS: dict[str, Ecosystem] = {
    "PyPI": Ecosystem("pypi", "pypi"),
    "npm": Ecosystem("npm", "npm"),
    "Maven": Ecosystem("maven", "maven"),
    "RubyGems": Ecosystem("gem", "gem"),
    "crates.io": Ecosystem("cargo", "cargo"),
    "Go": Ecosystem("golang", "golang"),
    "NuGet": Ecosystem("nuget", "nuget"),
    "Packagist": Ecosystem("composer", "composer"),
    "Hex": Ecosystem("hex", "hex"),
    "Pub": Ecosystem("pub"),
    "SwiftURL": Ecosystem("swift"),
    "GitHub Actions": Ecosystem("githubactions"),
    "ConanCenter": Ecosystem("conan"),
    "CRAN": Ecosystem("cran"),
    "Bioconductor": Ecosystem("bioconductor"),
    "Hackage": Ecosystem("hackage"),
    "Bitnami": Ecosystem("bitnami"),
    "Julia": Ecosystem("julia"),
    "CPAN": Ecosystem("cpan"),
    "VSCode": Ecosystem("vscode-extension"),
    "WordPress": Ecosystem("wordpress"),
    "Docker": Ecosystem("docker"),
    "Debian": Ecosystem("deb", "deb", "debian"),
    "Ubuntu": Ecosystem("deb", "deb", "ubuntu"),
    "Echo": Ecosystem("deb", "deb", "echo"),
    "Alpine": Ecosystem("apk", "apk", "alpine"),
    "Alpaquita": Ecosystem("apk", "apk", "alpaquita"),
    "Wolfi": Ecosystem("apk", "apk", "wolfi"),
    "Chainguard": Ecosystem("apk", "apk", "chainguard"),
    "MinimOS": Ecosystem("apk", "apk", "minimos"),
    "BellSoft Hardened Containers": Ecosystem("apk", "apk", "bellsoft-hardened-containers"),
    "Red Hat": Ecosystem("rpm", "rpm", "redhat"),
    "Rocky Linux": Ecosystem("rpm", "rpm", "rocky-linux"),
    "AlmaLinux": Ecosystem("rpm", "rpm", "almalinux"),
    "openSUSE": Ecosystem("rpm", "rpm", "opensuse"),
    "SUSE": Ecosystem("rpm", "rpm", "suse"),
    "Fedora": Ecosystem("rpm", "rpm", "fedora"),
    "Mageia": Ecosystem("rpm", "rpm", "mageia"),
    "openEuler": Ecosystem("rpm", "rpm", "openeuler"),
    "Photon OS": Ecosystem("rpm", "rpm", "photon"),
    "Azure Linux": Ecosystem("rpm", "rpm", "azure-linux"),
}
"""The ecosystems of OSV (https://ossf.github.io/osv-schema/#defined-ecosystems), and those of collections."""

_COLLECTIONS: dict[str, str] = {
    "registry.npmjs.org": "npm", "npmjs.com": "npm", "npmjs.org": "npm",
    "pypi.org": "PyPI", "pypi.python.org": "PyPI",
    "repo.maven.apache.org": "Maven", "repo1.maven.org": "Maven", "maven.org": "Maven",
    "search.maven.org": "Maven", "central.sonatype.com": "Maven", "mvnrepository.com": "Maven",
    "packagist.org": "Packagist", "repo.packagist.org": "Packagist",
    "rubygems.org": "RubyGems", "nuget.org": "NuGet", "api.nuget.org": "NuGet",
    "crates.io": "crates.io", "pkg.go.dev": "Go", "proxy.golang.org": "Go", "hex.pm": "Hex", "pub.dev": "Pub",
    "cran.r-project.org": "CRAN", "hackage.haskell.org": "Hackage",
    "cpan.org": "CPAN", "metacpan.org": "CPAN",
    "wordpress.org": "WordPress", "plugins.svn.wordpress.org": "WordPress", "hub.docker.com": "Docker",
    "packages.debian.org": "Debian", "tracker.debian.org": "Debian", "deb.debian.org": "Debian",
    "launchpad.net": "Ubuntu", "packages.ubuntu.com": "Ubuntu", "pkgs.alpinelinux.org": "Alpine",
    "access.redhat.com": "Red Hat", "catalog.redhat.com": "Red Hat", "packages.fedoraproject.org": "Fedora",
}  # fmt: skip
_FORGES = frozenset({"github.com", "gitlab.com", "codeberg.org", "bitbucket.org"})


def ecosystem_of(name: str) -> Ecosystem:
    """An ecosystem of OSV, with or without a release (``Debian:12``)."""
    return ECOSYSTEMS.get(name.partition(":")[0].strip(), GENERIC)


def collection_of(url: str) -> Ecosystem | None:
    """The ecosystem of a collection of CVE; None for one that is not known here."""
    return ECOSYSTEMS.get(_COLLECTIONS.get(_host(url), ""))


def package_names(ecosystem: Ecosystem, package: str, purl: str = "") -> Iterator[str]:
    """The names of a package: its identity, and for software itself its repository and bare name."""
    if purl and (name := identity_of(purl)):
        yield name
    if not package.strip():
        return
    path = f"{ecosystem.distribution}/{package}" if ecosystem.distribution else package
    if ecosystem is not GENERIC and (name := identity(ecosystem.type, path)):
        yield name
    if ecosystem.type == "githubactions":
        yield from repository_names(f"https://github.com/{'/'.join(package.split('/')[:2])}")
    elif ecosystem.type in ("golang", "swift") and _host(f"https://{package}") in _FORGES:
        yield from repository_names(f"https://{'/'.join(package.split('/')[:3])}")
    if not ecosystem.distribution:
        yield f"name:{package.strip().lower()}"


def collection_names(url: str, package: str) -> Iterator[str]:
    """The names of a package in a collection of CVE, without its bare name."""
    host = _host(url)
    ecosystem = collection_of(url)
    if host in _FORGES and (repository := tuple(repository_names(url))):
        yield from repository  # the collection is the repository, as Red Hat writes of upstream
    elif host in _FORGES:
        yield from repository_names(f"https://{host}/{package.strip('/')}")
    elif ecosystem is not None and ecosystem.type == "wordpress":
        kind = "themes" if "/themes" in url else "plugins"
        yield from filter(None, (identity("wordpress", f"{kind}/{package}"),))
    elif ecosystem is not None:
        yield from (name for name in package_names(ecosystem, package) if not name.startswith("name:"))


_OPENSSL = re.compile(r"[0-9]+(?:\.[0-9]+){1,2}(?:[a-z]{0,2}|-(?:alpha|beta|pre)[0-9]*)")


def scheme_of_product(names: Iterable[str], versions: Iterable[str]) -> str:
    """The scheme of a product that no package manager numbers: that of OpenSSL for its letters, else generic.

    By other rules 1.1.1y may come before 1.1.1 or after it, and ranges of OpenSSL begin at 1.1.1.
    """
    listed = list(versions)
    if "openssl" not in {name.partition(":")[2].rpartition(":")[2] for name in names}:
        return "generic"
    has_letters = any(version[-1:].isalpha() for version in listed)
    return "openssl" if has_letters and all(map(_OPENSSL.fullmatch, listed)) else "generic"


def repository_names(url: str) -> Iterator[str]:
    """The name of a repository, ``repository:HOST/PATH``; none for an address that is no repository."""
    name = repository_name(url)
    if name and name.count("/") >= 2:
        yield name


def _host(url: str) -> str:
    try:
        return (urlsplit(url.strip()).hostname or "").removeprefix("www.").rstrip(".")
    except ValueError:
        return ""
