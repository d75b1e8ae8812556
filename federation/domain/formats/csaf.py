"""CSAF 2.0 documents, advisories and VEX (OASIS, https://docs.oasis-open.org/csaf/csaf/v2.0)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

import msgspec

from federation.domain.errors import Invalid
from federation.domain.exposure.matching import range_problem
from federation.domain.formats.advisory import Finding, Product, decode, parse_instant
from federation.domain.formats.ranges import Interval, ranges_of
from federation.domain.visibility import Tlp

MAX_PRODUCTS = 20_000
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
    status: str = "final"
    initial_release_date: str | None = None
    current_release_date: str | None = None


class _Severity(msgspec.Struct):
    text: str = ""


class _Publisher(msgspec.Struct):
    namespace: str = ""


class _Tlp(msgspec.Struct):
    label: str


class _Distribution(msgspec.Struct):
    tlp: _Tlp | None = None


class _Meta(msgspec.Struct):
    category: str
    title: str
    tracking: _Tracking
    publisher: _Publisher = msgspec.field(default_factory=_Publisher)
    aggregate_severity: _Severity | None = None
    distribution: _Distribution | None = None
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


class _ProductVersion(msgspec.Struct, frozen=True):
    """A product of the tree: its names, and the versions of it."""

    names: tuple[str, ...]
    version: str
    """Its version, or a range of them, as the document writes it."""
    is_range: bool


def read_csaf(raw: bytes) -> tuple[Finding, ...]:
    """Read the vulnerabilities of a CSAF document. Raises Invalid."""
    file = decode(raw, _Document)
    meta = file.document
    if not file.vulnerabilities:
        raise Invalid("it names no vulnerability", pointer="/vulnerabilities")
    tlp = _tlp(meta)
    products = dict(_products(file.product_tree))
    if len(products) > MAX_PRODUCTS:
        raise Invalid(f"it names more than {MAX_PRODUCTS} products", pointer="/product_tree")
    findings = []
    is_plural = len(file.vulnerabilities) > 1
    for number, vulnerability in enumerate(file.vulnerabilities, 1):
        vector, severity = _score(vulnerability)
        name = vulnerability.cve or number
        title = vulnerability.title or (f"{meta.title}: {name}" if is_plural else meta.title)
        texts = [
            note.text
            for note in (*vulnerability.notes, *meta.notes)
            if note.category in ("description", "summary")
        ]
        findings.append(
            Finding(
                id=f"{meta.tracking.id}~{name}" if is_plural else meta.tracking.id,
                title=title,
                summary=texts[0] if texts else title,
                published=parse_instant(meta.tracking.initial_release_date)
                or parse_instant(meta.tracking.current_release_date),
                products=tuple(_affected_products(vulnerability, products)),
                url=_url(meta),
                aliases=tuple(
                    alias
                    for alias in (vulnerability.cve, meta.tracking.id, *(i.text for i in vulnerability.ids))
                    if alias
                ),
                severity=severity or (meta.aggregate_severity.text if meta.aggregate_severity else None),
                vector=vector,
                exploitation=None,
                workarounds=tuple(
                    r.details for r in vulnerability.remediations if r.category == "workaround" and r.details
                ),
                notes=() if texts else ("summary: not told, taken from the title",),
                tlp=tlp,
                draft=meta.tracking.status == "draft",
            )
        )
    return tuple(findings)


_LABELS: dict[str, Tlp] = {"WHITE": "CLEAR", **{label: label for label in get_args(Tlp)}}
"""Labels of CSAF 2.0 (3.2.1.5.2.1, TLP 1) and 2.1 (TLP 2), as labels of TLP 2.0."""


def _tlp(meta: _Meta) -> Tlp | None:
    """The label of the document. Raises Invalid for a label that is unknown: it may be a narrow one."""
    if meta.distribution is None or meta.distribution.tlp is None:
        return None
    label = meta.distribution.tlp.label
    if label not in _LABELS:
        raise Invalid(
            f"its label is {label[:20]!r}; {', '.join(_LABELS)} are known",
            pointer="/document/distribution/tlp/label",
        )
    return _LABELS[label]


def _url(meta: _Meta) -> str:
    for reference in meta.references:
        if reference.category == "self" and re.match(r"https?://[^\s]+$", reference.url):
            return reference.url
    if re.match(r"https?://[^\s]+$", meta.publisher.namespace):
        return meta.publisher.namespace
    raise Invalid("it says nowhere where it is from", pointer="/document/publisher/namespace")


def _score(vulnerability: _Vulnerability) -> tuple[str | None, str | None]:
    for name in ("cvss_v4", "cvss_v3", "cvss_v2"):
        for score in vulnerability.scores:
            cvss = score.get(name)
            if isinstance(cvss, dict) and isinstance(cvss.get("vectorString"), str):
                severity = cvss.get("baseSeverity")
                return cvss["vectorString"], severity if isinstance(severity, str) else None
    for threat in vulnerability.threats:
        if threat.get("category") == "impact" and isinstance(threat.get("details"), str):
            return None, threat["details"]
    return None, None


def _products(tree: _Tree) -> Iterator[tuple[str, _ProductVersion]]:
    for branch in tree.branches:
        yield from _branch(branch, "", "")
    for named in tree.full_product_names:
        yield named.product_id, _version(named, "", "", named.name, is_range=False)
    components: dict[str, _ProductVersion] = {}
    for branch in tree.branches:
        components |= dict(_branch(branch, "", ""))
    for relation in tree.relationships:
        # "telnet as a component of RHEL 7": it is the component that has the version.
        if (component := components.get(relation.product_reference)) is not None:
            yield relation.full_product_name.product_id, component


def _branch(branch: _Branch, vendor: str, product: str) -> Iterator[tuple[str, _ProductVersion]]:
    match branch.category:
        case "vendor":
            vendor = branch.name
        case "product_name" | "product_family":
            product = branch.name
    if branch.product is not None:
        is_range = branch.category == "product_version_range"
        is_version = is_range or branch.category in ("product_version", "service_pack")
        version = branch.name if is_version else ""
        yield branch.product.product_id, _version(branch.product, vendor, product, version, is_range=is_range)
    for inner in branch.branches:
        yield from _branch(inner, vendor, product)


def _version(named: _Named, vendor: str, product: str, version: str, *, is_range: bool) -> _ProductVersion:
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
    return _ProductVersion(tuple(dict.fromkeys(name.lower() for name in names)), version.strip(), is_range)


_AFFECTED = ("known_affected", "first_affected", "last_affected")


def _affected_products(
    vulnerability: _Vulnerability, products: Mapping[str, _ProductVersion]
) -> Iterator[Product]:
    """The products that are affected, one for each name, with all their versions."""
    by_name: dict[tuple[str, ...], dict[str, list[_ProductVersion]]] = {}
    for status, ids in vulnerability.product_status.items():
        for id_ in ids:
            if (product := products.get(id_)) is not None:
                by_name.setdefault(product.names[:1], {}).setdefault(status, []).append(product)
    for by_status in by_name.values():
        affected = [version for status in _AFFECTED for version in by_status.get(status, ())]
        investigated = by_status.get("under_investigation", [])
        fixed = [*by_status.get("first_fixed", ()), *by_status.get("fixed", ())]
        if not affected and not investigated and not fixed:
            continue  # listed as not affected only
        ranges, texts = _ranges(affected)
        texts = [
            *(f"under investigation: {version.version or 'every version'}" for version in investigated),
            *texts,
        ]
        if not affected and not investigated:
            texts.append("the document lists only what is fixed")
        yield Product(
            names=tuple(
                dict.fromkeys(
                    name for versions in by_status.values() for version in versions for name in version.names
                )
            ),
            ranges=ranges,
            texts=tuple(texts),
            fixed=tuple(version.version for version in fixed if version.version and not version.is_range),
        )


def _ranges(affected: Iterable[_ProductVersion]) -> tuple[tuple[str, ...], list[str]]:
    """The affected versions as ``vers`` ranges, and in words where they are none."""
    intervals: list[Interval] = []
    ranges: list[str] = []
    texts: list[str] = []
    for product in affected:
        if product.version.startswith("vers:"):
            (ranges if range_problem(product.version) is None else texts).append(product.version)
        elif not product.version:
            intervals.append((None, None))
        elif comparison := re.fullmatch(r"(>=|<=|<|>|=)?\s*([^\s<>=|]+)", product.version):
            comparator, version = comparison[1] or "", comparison[2]
            bound = f"{'' if comparator == '=' else comparator}{version}"
            intervals.append((None, bound) if comparator.startswith("<") else (bound, None))
        else:
            texts.append(product.version)
    generic, unranged = ranges_of("generic", intervals)
    return (*ranges, *generic), [*texts, *unranged]
