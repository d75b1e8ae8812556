"""A database as an earlier program left it, upgraded: all of it goes on under the present names."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command

from federation.domain.audit import CHECKPOINT
from federation.domain.errors import NotFound
from federation.domain.record_reading import UNKNOWN_TYPE
from federation.domain.sources.source import SourceSettings
from federation.domain.visibility import itself
from federation.domain.words import INDEX_VERSION
from federation.node import (
    alert_delivery,
    alert_scan,
    alerts,
    copy_views,
    csaf_signatures,
    deadlines,
    peer_views,
    peers,
    people,
    search_index,
    sessions,
    sources,
)
from federation.node.keys import Keyring, mint_private_key
from federation.store import schema
from tests.api.http_client import NextDoor, fine, refused
from tests.audit.audit_trail import entries, holds
from tests.domain.builders import a_record, a_solution, an_incident
from tests.exposure.commands import told
from tests.exposure.deployments import a_vulnerability, running
from tests.nodes import a_node, browsing, publish
from tests.store.stepwise_transactions import looking

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
SECRET = "c" * 43
HOOK = "https://itsm.example.org/hook"
DEADLINE = (
    b'{"aware_at":"2026-01-30T08:30:00.000000Z","done":[],"incident":null,"note":null,"regimes":["gdpr"],'
    b'"title":"Fuite"}'
)
TRAIL = (
    b'{"actor":"operator","at":"2026-03-01T08:30:00.000000Z","detail":{"name":"clocks.read"},'
    b'"event":"client.added","n":1,"subject":"client-itsm"}',
    b'{"actor":"operator","at":"2026-03-01T08:31:00.000000Z","detail":{"events":"incident.hits-mine'
    b' record.set-aside peer.stale","to":"itsm.example.org"},"event":"subscription.added","n":2,'
    b'"subject":"s"}',
    b'{"actor":"client-erp","at":"2026-03-01T08:32:00.000000Z","detail":{"count":3,"reason":"missing-scope"},'
    b'"event":"access.refused","n":3,"subject":"keep_clock"}',
)
ALERTS = (
    ("a", "incident.hits-mine", "arnia/cve", "incident.hits-mine arnia/cve"),
    ("b", "record.set-aside", "megalis/x", "record.set-aside megalis/public incident/x 7"),
    ("c", "peer.stale", "recia", "peer.stale recia 2026-03-01T08:30:00.000000Z"),
)


async def fill(dsn: str) -> None:
    """Rows as a program of schema 0009 stored them, with its names."""
    jwk = mint_private_key()
    async with looking(dsn) as look:
        await look.execute("INSERT INTO keys (kid, jwk) VALUES ($1, $2)", jwk["kid"], json.dumps(jwk))
        await look.executemany(
            "INSERT INTO clients (id, name, secret_hash, scopes) VALUES ($1, $1, $2, $3)",
            [
                (id_, hashlib.sha256(SECRET.encode()).digest(), scopes)
                for id_, scopes in (
                    ("client-itsm", ["incidents.read", "clocks.read", "clocks.write", "subscriptions.read"]),
                    ("client-erp", ["incidents.read"]),
                )
            ],
        )
        await look.execute("INSERT INTO clocks (key, clock) VALUES ('2026-1', $1)", DEADLINE)
        await look.execute(
            "INSERT INTO subscriptions (id, events, webhook, secret, unanswered_hours, private, created_at)"
            " VALUES ('s', $1, $2, 'whsec_AAAA', 24, false, $3)",
            ["incident.hits-mine", "record.set-aside", "peer.stale"],
            HOOK,
            NOW,
        )
        await look.executemany(
            "INSERT INTO alerts (id, subscription, name, event, subject, data, at, parked_at)"
            " VALUES ($1, 's', $2, $3, $4, '{}', $5, $5)",
            [(id_, name, event, subject, NOW) for id_, event, subject, name in ALERTS],
        )
        await look.execute(
            "WITH feed AS (INSERT INTO feeds (origin, audience, epoch)"
            " VALUES ('megalis', 'public', '00000000000000aa') RETURNING id), copy AS ("
            " INSERT INTO copies (feed, braked, braked_at) SELECT id, '603 of 812', $1 FROM feed)"
            " INSERT INTO set_aside (feed, type, key, seq, revision, reason, detail, told)"
            " SELECT id, 'incident', 'x', 7, 1, 'bad-document', '', true FROM feed",
            NOW,
        )
        for n, retracted in enumerate((False, True), 1):
            await look.execute(
                "INSERT INTO records (type, origin, key, feed, seq, arrived, revision, tlp, audience,"
                " retracted, created_at, updated_at, hash, document, facets, beneficiaries, search)"
                " SELECT 'solution', 'megalis', $5, id, $1, $1, 1, 'CLEAR', 'public', $2,"
                " $3, $3, '', $4, '{}', '{}', '' FROM feeds WHERE origin = 'megalis'",
                n, retracted, NOW, b"{}" * n, f"k{n}",
            )  # fmt: skip
        await look.execute("UPDATE node SET arrival = 2")
        last = bytes(32)
        for n, entry in enumerate(TRAIL, 1):
            last = hashlib.sha256(last + entry).digest()
            await look.execute("INSERT INTO audit (n, entry, hash) VALUES ($1, $2, $3)", n, entry, last)
        claims = {"iss": "arnia", "n": 3, "hash": last.hex(), "iat": int(NOW.timestamp())}
        await look.execute(
            "INSERT INTO audit_checkpoints (n, jws) VALUES (3, $1)",
            Keyring.of(jwk).sign(claims, typ=CHECKPOINT),
        )


@pytest.fixture
async def upgraded(fresh: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of schema 0009, filled, and brought to this program's schema."""
    with monkeypatch.context() as patch:
        upgrade = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0009"))
        await schema.migrate(fresh, "arnia")
    await fill(fresh)
    assert await schema.migrate(fresh, "arnia") == ("0009", schema.newest())
    return fresh


