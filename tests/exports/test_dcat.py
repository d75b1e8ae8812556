"""The catalogue of solutions by DCAT-AP 3.0.1 and ADMS 2.0, in JSON-LD and in Turtle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pyshacl import validate
from rdflib import DCAT, DCTERMS, FOAF, RDF, Graph, Literal, URIRef
from rdflib.compare import isomorphic

from federation.domain.formats.dcat import PREFIXES
from federation.domain.formats.rdf import iri, json_ld, literal, reference, turtle
from federation.node import dcat
from federation.node.node import Node
from tests.api.http_client import fine, refused
from tests.domain.builders import a_group, a_solution, an_operator
from tests.nodes import publish

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")
"""The reader of JSON-LD of rdflib 7 uses a class of its own that it calls deprecated."""
OWN_SHAPES = Path(__file__).with_name("dcat_shapes.ttl")
OFFICIAL = Path(__file__).with_name("dcat_ap")
"""The official shapes of DCAT-AP 3.0.1; its README names source and licence."""
FILES = ("shapes.ttl", "range.ttl", "dcat-ap-SHACL.ttl")
SH = "http://www.w3.org/ns/shacl#"
DATA_SERVICE = "https://semiceu.github.io/DCAT-AP/releases/3.0.1#dcat:DataServiceShape/"
UNDESCRIBED = {
    URIRef(f"{DATA_SERVICE}dc08f4dca4377fade57f89454e3fa06a8389d314"),
    URIRef(f"{DATA_SERVICE}eb3ac4e4fdde2e2588a9502c5956060a18c5c99f"),
}
"""Two shapes that ``dcat-ap-SHACL.ttl`` gives to ``dcat:DataService``, without any description.
SHACL requires a path of each (2.3.1): pyshacl stops at them as soon as the data have a service."""
HYDRA = "http://www.w3.org/ns/hydra/core#"
CATALOG = URIRef("http://arnia.test/#catalog")


async def graph_of(client: httpx2.AsyncClient, path: str) -> Graph:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    form = {"application/ld+json": "json-ld", "text/turtle; charset=utf-8": "turtle"}
    return Graph().parse(data=answer.content, format=form[answer.headers["content-type"]])


async def publish_all(node: Node) -> None:
    """Solutions with every member that the catalogue shows, and with none of them."""
    await publish(node, "operator", "arnia", an_operator(), tlp="CLEAR")
    await publish(node, "solution", "least", a_solution(), tlp="CLEAR")
    whole = a_solution(
        name='A "quoted"\\name',
        summary={"fr": "Résumé\n« sur deux lignes »", "en": 'A "summary"\\'},
        description={"fr": "Description"},
        repository="https://github.com/glpi-project/glpi",
        homepage="https://glpi-project.org/",
        documentation="https://glpi-project.org/documentation/",
        steward={"name": "Teclib'", "identifiers": [{"scheme": "0002", "value": "217100767"}]},
        licence="AGPL-3.0-or-later OR MIT",
        releases=[
            {"version": "10.0.18", "released_at": "2025-02-12"},
            {"version": "10.0.17", "released_at": "2024-11-06"},
            {"version": "11"},
        ],
        based_on=["arnia/least"],
        depends_on=["arnia/least", "recia/other"],
    )
    same_as = ["https://www.wikidata.org/entity/Q1466580"]
    await publish(node, "solution", "whole", whole, tlp="CLEAR", same_as=same_as)


async def test_both_forms_are_one_graph_that_is_valid(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    await publish_all(arnia)
    graph = await graph_of(anyone, "/catalog.ttl")
    for form in ("jsonld", "ttl"):
        check(await graph_of(anyone, f"/catalog.{form}"), [OWN_SHAPES])
    other = await graph_of(anyone, "/catalog.jsonld")
    for pages in (graph, other):
        for subject in list(pages.subjects(RDF.type, URIRef(f"{HYDRA}PagedCollection"))):
            pages.remove((subject, None, None))
    assert isomorphic(graph, other)
    whole = URIRef("http://arnia.test/v1/solutions/arnia/whole")
    assert graph.value(whole, DCTERMS.title) == Literal('A "quoted"\\name')
    assert set(graph.objects(whole, DCTERMS.description)) == {
        Literal("Résumé\n« sur deux lignes »", lang="fr"),
        Literal('A "summary"\\', lang="en"),
        Literal("Description", lang="fr"),
    }
    assert graph.value(whole, URIRef(f"{DCAT}version")) == Literal("10.0.18")
    assert graph.value(graph.value(whole, DCTERMS.creator), FOAF.name) == Literal("Teclib'")
    assert graph.value(whole, DCTERMS.identifier) == Literal("arnia/whole")
    assert len(list(graph.objects(CATALOG, DCAT.dataset))) == 2


@pytest.mark.parametrize("name", FILES)
async def test_the_graph_is_valid_by_the_official_shapes(
    anyone: httpx2.AsyncClient, arnia: Node, name: str
) -> None:
    arnia.security_contact = "mailto:security@arnia.example.org"
    await publish_all(arnia)
    for form in ("jsonld", "ttl"):
        check(await graph_of(anyone, f"/catalog.{form}"), [OFFICIAL / name])


def _without_a_title(graph: Graph) -> None:
    graph.remove((CATALOG, DCTERMS.title, None))


def _with_a_text_as_dataset(graph: Graph) -> None:
    graph.add((CATALOG, DCAT.dataset, Literal("arnia/least")))


def _with_a_publisher_of_no_class(graph: Graph) -> None:
    graph.remove((None, RDF.type, FOAF.Agent))


def _with_two_publishers(graph: Graph) -> None:
    agent = URIRef("http://arnia.test/#other")
    graph.add((agent, RDF.type, FOAF.Agent))
    graph.add((agent, FOAF.name, Literal("Other")))
    graph.add((CATALOG, DCTERMS.publisher, agent))


def _with_a_date_that_is_none(graph: Graph) -> None:
    graph.set((CATALOG, DCTERMS.modified, Literal("yesterday")))


def _with_a_service_without_an_address(graph: Graph) -> None:
    graph.remove((None, DCAT.endpointURL, None))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("shapes.ttl", _without_a_title),
        ("shapes.ttl", _with_a_text_as_dataset),
        ("shapes.ttl", _with_two_publishers),
        ("shapes.ttl", _with_a_date_that_is_none),
        ("range.ttl", _with_a_publisher_of_no_class),
        ("dcat-ap-SHACL.ttl", _without_a_title),
        ("dcat-ap-SHACL.ttl", _with_two_publishers),
        ("dcat-ap-SHACL.ttl", _with_a_service_without_an_address),
    ],
)
async def test_the_official_shapes_refuse_a_catalogue_that_is_spoilt(
    anyone: httpx2.AsyncClient, arnia: Node, name: str, spoil: Callable[[Graph], None]
) -> None:
    await publish_all(arnia)
    graph = await graph_of(anyone, "/catalog.ttl")
    spoil(graph)
    with pytest.raises(AssertionError, match="Conforms: False"):
        check(graph, [OFFICIAL / name])


def test_official_shapes_lack_nothing_but_the_two_that_are_named() -> None:
    assert {name: undescribed(Graph().parse(OFFICIAL / name)) for name in FILES} == {
        name: UNDESCRIBED if name == "dcat-ap-SHACL.ttl" else set() for name in FILES
    }


def undescribed(rules: Graph) -> set[Any]:
    """The shapes of members that a file names and does not describe."""
    return {
        shape for shape in rules.objects(None, URIRef(f"{SH}property")) if (shape, None, None) not in rules
    }


def check(graph: Graph, shapes: list[Path]) -> None:
    rules = Graph()
    for path in shapes:
        rules.parse(path)
    for shape in undescribed(rules) & UNDESCRIBED:
        rules.remove((None, URIRef(f"{SH}property"), shape))
    conforms, _, text = validate(graph, shacl_graph=rules, advanced=False)
    assert conforms, text


async def test_the_shapes_refuse_a_catalogue_without_what_it_must_have(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish_all(arnia)
    for predicate in (DCTERMS.publisher, DCTERMS.description, DCAT.accessURL):
        graph = await graph_of(anyone, "/catalog.ttl")
        graph.remove((None, predicate, None))
        with pytest.raises(AssertionError):
            check(graph, [OWN_SHAPES])


async def test_pages_have_every_solution_once(
    anyone: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dcat, "PAGE_SOLUTIONS", 2)
    for number in range(5):
        await publish(arnia, "solution", f"s{number}", a_solution(), tlp="CLEAR")
    found: list[str] = []
    sizes: list[int] = []
    path = "/catalog.ttl"
    while path:
        answer = await anyone.get(path)
        graph = Graph().parse(data=answer.content, format="turtle")
        listed = [str(dataset) for dataset in graph.objects(CATALOG, DCAT.dataset)]
        found, sizes = found + sorted(listed), [*sizes, len(listed)]
        following = [str(page) for page in graph.objects(None, URIRef(f"{HYDRA}next"))]
        older = [str(page) for page in graph.objects(None, URIRef(f"{HYDRA}nextPage"))]
        assert following == older
        link = answer.headers.get("link", "")
        assert link == (f'<{following[0]}>; rel="next"' if following else "")
        path = following[0] if following else ""
    assert sizes == [2, 2, 1]
    assert found == [f"http://arnia.test/v1/solutions/arnia/s{number}" for number in range(5)]
    refused(await anyone.get("/catalog.ttl?after=nothing"), 400, "invalid", pointer="?after")


async def test_nobody_reads_of_a_label_that_is_not_for_them(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, peer: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "group", "security", a_group(members=["recia"]), tlp="RED")
    labels: dict[str, dict[str, Any]] = {
        "clear": {"tlp": "CLEAR"},
        "green": {"tlp": "GREEN"},
        "amber": {"tlp": "AMBER", "audience": "security"},
        "strict": {"tlp": "AMBER+STRICT", "audience": "security"},
        "red": {"tlp": "RED"},
    }
    for name, envelope in labels.items():
        await publish(arnia, "solution", name, a_solution(name=f"canary-{name}"), **envelope)
    for client, visible in ((anyone, {"clear"}), (peer, {"clear", "green"}), (own, set(labels))):
        for form in ("jsonld", "ttl"):
            text = (await client.get(f"/catalog.{form}")).text
            assert {name for name in labels if f"canary-{name}" in text} == visible
            assert ("access-right/RESTRICTED" in text) == (visible != {"clear"})


async def test_an_unchanged_page_is_not_sent_again(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    await publish_all(arnia)
    first = await anyone.get("/catalog.jsonld")
    tag = {"if-none-match": first.headers["etag"]}
    assert fine(first)["@context"] == PREFIXES
    assert (await anyone.get("/catalog.jsonld", headers=tag)).status_code == 304
    await publish(arnia, "solution", "new", a_solution(), tlp="CLEAR")
    assert (await anyone.get("/catalog.jsonld", headers=tag)).status_code == 200


def test_no_text_of_a_record_ends_its_literal_or_its_address() -> None:
    hostile = ['"', "\\", '\\"', "\n", '" . <urn:x> a <urn:y> . "', "\x00\x07\x7f", "é🙂", "'''", '"""']
    for text in hostile:
        nodes = [
            {**reference(f"https://example.org/{text}"), "dct:title": [literal(text, "fr"), literal(text)]}
        ]
        graphs = [
            Graph().parse(data=write(nodes, PREFIXES), format=form)
            for write, form in ((turtle, "turtle"), (json_ld, "json-ld"))
        ]
        for graph in graphs:
            assert {(str(s), str(o)) for s, _, o in graph} == {(iri(f"https://example.org/{text}"), text)}
