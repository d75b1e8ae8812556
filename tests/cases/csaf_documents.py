"""Small CSAF documents, and the answers that their findings give."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from federation.domain.content.incident import Affected
from federation.domain.exposure.matching import VersionMatch, match_version
from federation.domain.formats.advisory import Finding
from federation.domain.formats.catalogue import Catalogue
from federation.domain.formats.csaf import read_csaf
from federation.domain.formats.incident import incident_of

Json = dict[str, Any]


def leaf(category: str, name: str, id_: str, **helper: Any) -> Json:
    """A branch with a product."""
    product: Json = {"product_id": id_, "name": f"Full name of {id_}"}
    if helper:
        product["product_identification_helper"] = helper
    return {"category": category, "name": name, "product": product}


def branch(category: str, name: str, *branches: Json) -> Json:
    return {"category": category, "name": name, "branches": list(branches)}


def product(*branches: Json, name: str = "glpi") -> Json:
    """A product tree with one product and its versions."""
    return {"branches": [branch("product_name", name, *branches)]}


def vulnerability(**members: Any) -> Json:
    """A vulnerability; product statuses by their names."""
    statuses = {
        name: members.pop(name)
        for name in list(members)
        if name.endswith(("affected", "fixed", "investigation", "recommended")) or name == "unknown"
    }
    return {"cve": "CVE-2099-7001", "product_status": statuses, **members}


def document(
    tree: Json | None = None,
    *vulnerabilities: Json,
    id_: str = "t-1",
    version: str = "1",
    date: str = "2026-01-01T00:00:00Z",
    status: str = "final",
    namespace: str = "https://example.org",
    **members: Any,
) -> bytes:
    """A CSAF document; more members of ``document`` by their names."""
    meta = {
        "category": "csaf_security_advisory",
        "csaf_version": "2.0",
        "title": "A flaw",
        "publisher": {"category": "vendor", "name": "Example", "namespace": namespace},
        "tracking": {
            "id": id_, "status": status, "version": version, "current_release_date": date,
            "initial_release_date": "2026-01-01T00:00:00Z",
        },
        **members,
    }  # fmt: skip
    file: Json = {"document": meta}
    if tree is not None:
        file["product_tree"] = tree
    if vulnerabilities:
        file["vulnerabilities"] = list(vulnerabilities)
    return json.dumps(file).encode()


def finding(tree: Json, **statuses: Any) -> Finding:
    """The only finding of a document with one vulnerability."""
    (found,) = read_csaf(document(tree, vulnerability(**statuses)))
    return found


def match(found: Finding, version: str | None, solution: str = "arnia/glpi") -> VersionMatch | None:
    """The answer for a deployment of a solution that the finding is about."""
    incident = incident_of(found, Catalogue([], always=(solution,)).find, b"")
    if incident is None:
        return None
    entries = [msgspec.convert(entry, Affected) for entry in incident.content["affects"]]
    return match_version(entries, solution, version, "exact" if version else None)


def verdicts(found: Finding, versions: Sequence[str]) -> dict[str, str]:
    """The verdict for each version."""
    answers = {version: match(found, version) for version in versions}
    return {version: answer.verdict if answer else "no entry" for version, answer in answers.items()}
