"""A catalogue of solutions by DCAT-AP 3.0.1, each of them an asset by ADMS 2.0.

A page has the catalogue with the solutions of that page. Pages are linked by Hydra, in both forms in which
harvesters look for it: ``hydra:next`` of a ``PartialCollectionView`` and ``hydra:nextPage`` of the older
``PagedCollection``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from federation.domain.content.solution import Release, Solution
from federation.domain.document import Envelope
from federation.domain.formats.rdf import Node, literal, reference, typed
from federation.domain.formats.spdx import licence_problem
from federation.domain.organisation import Organisation

PREFIXES = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "hydra": "http://www.w3.org/ns/hydra/core#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
AUTHORITY = "http://publications.europa.eu/resource/authority"
STATUSES = {
    "concept": "UnderDevelopment",
    "development": "UnderDevelopment",
    "beta": "UnderDevelopment",
    "stable": "Completed",
    "obsolete": "Deprecated",
}
"""Statuses of the vocabulary of ADMS."""
THEMES = {
    "GOVE": {"en": "Government and public sector", "fr": "Gouvernement et secteur public"},
    "TECH": {"en": "Science and technology", "fr": "Science et technologie"},
}
"""Data themes of the EU that each solution has."""
_SINGLE = re.compile(r"[A-Za-z0-9.+-]+")


class LiveSolution(Envelope, frozen=True, kw_only=True):
    """The record of a solution that is no tombstone."""

    content: Solution


class Publisher(msgspec.Struct, frozen=True):
    """The node that publishes the catalogue, and its operator."""

    url: str
    operator: str
    name: str
    contact: str | None = None


class Pages(msgspec.Struct, frozen=True):
    """The addresses of a page and of those around it."""

    this: str
    first: str
    following: str | None
    items: int


def catalogue(
    publisher: Publisher, solutions: Sequence[LiveSolution], pages: Pages, *, modified: str | None
) -> list[Node]:
    """The graph of a page. ``modified``: the time of the last change of any solution."""
    agent = reference(f"{publisher.url}/#operator", "foaf:Agent")
    node: Node = {
        **reference(f"{publisher.url}/#catalog", "dcat:Catalog"),
        "dct:title": [
            literal(f"Digital solutions of {publisher.name}", "en"),
            literal(f"Solutions numériques de {publisher.name}", "fr"),
        ],
        "dct:description": [
            literal(f"Software and services that {publisher.name} runs, offers or recommends.", "en"),
            literal(f"Logiciels et services que {publisher.name} exploite, propose ou recommande.", "fr"),
        ],
        "dct:publisher": {**agent, "foaf:name": literal(publisher.name)},
        "foaf:homepage": reference(f"{publisher.url}/", "foaf:Document"),
        "dcat:themeTaxonomy": {
            **reference(f"{AUTHORITY}/data-theme", "skos:ConceptScheme"),
            "dct:title": literal("Data theme", "en"),
        },
        "dcat:service": _service(publisher),
    }
    if modified is not None:
        node["dct:modified"] = typed(modified, "xsd:dateTime")
    if solutions:
        node["dcat:dataset"] = [reference(_address(publisher, solution)) for solution in solutions]
    return [
        node,
        _page(pages),
        *map(_concept, THEMES),
        *(_asset(publisher, solution) for solution in solutions),
    ]


def _page(pages: Pages) -> Node:
    node: Node = {
        "@id": pages.this,
        "@type": ["hydra:PartialCollectionView", "hydra:PagedCollection"],
        "hydra:first": reference(pages.first),
        "hydra:firstPage": literal(pages.first),
        "hydra:itemsPerPage": typed(str(pages.items), "xsd:integer"),
    }
    if pages.following is not None:
        node |= {"hydra:next": reference(pages.following), "hydra:nextPage": literal(pages.following)}
    return node


def _service(publisher: Publisher) -> Node:
    """The interface of the node, from which the same records can be read."""
    return {
        **reference(f"{publisher.url}/v1", "dcat:DataService"),
        "dct:title": literal(f"API of the node of {publisher.name}", "en"),
        "dcat:endpointURL": reference(f"{publisher.url}/v1"),
        "dcat:endpointDescription": reference(f"{publisher.url}/v1/openapi.json"),
    }


def _concept(code: str) -> Node:
    return {
        **reference(f"{AUTHORITY}/data-theme/{code}", "skos:Concept"),
        "skos:inScheme": reference(f"{AUTHORITY}/data-theme"),
        "skos:prefLabel": [literal(text, language) for language, text in THEMES[code].items()],
    }


def _address(publisher: Publisher, record: LiveSolution) -> str:
    return f"{publisher.url}/v1/solutions/{record.origin}/{record.key}"


def _asset(publisher: Publisher, record: LiveSolution) -> Node:
    solution, address = record.content, _address(publisher, record)
    texts = [(language, text) for language, text in solution.summary.items()]
    texts += list((solution.description or {}).items())
    is_public = record.tlp == "CLEAR"
    node: Node = {
        "@id": address,
        "@type": ["dcat:Dataset", "adms:Asset"],
        "dct:identifier": literal(f"{record.origin}/{record.key}"),
        "dct:title": literal(solution.name),
        "dct:description": [literal(text, language) for language, text in texts],
        "dct:issued": typed(record.created_at, "xsd:dateTime"),
        "dct:modified": typed(record.updated_at, "xsd:dateTime"),
        "dct:publisher": reference(f"{publisher.url}/#operator"),
        "dct:accessRights": reference(
            f"{AUTHORITY}/access-right/{'PUBLIC' if is_public else 'RESTRICTED'}", "dct:RightsStatement"
        ),
        "adms:status": reference(f"http://purl.org/adms/status/{STATUSES[solution.status]}"),
        "dcat:theme": [reference(f"{AUTHORITY}/data-theme/{code}") for code in THEMES],
        "dcat:keyword": [literal(word) for word in (solution.kind, *solution.themes)],
        "dcat:distribution": list(_distributions(solution, address)),
        "dcat:landingPage": reference(
            solution.homepage or f"{publisher.url}/en/solutions/{record.origin}/{record.key}", "foaf:Document"
        ),
    }
    return {**node, **dict(_more(publisher, record))}


def _more(publisher: Publisher, record: LiveSolution) -> Iterator[tuple[str, Any]]:
    """Members that not every solution has."""
    solution = record.content
    if solution.documentation is not None:
        yield "foaf:page", reference(solution.documentation, "foaf:Document")
    if solution.steward is not None:
        yield "dct:creator", {"@type": "foaf:Agent", "foaf:name": literal(_steward(solution.steward))}
    if publisher.contact is not None:
        yield (
            "dcat:contactPoint",
            {
                "@type": ["vcard:Kind", "vcard:Organization"],
                "vcard:fn": literal(publisher.name),
                "vcard:hasEmail": reference(f"mailto:{publisher.contact}"),
            },
        )
    if (version := _version(solution.releases)) is not None:
        yield "dcat:version", literal(version)
    if record.same_as:
        yield "owl:sameAs", [reference(uri) for uri in record.same_as]
    if related := (*solution.based_on, *solution.depends_on):
        yield (
            "dct:relation",
            [reference(f"{publisher.url}/v1/solutions/{id_}") for id_ in dict.fromkeys(related)],
        )


def _steward(steward: str | Organisation) -> str:
    if isinstance(steward, str):
        return steward
    number = steward.identifiers[0]
    return steward.name or f"{number.scheme}:{number.value}"


def _version(releases: Sequence[Release]) -> str | None:
    """The newest release of which the day is known."""
    dated = [(release.released_at, release.version) for release in releases if release.released_at]
    return max(dated)[1] if dated else None


def _distributions(solution: Solution, address: str) -> Iterator[Node]:
    if solution.repository is not None:
        yield {
            "@type": "dcat:Distribution",
            "dct:title": [literal("Source code", "en"), literal("Code source", "fr")],
            "dcat:accessURL": reference(solution.repository),
            "dct:license": _licence(solution.licence),
        }
    yield {
        "@type": "dcat:Distribution",
        "dct:title": [literal("Record of the solution", "en"), literal("Fiche de la solution", "fr")],
        "dcat:accessURL": reference(address),
        "dcat:mediaType": reference(
            "http://www.iana.org/assignments/media-types/application/json", "dct:MediaType"
        ),
        "dct:format": reference(f"{AUTHORITY}/file-type/JSON", "dct:MediaTypeOrExtent"),
    }


def _licence(licence: str) -> Node:
    """A licence of the SPDX list by its address; an expression, or a licence of no list, by its words."""
    if _SINGLE.fullmatch(licence) and not licence.startswith("LicenseRef-") and not licence_problem(licence):
        return reference(f"https://spdx.org/licenses/{licence}", "dct:LicenseDocument")
    return {"@type": "dct:LicenseDocument", "rdfs:label": literal(licence)}
