"""Feeds for feed readers: valid by the schema of RFC 4287, stable, bounded, public."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from lxml import etree

from federation.api.examples import DRAFTS, KEYS
from federation.domain.formats.atom import AtomEntry, AtomFeed, atom_feed
from federation.domain.registry import TYPES
from federation.node import atom_feeds
from tests.api.http_client import fine, put, refused
from tests.domain.builders import a_deployment, a_practice, a_solution, an_incident, an_offer, an_operator

SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).parent / "atom.rng"))
ATOM = "{http://www.w3.org/2005/Atom}"
CHALON = {"kind": "list", "beneficiaries": [{"identifiers": [{"scheme": "cog", "value": "71076"}]}]}


async def feed_at(client: httpx2.AsyncClient, path: str) -> Any:
    """A feed that is valid."""
    answer = await client.get(f"/feeds/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/atom+xml"
    return valid(answer.content)


def valid(body: bytes) -> Any:
    feed = etree.fromstring(body)
    SCHEMA.assertValid(feed)
    return feed


def text(parent: Any, name: str) -> str:
    return str(parent.findtext(f"{ATOM}{name}") or "")


def titles(feed: Any) -> list[str]:
    return [text(entry, "title") for entry in feed.iter(f"{ATOM}entry")]


@pytest.fixture
async def shared(own: httpx2.AsyncClient) -> None:
    """A record of each label and of several types."""
    records: list[tuple[str, Any]] = [
        ("operators/arnia", an_operator()),
        ("solutions/glpi", a_solution()),
        ("solutions/other", a_solution(name="Autre", themes=["education"])),
        ("deployments/glpi", a_deployment(coverage=CHALON)),
        ("offers/glpi", an_offer(title={"fr": "Offre GLPI"})),
        (
            "practices/glpi",
            a_practice(title={"fr": "Bien tenir un parc"}, themes=["education"], solutions=["arnia/glpi"]),
        ),
        ("incidents/down", an_incident()),
    ]
    for name, content in records:
        fine(await put(own, name, content, tlp="CLEAR"))
    for tlp in ("GREEN", "RED"):
        fine(await put(own, f"incidents/{tlp.lower()}", an_incident(title={"fr": "canary"}), tlp=tlp))
        fine(await put(own, f"solutions/{tlp.lower()}", a_solution(name="canary"), tlp=tlp))
        fine(await put(own, f"deployments/{tlp.lower()}", a_deployment(coverage=CHALON), tlp=tlp))


@pytest.mark.usefixtures("shared")
async def test_a_feed_has_the_public_records_of_a_type_operator_theme_solution_or_body(
    anyone: httpx2.AsyncClient,
) -> None:
    assert titles(await feed_at(anyone, "incidents.atom?language=fr")) == ["Panne"]
    assert len(titles(await feed_at(anyone, "all.atom?language=fr"))) == 7
    assert len(titles(await feed_at(anyone, "operators/arnia.atom"))) == 7
    assert titles(await feed_at(anyone, "themes/education.atom")) == ["Bien tenir un parc", "Autre"]
    assert titles(await feed_at(anyone, "solutions/arnia/glpi.atom?language=fr")) == [
        "Panne", "Bien tenir un parc", "Offre GLPI", "Déploiement de arnia/glpi", "GLPI",
    ]  # fmt: skip
    assert titles(await feed_at(anyone, "solutions/arnia/other.atom")) == ["Autre"]
    assert titles(await feed_at(anyone, "bodies/cog:71076.atom?language=en")) == [
        "Offre GLPI", "Deployment of arnia/glpi",
    ]  # fmt: skip
    for plural in (kind.plural for kind in TYPES.values()):
        assert "canary" not in titles(await feed_at(anyone, f"{plural}.atom"))


async def test_a_record_of_every_type_is_an_entry(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    public = set()
    for kind in sorted(TYPES.values(), key=lambda kind: kind.type == "contribution"):
        record = f"/v1/{kind.plural}/arnia/{KEYS[kind.type]}"
        await own.put(record, json={"content": DRAFTS[kind.type]["content"], "tlp": "CLEAR"})
        if (await anyone.get(record)).status_code == 200:
            public.add(kind.type)
            (title,) = titles(await feed_at(anyone, f"{kind.plural}.atom"))
            assert title
    assert len(public) >= 10
    found = await feed_at(anyone, "all.atom")
    assert {entry.find(f"{ATOM}category").get("term") for entry in found.iter(f"{ATOM}entry")} == public


@pytest.mark.usefixtures("shared")
async def test_an_entry_stays_itself_when_its_record_is_revised(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    before = await feed_at(anyone, "solutions.atom?language=fr")
    await put(own, "solutions/glpi", a_solution(summary={"fr": "Le parc"}), tlp="CLEAR")
    after = await feed_at(anyone, "solutions.atom?language=fr")
    ids = [[text(entry, "id") for entry in feed.iter(f"{ATOM}entry")] for feed in (before, after)]
    assert ids[1] == [
        "urn:federation:record:solutions:arnia/glpi",
        "urn:federation:record:solutions:arnia/other",
    ]
    assert sorted(ids[0]) == sorted(ids[1])
    first = next(after.iter(f"{ATOM}entry"))
    assert text(first, "summary") == "Le parc"
    assert text(after, "updated") == text(first, "updated") > text(before, "updated")
    assert text(first, "published") < text(first, "updated")
    links = {link.get("rel"): link.get("href") for link in first.iter(f"{ATOM}link")}
    assert links["alternate"].endswith("/fr/solutions/arnia/glpi")
    assert links["related"].endswith("/v1/solutions/arnia/glpi")
    assert text(before, "id") == text(after, "id")


@pytest.mark.usefixtures("shared")
async def test_a_reader_that_has_the_feed_is_told_so_until_it_changes(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    answer = await anyone.get("/feeds/incidents.atom")
    assert answer.headers["cache-control"] == "public, max-age=300"
    known = {"if-none-match": answer.headers["etag"]}
    assert (await anyone.get("/feeds/incidents.atom", headers=known)).status_code == 304
    await put(own, "incidents/hidden", an_incident(), tlp="GREEN")
    assert (await anyone.get("/feeds/incidents.atom", headers=known)).status_code == 304
    await put(own, "incidents/new", an_incident(), tlp="CLEAR")
    assert (await anyone.get("/feeds/incidents.atom", headers=known)).status_code == 200


async def test_a_feed_is_bounded_and_an_empty_one_is_valid(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = await feed_at(anyone, "solutions.atom")
    assert (titles(empty), text(empty, "updated")) == ([], "1970-01-01T00:00:00Z")
    assert titles(await feed_at(anyone, "operators/arnia.atom")) == []
    monkeypatch.setattr(atom_feeds, "MAX_ENTRIES", 2)
    for number in range(3):
        await put(own, f"solutions/s{number}", a_solution(name=f"S{number}"))
    assert titles(await feed_at(anyone, "all.atom")) == ["S2", "S1"]


@pytest.mark.usefixtures("shared")
async def test_what_is_not_there_and_what_is_hidden_are_one_answer(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    for path in (
        "none.atom", "incidents", "incidents.rss", "operators/nobody.atom", "operators/NOBODY.atom",
        "themes/none.atom", "solutions/arnia/none.atom", "solutions/arnia/green.atom",
        "solutions/A/b.atom", "bodies/none.atom",
    ):  # fmt: skip
        refused(await anyone.get(f"/feeds/{path}"), 404, "not-found")
    refused(await own.get("/feeds/solutions/arnia/green.atom"), 404, "not-found")
    fine(await own.delete("/v1/solutions/arnia/other"))
    refused(await anyone.get("/feeds/solutions/arnia/other.atom"), 410, "retracted")


def test_texts_of_others_break_no_feed() -> None:
    hostile = "]]><entry>&\x00\x1b\ufffe" + '"' * 3
    entry = AtomEntry(
        id="urn:x", title=hostile * 90, published="2026-03-01T08:30:00.5Z", updated="2026-03-01T08:30:00Z",
        author=hostile, page="https://a.example.org/?a=1&b=\"2\"", record="https://a.example.org/",
        categories=((hostile, hostile),), summary=hostile * 2_000,
    )  # fmt: skip
    feed = AtomFeed(
        id="urn:feed", title=hostile, language="fr", address="https://a.example.org/", page="", publisher="",
        entries=[entry],
    )  # fmt: skip
    read = next(valid(atom_feed(feed)).iter(f"{ATOM}entry"))
    assert text(read, "title").startswith(']]><entry>&"""')
    assert len(text(read, "title")) <= 300
    assert len(text(read, "summary")) <= 2_000
