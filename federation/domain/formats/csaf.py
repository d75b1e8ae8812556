"""CSAF documents, advisories and VEX (OASIS, CSAF 2.0 and 2.1, https://docs.oasis-open.org/csaf/csaf).

A document describes several vulnerabilities; each becomes a finding, named by what identifies it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from federation.domain.addresses import address_problem
from federation.domain.errors import Invalid
from federation.domain.formats.advisory import SEVERITIES, Finding, decode, parse_instant, severity_named
from federation.domain.formats.csaf_document import (
    Meta,
    check_status,
    check_version,
    language_of,
    read_label,
    restriction_of,
    url_of,
)
from federation.domain.formats.csaf_status import affected_product, cleared_product, read_statuses
from federation.domain.formats.csaf_tree import Tree, read_groups, read_products
from federation.domain.formats.csaf_vulnerability import (
    Extension,
    Vulnerability,
    exploitation_of,
    identifiers,
    is_catalogue_id,
    labels,
    remedies_of,
    score_of,
    texts_of,
)
from federation.domain.formats.document import MAX_NAME

MAX_VULNERABILITIES = 5_000
"""Vulnerabilities of one document, at most."""
WITHDRAWN = ("csaf_withdrawn", "csaf_superseded", "withdrawn")
"""Categories of documents that hold no longer (CSAF 2.1, profiles 7 and 8; and what nodes write as 2.0)."""


class _Document(msgspec.Struct):
    document: Meta
    product_tree: Tree = msgspec.field(default_factory=Tree)
    vulnerabilities: tuple[Vulnerability, ...] = ()
    x_extensions: tuple[Extension, ...] = ()


def read_csaf(raw: bytes) -> tuple[Finding, ...]:
    """Read the vulnerabilities of a CSAF document. Raises Invalid."""
    file = decode(raw, _Document)
    meta = file.document
    check_version(meta)
    for name, pointer in (
        (meta.tracking.id, "/document/tracking/id"),
        (meta.publisher.namespace, "/document/publisher/namespace"),
    ):
        if len(name) > MAX_NAME:
            raise Invalid(f"it is longer than {MAX_NAME} characters", pointer=pointer)
    if problem := address_problem(meta.publisher.namespace):
        raise Invalid(problem, pointer="/document/publisher/namespace")
    shared = _common_members(file)
    if meta.category.strip().lower() in WITHDRAWN:
        return (_withdrawal(meta, shared),)
    if not file.vulnerabilities:
        raise Invalid("it names no vulnerability", pointer="/vulnerabilities")
    if len(file.vulnerabilities) > MAX_VULNERABILITIES:
        raise Invalid(f"it names more than {MAX_VULNERABILITIES} vulnerabilities", pointer="/vulnerabilities")
    products, groups = read_products(file.product_tree), read_groups(file.product_tree)
    names = labels(file.vulnerabilities, meta.title)
    own = identifiers(file.vulnerabilities)
    findings: dict[str, Finding] = {}
    for number, (vulnerability, label) in enumerate(zip(file.vulnerabilities, names, strict=True)):
        pointer = f"/vulnerabilities/{number}"
        listed, missing = read_statuses(vulnerability.product_status, products)
        remedies, for_all = remedies_of(vulnerability, groups)
        named = [affected_product(entry, pointer, remedies, for_all) for entry in listed]
        cleared = [cleared_product(entry) for entry in listed]
        vector, severity = score_of(vulnerability)
        title = vulnerability.title or (f"{meta.title}: {label}" if len(names) > 1 else meta.title)
        texts = [*texts_of(vulnerability.notes), *texts_of(meta.notes)]
        finding = Finding(
            id=f"{meta.tracking.id}~{label}",
            title=title,
            summary=texts[0] if texts else title,
            products=tuple(product for product in named if product is not None),
            cleared=tuple(product for product in cleared if product is not None),
            aliases=tuple(_aliases(meta, vulnerability, own[number], plural=len(names) > 1)),
            identifiers=own[number],
            severity=severity or (meta.aggregate_severity.text if meta.aggregate_severity else None),
            vector=vector,
            exploitation=exploitation_of(vulnerability),
            **{
                **shared,
                "notes": (
                    *shared["notes"],
                    *([] if texts else ["summary: not told, taken from the title"]),
                    *(f"products: {id_[:80]!r} is not in the product tree" for id_ in missing[:20]),
                    *_unread(vulnerability.x_extensions),
                ),
            },
        )
        earlier = findings.get(label)
        findings[label] = finding if earlier is None else _together(earlier, finding)
    return tuple(findings.values())


def _together(first: Finding, second: Finding) -> Finding:
    """Two entries of a document about one CVE: the products of both are affected."""
    return msgspec.structs.replace(
        first,
        products=(*first.products, *second.products),
        cleared=(),
        aliases=tuple(dict.fromkeys((*first.aliases, *second.aliases))),
        severity=max(
            (first.severity, second.severity),
            key=lambda word: SEVERITIES.index(named) if (named := severity_named(word or "")) else -1,
        ),
        exploitation=first.exploitation or second.exploitation,
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
    )


def _aliases(
    meta: Meta, vulnerability: Vulnerability, own: tuple[str, ...], *, plural: bool
) -> Iterator[str]:
    """Its names. An id of a catalogue that others of the document share would name each of them."""
    listed = [meta.tracking.id, *(entry.text.strip() for entry in vulnerability.ids)]
    yield from own
    for name in listed:
        if name not in own and not (plural and is_catalogue_id(name)):
            yield name


def _common_members(file: _Document) -> dict[str, Any]:
    """The members of a finding that are the same for all vulnerabilities of a document."""
    meta = file.document
    language, language_note = language_of(meta)
    extensions = (*file.x_extensions, *meta.x_extensions)
    return {
        "published": parse_instant(meta.tracking.initial_release_date)
        or parse_instant(meta.tracking.current_release_date),
        "modified": parse_instant(meta.tracking.current_release_date),
        "version": meta.tracking.version[:100],
        "publisher": meta.publisher.namespace,
        "document": meta.tracking.id,
        "url": url_of(meta),
        "tlp": read_label(meta),
        "restriction": restriction_of(meta),
        "draft": check_status(meta) == "draft",
        "language": language,
        "shared": True,
        "notes": (*language_note, *_unread(extensions)),
    }


def _unread(extensions: tuple[Extension, ...]) -> tuple[str, ...]:
    """Notes on extensions without which a document is not understood (CSAF 2.1, 2.4.4.2)."""
    return tuple(
        f"extension: {extension.schema[:200]!r} is not read here, and called {extension.category}"
        for extension in extensions
        if extension.category in ("essential", "significant")
    )


def _withdrawal(meta: Meta, shared: Mapping[str, Any]) -> Finding:
    """Stands for all vulnerabilities of a document that is withdrawn, or superseded by another one."""
    texts = texts_of(meta.notes)
    return Finding(
        id=meta.tracking.id,
        title=meta.title,
        summary=texts[0] if texts else meta.title,
        products=(),
        withdrawn=True,
        entire=True,
        **shared,
    )