class Receiver(NextDoor):
    """Takes webhooks in this process."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def post_webhook(self, url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
        self.bodies.append({"url": url, **json.loads(body)})
        return 204


async def test_nobody_is_excluded_by_an_upgrade(upgraded: str) -> None:
    """Not even a peer that was suspended: members are told of it when an administrator says so."""
    async with looking(upgraded) as look:
        await look.execute(
            "INSERT INTO peers (operator, url, name, state, keys, thumbprint)"
            " VALUES ('recia', 'https://recia.example.org', 'Recia', 'suspended', '{}', 'x')"
        )
    async with a_node("arnia", upgraded) as node:
        view = await peer_views.peers(node)
        assert view.excluded == ()
        assert [copy.excludes for copy in (await copy_views.copies(node)).values()] == [()]
        await peers.suspend(node, "recia")
        assert (await peer_views.peers(node)).excluded == ("recia",)


async def test_clients_and_deadlines_of_an_earlier_program_go_on(upgraded: str) -> None:
    async with a_node("arnia", upgraded) as node, browsing(node) as client:
        form = {"grant_type": "client_credentials"}
        token = fine(await client.post("/oauth2/token", data=form, auth=("client-itsm", SECRET)), 200)
        assert token["scope"] == "deadlines.read deadlines.write incidents.read subscriptions.read"
        client.headers["authorization"] = f"Bearer {token['access_token']}"
        (found,) = fine(await client.get("/v1/deadlines"), 200)["deadlines"]
        assert (found["key"], found["deadline"]["title"]) == ("2026-1", "Fuite")
        assert found["next"]["due_at"].startswith("2026-02-02T08:30:00")
        assert (await client.delete("/v1/deadlines/arnia/2026-1")).status_code == 204
        with pytest.raises(NotFound):
            await deadlines.find(node, "arnia", "2026-1", by=itself("arnia"))
        without = fine(await client.post("/oauth2/token", data=form, auth=("client-erp", SECRET)), 200)
        client.headers["authorization"] = f"Bearer {without['access_token']}"
        assert "deadlines.read" in refused(await client.get("/v1/deadlines"), 403, "missing-scope")["detail"]


async def test_subscriptions_and_alerts_of_an_earlier_program_go_on(upgraded: str) -> None:
    async with a_node("arnia", upgraded) as node:
        node._outside = receiver = Receiver()
        (one,) = await told(upgraded, "subscription", "list")
        assert one["events"] == ["incident.affects-mine", "record.rejected", "peer.stale"]
        assert await alerts.replay_parked(node, "s", by=itself("arnia")) == 3
        assert await alert_delivery.deliver(node) == 3
        assert {body["type"] for body in receiver.bodies} == set(one["events"])
        await publish(node, "deployment", "one", running())
        await publish(node, "incident", "cve", a_vulnerability())
        await publish(node, "incident", "other", a_vulnerability(aliases=["CVE-2025-24800"]))
        assert await alert_scan.add_alerts(node) == 1, "of arnia/cve an alert was made before the upgrade"
        async with looking(upgraded) as look:
            await look.execute(
                "INSERT INTO rejected_entries (feed, type, key, seq, revision, reason, detail)"
                " SELECT feed, type, 'y', 8, 1, reason, '' FROM rejected_entries"
            )
            assert await alert_scan.add_alerts(node) == 1, "of megalis/x an alert was made before the upgrade"
            await publish(node, "incident", "cve", a_vulnerability(status="fixed"))
            await publish(node, "incident", "cve", a_vulnerability())
            assert await alert_scan.add_alerts(node) == 1, "and it was opened again"
            names = await look.fetch("SELECT name FROM alerts WHERE id IN ('a', 'b', 'c') ORDER BY id")
        assert [row[0] for row in names] == [
            "incident.affects-mine arnia/cve",
            "record.rejected megalis/public incident/x 7",
            "peer.stale recia 2026-03-01T08:30:00.000000Z",
        ]


async def test_subscriptions_of_an_earlier_program_are_no_persons(
    upgraded: str,
) -> None:
    async with a_node("arnia", upgraded) as node:
        anne = await people.add(node, name="Anne", role="reader", by=itself("arnia"))
        caller = anne.caller("arnia")
        (stored,) = await alerts.list_subscriptions(node, by=itself("arnia"))
        assert (stored.id, stored.person) == ("s", None)
        assert await alerts.list_subscriptions(node, by=caller) == ()
        secret = await sessions.begin(node, anne.id)
        assert await sessions.session(node, secret) is not None
        await people.remove(node, anne.id, by=itself("arnia"))
        assert [stored.id for stored in await alerts.list_subscriptions(node, by=itself("arnia"))] == ["s"]


async def test_the_audit_trail_of_an_earlier_program_is_left_and_holds(upgraded: str) -> None:
    async with a_node("arnia", upgraded) as node:
        found = await holds(node, 3)
        assert (found.checkpoints, found.after_checkpoint) == (1, 0)
        noted = await entries(node)
        assert [one.event for one in noted] == ["client.added", "subscription.added", "access.refused"]
        assert noted[1].detail["events"] == "incident.hits-mine record.set-aside peer.stale"
        assert [json.loads(raw) for raw in TRAIL] == await told(upgraded, "audit", "list")
        await alerts.unsubscribe(node, "s", by=itself("arnia"))
        found = await holds(node, 4)
        assert (found.checkpoints, found.after_checkpoint) == (1, 1)
    async with looking(upgraded) as look:
        assert [row[0] for row in await look.fetch("SELECT entry FROM audit ORDER BY n LIMIT 3")] == [*TRAIL]


async def test_rejected_entries_and_paused_removals_of_an_earlier_program_are_there(upgraded: str) -> None:
    async with a_node("arnia", upgraded) as node:
        (copy,) = (await copy_views.copies(node)).values()
        assert copy.paused == "603 of 812"
        assert copy.alarm == "removals await confirmation: 603 of 812"
        (entry,) = (await peer_views.peers(node)).rejected
        assert (entry.origin, entry.key, entry.reason) == ("megalis", "x", "bad-document")
    async with looking(upgraded) as look:
        assert await look.fetchval("SELECT reported FROM rejected_entries")


async def test_the_copies_of_an_earlier_program_count_towards_the_quota_of_their_peer(upgraded: str) -> None:
    async with looking(upgraded) as look:
        rows = await look.fetch("SELECT origin, records, bytes FROM feeds ORDER BY origin, audience")
        assert [tuple(row) for row in rows] == [("arnia", 0, 0), ("arnia", 0, 0), ("megalis", 2, 6)]
        rows = await look.fetch("SELECT origin, withheld FROM alerts")
        assert {tuple(row) for row in rows} == {(None, False)}


async def test_new_outages_stay_green_at_a_node_of_an_earlier_program(upgraded: str) -> None:
    async with a_node("arnia", upgraded) as node:
        outage = json.loads((await publish(node, "incident", "1", an_incident())).document)
        assert (outage["content"]["kind"], outage["tlp"]) == ("outage", "GREEN")
        assert await told(upgraded, "label", "--outages", "CLEAR") == {"outages": "CLEAR"}
        public = json.loads((await publish(node, "incident", "2", an_incident())).document)
        assert public["tlp"] == "CLEAR"


async def test_records_of_an_earlier_program_are_found_by_the_words_of_this_one(upgraded: str) -> None:
    """k2 is a tombstone, and has none."""
    async with a_node("arnia", upgraded) as node, looking(upgraded) as look, browsing(node) as client:
        document = a_record(a_solution(name="demarches-simplifiees.fr")).document
        await look.execute("UPDATE records SET document = $1 WHERE key = 'k1'", document)
        assert await search_index.refresh(node) == 1
        answer = fine(await client.get("/v1/solutions", params={"q": "démarches"}), 200)
        assert [item["content"]["name"] for item in answer["items"]] == ["demarches-simplifiees.fr"]
        assert await look.fetchval("SELECT version FROM search_index") == INDEX_VERSION


async def test_records_of_unknown_types_get_their_mark_and_diverged_copies_are_compared_again(
    fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        upgrade = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0015"))
        await schema.migrate(fresh, "arnia")
    async with looking(fresh) as look:
        await look.execute(
            "WITH feed AS (INSERT INTO feeds (origin, audience, epoch)"
            " VALUES ('megalis', 'public', '00000000000000aa') RETURNING id)"
            " INSERT INTO copies (feed, compared, detail, tried, tried_at) SELECT id, 'diverged', '', 'x', $1"
            " FROM feed",
            NOW,
        )
        for n, (type_, retracted) in enumerate((("solution", False), ("recipe", False), ("recipe", True)), 1):
            await look.execute(
                "INSERT INTO records (type, origin, key, feed, seq, arrived, revision, tlp, audience,"
                " retracted, created_at, updated_at, hash, document, facets, beneficiaries, search)"
                " SELECT $5, 'megalis', $4, id, $1, $1, 1, 'CLEAR', 'public', $2, $3, $3, '', '', '{}', '{}',"
                " '' FROM feeds WHERE origin = 'megalis'",
                n, retracted, NOW, f"k{n}", type_,
            )  # fmt: skip
    await schema.migrate(fresh, "arnia")
    async with looking(fresh) as look:
        marks = await look.fetch("SELECT key, not_understood FROM records ORDER BY key")
        assert [tuple(row) for row in marks] == [("k1", None), ("k2", UNKNOWN_TYPE), ("k3", None)]
        row = await look.fetchrow("SELECT compared, tried, tried_at FROM copies")
        assert tuple(row) == ("diverged", None, None)


async def test_an_upgraded_node_takes_sources(upgraded: str) -> None:
    async with a_node("arnia", upgraded) as node:
        assert await sources.all(node) == ()
        await sources.add(node, SourceSettings(name="advisories", kind="csaf"), by=itself("arnia"))
        (added,) = await sources.all(node)
        assert (added.name, added.state, added.failures) == ("advisories", "active", 0)
        await sources.remove(node, "advisories", by=itself("arnia"))
        assert await sources.all(node) == ()


async def test_an_upgraded_node_gets_an_openpgp_key(upgraded: str) -> None:
    async with a_node("arnia", upgraded) as node:
        assert await csaf_signatures.keys(node) == ()
        made = await csaf_signatures.add_key(node)
        assert await csaf_signatures.keys(node) == (made,)
