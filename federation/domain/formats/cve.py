"""CVE records, format 5.x (https://github.com/CVEProject/cve-schema): vulnerability, products, scores.

The container of the numbering authority (``cna``) and those that others add (``adp``) are read alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from federation.domain.errors import Invalid
from federation.domain.formats.advisory import Exploitation, Finding, Product, decode, parse_instant
from federation.domain.formats.cpe import identity_of
from federation.domain.formats.cve_platforms import Applicability, applicable_products
from federation.domain.formats.cve_versions import (
    VersionEntry,
    affected_versions,
    is_of_commits,
    named_versions,
)
from federation.domain.formats.ecosystems import (
    ECOSYSTEMS,
    GENERIC,
    Ecosystem,
    collection_names,
    collection_of,
    package_names,
    repository_names,
    scheme_of_product,
)
from federation.domain.formats.purl import identity_of as package_of
from federation.domain.formats.version_text import NOTHING

PUBLISHER = "cve.org"
"""The namespace of CVE ids."""


class _Affected(msgspec.Struct, rename="camel"):
    vendor: str = ""
    product: str = ""
    collection_url: str = msgspec.field(default="", name="collectionURL")
    package_name: str = ""
    package_url: str = msgspec.field(default="", name="packageURL")
    repo: str = ""
    cpes: tuple[str, ...] | None = None
    versions: tuple[VersionEntry, ...] | None = None
    default_status: str | None = None


class _Text(msgspec.Struct):
    lang: str = "en"
    value: str = ""


class _Reference(msgspec.Struct):
    url: str = ""


class _Container(msgspec.Struct, rename="camel"):
    title: str = ""
    descriptions: tuple[_Text, ...] = ()
    rejected_reasons: tuple[_Text, ...] = ()
    affected: tuple[_Affected, ...] = ()
    cpe_applicability: tuple[Applicability, ...] = ()
    references: tuple[_Reference, ...] = ()
    metrics: tuple[dict[str, Any], ...] = ()
    workarounds: tuple[_Text, ...] = ()


class _Containers(msgspec.Struct):
    cna: _Container
    adp: tuple[_Container, ...] = ()


class _Metadata(msgspec.Struct, rename="camel"):
    cve_id: str
    state: str = "PUBLISHED"
    assigner_short_name: str = ""
    date_published: str | None = None
    date_reserved: str | None = None
    date_updated: str | None = None
    date_rejected: str | None = None


class _Record(msgspec.Struct, rename="camel"):
    cve_metadata: _Metadata
    containers: _Containers | None = None


def read_cve(raw: bytes) -> tuple[Finding, ...]:
    """Read the vulnerability of a CVE record. Raises Invalid."""
    record = decode(raw, _Record)
    metadata, containers = record.cve_metadata, record.containers
    if not re.fullmatch(r"CVE-[0-9]{4}-[0-9]{4,19}", metadata.cve_id):
        raise Invalid(f"{metadata.cve_id[:80]!r} is not a CVE id", pointer="/cveMetadata/cveId")
    if containers is None:
        raise Invalid(
            f"{metadata.cve_id} is {metadata.state} and describes nothing yet", pointer="/containers"
        )
    cna = _with_vendor(containers.cna, metadata.assigner_short_name)
    containers = msgspec.structs.replace(containers, cna=cna)
    metrics = [metric for part in (cna, *containers.adp) for metric in part.metrics]
    vector, severity = _score(metrics)
    description, language = _description(cna.descriptions or cna.rejected_reasons)
    name = " ".join(dict.fromkeys(entry.product for entry in cna.affected if entry.product)) or "a product"
    published, updated = parse_instant(metadata.date_published), parse_instant(metadata.date_updated)
    return (
        Finding(
            id=metadata.cve_id,
            title=cna.title or f"{metadata.cve_id} in {name}",
            summary=description or cna.title or metadata.cve_id,
            published=published or parse_instant(metadata.date_reserved) or updated,
            products=tuple(_products(containers)),
            url=f"https://www.cve.org/CVERecord?id={metadata.cve_id}",
            aliases=(metadata.cve_id, *_aliases(containers)),
            severity=severity,
            vector=vector,
            exploitation=_exploitation(metrics),
            withdrawn=metadata.state == "REJECTED",
            workarounds=tuple(
                text.value for text in cna.workarounds if text.lang.startswith("en") and text.value
            ),
            notes=() if cna.title else ("title: not told, made of the product's name",),
            publisher=PUBLISHER,
            document=metadata.cve_id,
            modified=updated or parse_instant(metadata.date_rejected),
            language=language,
        ),
    )


def _description(texts: tuple[_Text, ...]) -> tuple[str, str]:
    """The description in English, or else in the language of the first text, and this language."""
    language = next((text.lang for text in texts if text.lang.lower().startswith("en")), None)
    language = language or next((text.lang for text in texts), "en")
    main = language.lower().partition("-")[0]
    return "\n\n".join(text.value for text in texts if text.lang.lower().startswith(main)), main


def _score(metrics: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    for name in ("cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0"):
        for metric in metrics:
            score = metric.get(name)
            if isinstance(score, dict) and isinstance(score.get("vectorString"), str):
                severity = score.get("baseSeverity")
                return score["vectorString"], severity if isinstance(severity, str) else None
    return None, None


def _exploitation(metrics: list[dict[str, Any]]) -> Exploitation | None:
    """The judgement that CISA adds to the record: known exploited, or the decision of SSVC."""
    decision: Exploitation | None = None
    for metric in metrics:
        extra = metric.get("other")
        if not isinstance(extra, dict):
            continue
        if extra.get("type") == "kev":
            return "active"
        content = extra.get("content")
        options = content.get("options", ()) if isinstance(content, dict) else ()
        for option in options if isinstance(options, list) else ():
            value = option.get("Exploitation") if isinstance(option, dict) else None
            if value in ("none", "poc", "active"):
                decision = value
    return decision


def _aliases(containers: _Containers) -> Iterator[str]:
    for part in (containers.cna, *containers.adp):
        for reference in part.references:
            if alias := re.search(r"GHSA(-[0-9a-z]{4}){3}", reference.url):
                yield alias[0]


# Products


def _with_vendor(cna: _Container, assigner: str) -> _Container:
    """The container, with its numbering authority in the place of a vendor that is not named.

    PostgreSQL writes "n/a" there: what it publishes is its own.
    """
    affected = tuple(
        entry if _is_name(entry.vendor) else msgspec.structs.replace(entry, vendor=assigner)
        for entry in cna.affected
    )
    return msgspec.structs.replace(cna, affected=affected)


_DISTRIBUTORS = {
    "red hat": "Red Hat", "redhat": "Red Hat", "debian": "Debian", "canonical": "Ubuntu", "suse": "SUSE",
    "opensuse": "openSUSE", "fedora": "Fedora", "alpine": "Alpine", "almalinux": "AlmaLinux",
    "rocky": "Rocky Linux", "openeuler": "openEuler",
}  # fmt: skip
"""Ecosystems of vendors that publish packages of others' software."""


