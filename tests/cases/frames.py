"""Advisories made up for tests, and the answers that deployments get from them: read → match, no database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from federation.domain.content.incident import Affected
from federation.domain.exposure.matching import Verdict, match_version
from federation.domain.formats.advisory import Finding, Product
from federation.domain.formats.cve import read_cve
from federation.domain.formats.osv import read_osv

SOLUTION = "arnia/x"


def cve(affected: Iterable[dict[str, Any]], **more: Any) -> Finding:
    """A CVE record with these entries of ``affected``; ``adp`` and ``metadata`` go to their places."""
    metadata = {
        "cveId": "CVE-2099-10001",
        "state": "PUBLISHED",
        "datePublished": "2099-01-01T00:00:00Z",
        **more.pop("metadata", {}),
    }
    containers: dict[str, Any] = {"adp": more.pop("adp", [])}
    containers["cna"] = {
        "title": "t",
        "descriptions": [{"lang": "en", "value": "d"}],
        "affected": list(affected),
        **more,
    }
    record = {"dataType": "CVE_RECORD", "cveMetadata": metadata, "containers": containers}
    (finding,) = read_cve(json.dumps(record).encode())
    return finding


def product_of_cve(*versions: dict[str, Any], **more: Any) -> Finding:
    """A CVE record of one product, v:p, with these versions."""
    entries = [{"status": "affected", **version} for version in versions]
    return cve([{"vendor": "v", "product": "p", **({"versions": entries} if entries else {}), **more}])


def osv(*affected: dict[str, Any], **more: Any) -> Finding:
    """An OSV advisory with these entries of ``affected``."""
    advisory = {
        "id": "GHSA-aaaa-0000-0001",
        "modified": "2026-01-02T00:00:00Z",
        "published": "2026-01-01T00:00:00Z",
        "summary": "s",
        "details": "d",
        "affected": list(affected),
        **more,
    }
    (finding,) = read_osv(json.dumps(advisory).encode())
    return finding


def package(name: str = "x", ecosystem: str = "npm", **more: Any) -> dict[str, Any]:
    """An entry of ``affected`` of OSV."""
    return {"package": {"ecosystem": ecosystem, "name": name, **more}}


def events(*pairs: tuple[str, str], type_: str = "ECOSYSTEM") -> dict[str, Any]:
    """``ranges`` of OSV with one range of these events."""
    return {"ranges": [{"type": type_, "events": [{kind: version} for kind, version in pairs]}]}


def entries(products: Iterable[Product]) -> list[Affected]:
    """The entries of the incident that is made of products, all of one solution."""
    made = []
    for product in products:
        more: dict[str, Any] = {"fixed_in": product.fixed[:50], "source_pointer": product.source_pointer}
        made += [Affected(solution=SOLUTION, range=range_, **more) for range_ in product.ranges]
        made += [Affected(solution=SOLUTION, range_text=words[:2000], **more) for words in product.texts]
    return made


def answers(finding: Finding, *versions: str) -> list[Verdict | None]:
    """The verdicts for exact versions of a solution that each product of the finding is."""
    listed = entries(finding.products)
    matches = [match_version(listed, SOLUTION, version, "exact") for version in versions]
    return [match.verdict if match else None for match in matches]


def names(finding: Finding) -> set[str]:
    return {name for product in finding.products for name in product.names}


Numbers = tuple[int, ...]


def numbers(version: str) -> Numbers:
    """A dotted number as a tuple, so that 1.0 and 1 are equal."""
    parts = [int(part) for part in version.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


Order = Callable[[str], Any]
