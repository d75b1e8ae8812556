"""CSAF 2.0 documents, advisories and VEX (OASIS, https://docs.oasis-open.org/csaf/csaf/v2.0)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from federation.domain.errors import Invalid
from federation.domain.exposure.matching import range_problem
from federation.domain.formats.advisory import Finding, Interval, Product, decoded, moment, ranges_of

MOST_PRODUCTS = 20_000
"""Products of one document, at most."""


class _Identification(msgspec.Struct):
    cpe: str = ""
    purl: str = ""


class _Named(msgspec.Struct):
    product_id: str
    name: str = ""
    product_identification_helper: _Identification | None = None


class _Branch(msgspec.Struct):
    category: str = ""
    name: str = ""
    branches: tuple[_Branch, ...] = ()
    product: _Named | None = None


class _Relationship(msgspec.Struct):
    product_reference: str
    relates_to_product_reference: str
    full_product_name: _Named


class _Tree(msgspec.Struct):
    branches: tuple[_Branch, ...] = ()
    full_product_names: tuple[_Named, ...] = ()
    relationships: tuple[_Relationship, ...] = ()


class _Note(msgspec.Struct):
    category: str = ""
    text: str = ""


class _Reference(msgspec.Struct):
    url: str = ""
    category: str = ""


class _Tracking(msgspec.Struct):
    id: str
    initial_release_date: str | None = None
    current_release_date: str | None = None


class _Severity(msgspec.Struct):
    text: str = ""


class _Publisher(msgspec.Struct):
    namespace: str = ""


class _Meta(msgspec.Struct):
    category: str
    title: str
    tracking: _Tracking
    publisher: _Publisher = msgspec.field(default_factory=_Publisher)
    aggregate_severity: _Severity | None = None
    notes: tuple[_Note, ...] = ()
    references: tuple[_Reference, ...] = ()


class _Remediation(msgspec.Struct):
    category: str
    details: str = ""


class _Id(msgspec.Struct):
    text: str = ""


class _Vulnerability(msgspec.Struct):
    cve: str | None = None
    title: str = ""
    ids: tuple[_Id, ...] = ()
    notes: tuple[_Note, ...] = ()
    product_status: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    remediations: tuple[_Remediation, ...] = ()
    scores: tuple[dict[str, Any], ...] = ()
    threats: tuple[dict[str, Any], ...] = ()


class _Document(msgspec.Struct):
    document: _Meta
    product_tree: _Tree = msgspec.field(default_factory=_Tree)
    vulnerabilities: tuple[_Vulnerability, ...] = ()


class _Version(msgspec.Struct, frozen=True):
    """A product of the tree: what it is called, and which versions of it."""

    names: tuple[str, ...]
    said: str
    """Its version, or a range of them, as the document says."""
    is_range: bool


def read_csaf(raw: bytes) -> tuple[Finding, ...]:
    """What a CSAF document says of each of its vulnerabilities. Raises Invalid."""
    read = decoded(raw, _Document)
    meta = read.document
    if not read.vulnerabilities:
        raise Invalid("it names no vulnerability", pointer="/vulnerabilities")
    products = dict(_products(read.product_tree))
    if len(products) > MOST_PRODUCTS:
        raise Invalid(f"it names more than {MOST_PRODUCTS} products", pointer="/product_tree")
    found = []
    for number, one in enumerate(read.vulnerabilities, 1):
        several = len(read.vulnerabilities) > 1
        vector, severity = _score(one)
        told_as = one.title or (f"{meta.title}: {one.cve or number}" if several else meta.title)
        words = [
            note.text for note in (*one.notes, *meta.notes) if note.category in ("description", "summary")
        ]
        found.append(
            Finding(
                id=f"{meta.tracking.id}~{one.cve or number}" if several else meta.tracking.id,
                title=told_as,
                summary=words[0] if words else told_as,
                published=moment(meta.tracking.initial_release_date)
                or moment(meta.tracking.current_release_date),
                products=tuple(_hit(one, products)),
                url=_url(meta),
                aliases=tuple(
                    alias for alias in (one.cve, meta.tracking.id, *(i.text for i in one.ids)) if alias
                ),
                severity=severity or (meta.aggregate_severity.text if meta.aggregate_severity else None),
                vector=vector,
                exploitation=None,
                workarounds=tuple(
                    r.details for r in one.remediations if r.category == "workaround" and r.details
                ),
                notes=() if words else ("summary: not told, taken from the title",),
            )
        )
    return tuple(found)


def _url(meta: _Meta) -> str:
    for reference in meta.references:
        if reference.category == "self" and re.match(r"https?://[^\s]+$", reference.url):
            return reference.url
    if re.match(r"https?://[^\s]+$", meta.publisher.namespace):
        return meta.publisher.namespace
    raise Invalid("it says nowhere where it is from", pointer="/document/publisher/namespace")


def _score(one: _Vulnerability) -> tuple[str | None, str | None]:
    for name in ("cvss_v4", "cvss_v3", "cvss_v2"):
        for score in one.scores:
            found = score.get(name)
            if isinstance(found, dict) and isinstance(found.get("vectorString"), str):
                severity = found.get("baseSeverity")
                return found["vectorString"], severity if isinstance(severity, str) else None
    for threat in one.threats:
        if threat.get("category") == "impact" and isinstance(threat.get("details"), str):
            return None, threat["details"]
    return None, None


def _products(tree: _Tree) -> Iterator[tuple[str, _Version]]:
    for branch in tree.branches:
        yield from _branch(branch, "", "")
    for named in tree.full_product_names:
        yield named.product_id, _version(named, "", "", named.name, is_range=False)
    known: dict[str, _Version] = {}
    for branch in tree.branches:
        known |= dict(_branch(branch, "", ""))
    for relation in tree.relationships:
        # "telnet as a component of RHEL 7": it is the component that has the version.
        if (component := known.get(relation.product_reference)) is not None:
            yield relation.full_product_name.product_id, component


def _branch(branch: _Branch, vendor: str, product: str) -> Iterator[tuple[str, _Version]]:
    match branch.category:
        case "vendor":
            vendor = branch.name
        case "product_name" | "product_family":
            product = branch.name
    if branch.product is not None:
        is_range = branch.category == "product_version_range"
        said = (
            branch.name
            if branch.category in ("product_version", "product_version_range", "service_pack")
            else ""
        )
        yield branch.product.product_id, _version(branch.product, vendor, product, said, is_range=is_range)
    for inner in branch.branches:
        yield from _branch(inner, vendor, product)


def _version(named: _Named, vendor: str, product: str, said: str, *, is_range: bool) -> _Version:
    names = []
    helper = named.product_identification_helper
    if helper and helper.purl:
        names.append(f"purl:{helper.purl.removeprefix('pkg:').split('@')[0].split('?')[0]}")
    if helper and helper.cpe.count(":") > 4:
        parts = helper.cpe.split(":")
        names.append(
            f"cpe:{parts[3]}:{parts[4]}" if helper.cpe.startswith("cpe:2.3") else f"cpe:{parts[2]}:{parts[3]}"
        )
    if vendor and product:
        names.append(f"cpe:{vendor}:{product}")
    names += [f"name:{name}" for name in (product, named.name) if name]
    return _Version(tuple(dict.fromkeys(name.lower() for name in names)), said.strip(), is_range)


_HIT = ("known_affected", "first_affected", "last_affected")


def _hit(one: _Vulnerability, products: Mapping[str, _Version]) -> Iterator[Product]:
    """The products that are hit, one for each name, with all their versions."""
    by_name: dict[tuple[str, ...], dict[str, list[_Version]]] = {}
    for status, ids in one.product_status.items():
        for id_ in ids:
            if (product := products.get(id_)) is not None:
                by_name.setdefault(product.names[:1], {}).setdefault(status, []).append(product)
    for of_name in by_name.values():
        hit = [version for status in _HIT for version in of_name.get(status, ())]
        asked = of_name.get("under_investigation", [])
        fixed = [*of_name.get("first_fixed", ()), *of_name.get("fixed", ())]
        if not hit and not asked and not fixed:
            continue  # only said not to be affected
        names = tuple(
            dict.fromkeys(n for several in of_name.values() for one_ in several for n in one_.names)
        )
        intervals: list[Interval] = []
        ranges: list[str] = []
        texts = [f"under investigation: {version.said or 'every version'}" for version in asked]
        for version in hit:
            if version.said.startswith("vers:"):
                (ranges if range_problem(version.said) is None else texts).append(version.said)
            elif not version.said:
                intervals.append((None, None))
            elif found := re.fullmatch(r"(>=|<=|<|>|=)?\s*([^\s<>=|]+)", version.said):
                comparator, bound = found[1] or "", found[2]
                said = f"{comparator.replace('=', '') if comparator == '=' else comparator}{bound}"
                intervals.append((None, said) if comparator.startswith("<") else (said, None))
            else:
                texts.append(version.said)
        if not hit and not asked:
            texts.append("the document lists only what is fixed")
        made, untold = ranges_of("generic", intervals)
        yield Product(
            names=names,
            ranges=(*ranges, *made),
            texts=(*texts, *untold),
            fixed=tuple(version.said for version in fixed if version.said and not version.is_range),
        )