def _products(containers: _Containers) -> Iterator[Product]:
    own = list(_of_container(containers.cna, "/containers/cna", containers, supplement=False))
    yield from own
    is_described = any(product.ranges for product in own)
    for number, part in enumerate(containers.adp):
        yield from _of_container(part, f"/containers/adp/{number}", containers, supplement=is_described)


def _of_container(
    part: _Container, pointer: str, containers: _Containers, *, supplement: bool
) -> Iterator[Product]:
    by_version = {
        (entry.vendor, entry.product) for entry in part.affected if not is_of_commits(entry.versions or ())
    }
    for number, entry in enumerate(part.affected):
        if is_of_commits(entry.versions or ()) and (entry.vendor, entry.product) in by_version:
            continue  # the same versions a second time, as commits
        for product in _of_entry(entry, containers, supplement=supplement):
            yield msgspec.structs.replace(product, source_pointer=f"{pointer}/affected/{number}")
    yield from applicable_products(part.cpe_applicability, f"{pointer}/cpeApplicability")


def _of_entry(entry: _Affected, containers: _Containers, *, supplement: bool) -> Iterator[Product]:
    """The product of an entry; for a package of a distribution the package, and the distribution in words."""
    ecosystem = collection_of(entry.collection_url) or GENERIC
    if entry.package_name and ecosystem is GENERIC:
        ecosystem = ECOSYSTEMS.get(_DISTRIBUTORS.get(entry.vendor.strip().lower(), ""), GENERIC)
    names = list(_package_names(entry, ecosystem))
    products = list(_product_names(entry, containers))
    scheme = ecosystem.scheme
    if scheme == "generic":
        scheme = scheme_of_product(products, named_versions(entry.versions or ()))
    versions = affected_versions(entry.versions or (), entry.default_status, scheme, supplement=supplement)
    if not versions.ranges and not versions.texts:
        return  # said not to be affected
    if not ecosystem.distribution or not entry.package_name:
        names, products = [*names, *products], []
    if names:
        yield Product(
            names=tuple(dict.fromkeys(names)),
            ranges=versions.ranges,
            texts=versions.texts,
            fixed=versions.fixed,
            release=entry.product if products and _is_name(entry.product) else "",
        )
    if products:
        # The versions are those of the package: with a version of the distribution they cannot be compared.
        words = " or ".join((*(range_.partition("/")[2] for range_ in versions.ranges), *versions.texts))
        yield Product(names=tuple(dict.fromkeys(products)), texts=(f"package {entry.package_name}: {words}",))


_LISTS_OF_ADVISORIES = frozenset({"security-advisories", "security-advisory", "advisories", "security"})
"""Repositories without a program, where some vendors publish the advisories of all their products."""


def _package_names(entry: _Affected, ecosystem: Ecosystem) -> Iterator[str]:
    if entry.package_url and (name := package_of(entry.package_url)):
        yield name
    if _is_name(entry.package_name):
        yield from collection_names(entry.collection_url, entry.package_name)
        if ecosystem.distribution:
            yield from package_names(ecosystem, entry.package_name)
        else:
            yield f"name:{entry.package_name.strip().lower()}"


def _product_names(entry: _Affected, containers: _Containers) -> Iterator[str]:
    """The names of the product. Its vendor is no product, and a part of a CPE name only together with it."""
    yield from filter(None, map(identity_of, entry.cpes or ()))
    if entry.repo:
        yield from repository_names(entry.repo)
    if not _is_name(entry.product):
        return
    product = entry.product.strip().lower()
    if _is_name(entry.vendor):
        vendor = entry.vendor.strip().lower()
        yield f"cpe:{vendor.replace(' ', '_')}:{product.replace(' ', '_')}"
        # GitHub writes the owner of a repository as the vendor, and its name as the product.
        start = re.compile(rf"https://([a-z0-9.-]+)/{re.escape(vendor)}/{re.escape(product)}(?:/|$)")
        for reference in containers.cna.references:
            if address := start.match(reference.url.lower()):
                yield from repository_names(f"https://{address[1]}/{vendor}/{product}")
        if product in _LISTS_OF_ADVISORIES:
            yield f"name:{vendor}"  # which of its products is only in the description: a question
    yield f"name:{product}"


def _is_name(name: str) -> bool:
    return name.strip().lower() not in NOTHING and name.strip() != "*"
