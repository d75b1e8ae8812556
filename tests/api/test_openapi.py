"""The OpenAPI document: valid, complete, and what is really answered."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from federation.api.examples import (
    DEADLINE,
    DRAFTS,
    EVENTS,
    FEEDBACK,
    KEYS,
    REGISTRATION,
    SOURCE,
    SUBSCRIPTION,
    UPDATE,
)
from federation.api.portable import OPEN
from federation.domain.checkpoint import RECEIPT, Receipt
from federation.domain.feed import FeedName
from federation.domain.registry import TYPES
from federation.domain.scopes import SCOPES
from federation.domain.visibility import itself
from federation.node import alert_delivery, alert_scan, checkpoints, csaf_signatures, invitations, peers
from federation.node.node import Node
from tests.api.http_client import ASSERTION, JSON, NDJSON, PATCH, NextDoor, ndjson, operations, resolved
from tests.nodes import a_client, introduce

Document = dict[str, Any]


@pytest.fixture
async def document(anyone: httpx2.AsyncClient) -> Document:
    answer = await anyone.get("/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: Document = answer.json()
    return found


def described(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_valid(document: Document) -> None:
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_every_operation_is_in_it(document: Document) -> None:
    there = {
        (operation.method, re.sub(r":\w+}", "}", operation.template))
        for operation in operations()
        if operation.operation.id
    }
    assert {(method, path) for method, path, _ in described(document)} == there


def test_operation_ids_make_good_method_names(document: Document) -> None:
    names = [operation["operationId"] for _, _, operation in described(document)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z0-9]*)+", name) for name in names)


CREDENTIALS: dict[str, list[dict[str, list[str]]]] = {
    "/oauth2/token": [{"client": []}, {}],
    "/oauth2/revoke": [{"client": []}],
    "/oauth2/introspect": [{"client": []}],
    "/v1/join": [{"invitation": []}],
    "/v1/sources/{source}/events": [{"source": []}, {"sourceByPassword": []}],
}
"""Operations whose callers show something else than an access token."""


def test_every_operation_says_what_it_is_for_who_may_and_what_can_go_wrong(document: Document) -> None:
    rights = {(op.method, re.sub(r":\w+}", "}", op.template)): op.right for op in operations()}
    reads = {(op.method, re.sub(r":\w+}", "}", op.template)): op.reads for op in operations()}
    for method, path, operation in described(document):
        where = (method, path)
        assert operation["summary"], where
        assert "{" not in operation["description"], where
        right = rights[where]
        wanted = [{"oauth2": [right.scope]}] if right.scope else CREDENTIALS.get(path, [])
        assert operation["security"] == ([{}, *wanted] if right.open and right.scope else wanted), where
        assert set(SCOPES) >= {scope for one in operation["security"] for scope in one.get("oauth2", ())}
        answers = operation["responses"]
        errors = {status for status in answers if status[0] in "45"}
        assert "500" in errors, where
        if right.scope:
            assert errors >= {"401", "403", "503"}, where
        for status in errors:
            is_oauth = path.startswith("/oauth2/") and status != "500"
            form = "application/json" if is_oauth else "application/problem+json"
            assert form in resolved(document, answers[status])["content"], (where, status)
        assert ("requestBody" in operation) == bool(reads[where]), where
        if reads[where]:
            assert operation["requestBody"]["required"], where
            assert errors >= {"413", "415"}, where
        for name in re.findall(r"{(\w+)}", path):
            parameters = [resolved(document, parameter) for parameter in operation["parameters"]]
            assert any(p["name"] == name and p["in"] == "path" for p in parameters), where


def test_scopes_and_links_in_it_are_this_nodes(document: Document, arnia: Node) -> None:
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert set(flow["scopes"]) == set(SCOPES)
    assert flow["tokenUrl"] == f"{arnia.url}/oauth2/token"
    assert document["servers"] == [{"url": arnia.url}]


def closed(value: Any) -> Any:
    """The same schema with its open enumerations closed: this node answers the values that it describes."""
    if isinstance(value, dict):
        changed = {("enum" if name == OPEN else name): closed(inner) for name, inner in value.items()}
        if OPEN in value and "null" in value.get("type", ()):
            changed["enum"] = [*value[OPEN], None]
        return changed
    return [closed(inner) for inner in value] if isinstance(value, list) else value


def validator(document: Document, schema: dict[str, Any]) -> Draft202012Validator:
    return closed_validator(closed(document["components"]["schemas"]), schema)


def closed_validator(schemas: Any, schema: dict[str, Any]) -> Draft202012Validator:
    """Of a schema that refers to these, which are closed."""
    whole = {"components": {"schemas": schemas}, **closed(schema)}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_every_example_fits_its_schema(document: Document) -> None:
    seen = 0
    for _, path, operation in described(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in content:
                validator(document, content["schema"]).validate(content["example"])
                seen += 1
        assert path
    assert seen >= 16


def test_the_schema_refuses_what_the_node_refuses(document: Document) -> None:
    draft = validator(document, {"$ref": "#/components/schemas/SolutionDraft"})
    good = DRAFTS["solution"]
    draft.validate(good)
    assert not draft.is_valid({**good, "content": {**good["content"], "themes": ["astrology"]}})
    wrong: list[dict[str, Any]] = [
        {**good, "revision": 1}, {**good, "tlp": "WHITE"}, {}, {"content": {}},
        {**good, "content": {**good["content"], "colour": "red"}},
        {**good, "content": {**good["content"], "themes": []}},
    ]  # fmt: skip
    for one in wrong:
        assert not draft.is_valid(one)


async def test_what_keeps_the_schema_and_breaks_a_rule_of_the_node_is_refused(
    own: httpx2.AsyncClient, arnia: Node, anyone: httpx2.AsyncClient, document: Document
) -> None:
    """Rules 26 and 27, which need a node; the others are in tests/contract/test_rules.py."""
    draft = {**DRAFTS["incident"], "tlp": "AMBER", "audience": "security"}
    validator(document, {"$ref": "#/components/schemas/IncidentDraft"}).validate(draft)
    refused = await own.put("/v1/incidents/arnia/2026-1", json=draft)
    assert refused.status_code == 400
    assert "there is no group security here" in refused.json()["detail"]
    assert (await own.put("/v1/groups/arnia/security", json=DRAFTS["group"])).status_code == 201
    assert (await own.put("/v1/incidents/arnia/2026-1", json=draft)).status_code == 201

    arnia._outside = NextDoor(arnia, asking=anyone)
    plain = {**SUBSCRIPTION, "webhook": "http://itsm.example.org/hooks"}
    validator(document, {"$ref": "#/components/schemas/SubscriptionDraft"}).validate(plain)
    assert (await own.post("/v1/subscriptions", json=plain)).status_code == 400
    assert (await own.post("/v1/subscriptions", json=SUBSCRIPTION)).status_code == 201


def test_links_lead_to_operations_and_name_their_parameters(document: Document) -> None:
    by_id = {operation["operationId"]: operation for _, _, operation in described(document)}
    seen = 0
    for _, path, operation in described(document):
        for status, answer in operation["responses"].items():
            for name, link in answer.get("links", {}).items():
                target = by_id[link["operationId"]]
                parameters = [resolved(document, parameter) for parameter in target.get("parameters", ())]
                assert link["parameters"].keys() <= {p["name"] for p in parameters}, (path, status, name)
                needed = {p["name"] for p in parameters if p.get("required")}
                assert needed <= link["parameters"].keys(), (path, status, name)
                seen += 1
    assert seen > 60


class Held:
    """Holds every answer against what the document says of the operation."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.paths = [
            (re.compile(re.sub(r"{\w+}", "[^/]+", path) + "$"), path)
            for path in sorted(document["paths"], key=lambda path: path.count("{"))
        ]
        self.schemas = closed(document["components"]["schemas"])
        self.validators: dict[str, Draft202012Validator] = {}
        self.seen: set[tuple[str, str, int]] = set()
        self.faults: set[str] = set()

    async def against(self, answer: httpx2.Response) -> None:
        await answer.aread()
        request = answer.request
        path = next(path for shape, path in self.paths if shape.match(request.url.path))
        self.seen.add((request.method, path, answer.status_code))
        operation = self.document["paths"][path][request.method.lower()]
        where = f"{request.method} {path} {answer.status_code}"
        self.faults |= {f"{where}: {fault}" for fault in self.found(answer, operation["responses"])}

    def found(self, answer: httpx2.Response, answers: dict[str, Any]) -> Iterator[str]:
        said = answers.get(str(answer.status_code))
        if said is None:
            yield "the status is not described"
            return
        said = resolved(self.document, said)
        for name, about in said.get("headers", {}).items():
            about = resolved(self.document, about)
            # (A preview, which is a 200 too, is of no record and has no tag.)
            if name != "Link" and about.get("required", True) and name not in answer.headers:
                yield f"no header {name}"
        if not said.get("content"):
            if answer.content:
                yield "a body is not described"
            return
        media_type = answer.headers["content-type"].partition(";")[0]
        if media_type not in said["content"]:
            yield f"{media_type} is not described"
            return
        schema = self.validator(said["content"][media_type]["schema"])
        values: list[Any] = []
        if media_type == "application/x-ndjson":
            values = [json.loads(line) for line in answer.text.splitlines()]
        elif media_type.endswith("json"):
            values = [answer.json()]
        for value in values:
            for error in schema.iter_errors(value):
                yield error.message[:200]

    def validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        """Made once for each schema."""
        text = json.dumps(schema)
        if text not in self.validators:
            self.validators[text] = closed_validator(self.schemas, schema)
        return self.validators[text]


async def test_what_is_answered_is_what_is_described(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node, megalis: Node, document: Document
) -> None:
    """A walk through the whole API."""
    await introduce(arnia, megalis)
    held = Held(document)
    for client in (anyone, own):
        client.event_hooks = {"response": [held.against]}

    for kind in sorted(TYPES.values(), key=lambda kind: kind.type != "group"):
        every, key = f"/v1/{kind.plural}", KEYS[kind.type]
        one, draft = f"{every}/arnia/{key}", DRAFTS[kind.type]
        for _ in range(2):
            await own.put(one, json=draft)
        await own.post(every, json={**draft, "tlp": "RED"})
        tag = (await own.get(one)).headers["etag"]
        await own.get(one, headers={"if-none-match": tag})
        await own.get(f"{every}?limit=1&total=true")
        await anyone.get(every)
        await own.get(f"{every}.csv")
        await anyone.get(f"{every}.csv?colour=red")
        await own.put(one, json=draft, headers={"if-match": '"x"'})
        await own.patch(one, content=json.dumps({"same_as": ["https://a.example/"]}).encode(), headers=PATCH)
        if kind.type == "incident":
            await own.post(f"{one}/updates", json=UPDATE)
            await own.post(f"{one}/updates", json={})
            await own.post(f"{every}/arnia/none/updates", json=UPDATE)
        await own.post(f"{every}/bulk", content=ndjson({"key": "b", **draft}, {}), headers=NDJSON)
        lines = [{"key": "c", **draft}, {"key": "b", "retract": True}, {}]
        for query in ("?dry_run=true&set=s", "?set=s"):
            await own.post(f"{every}/bulk{query}", json=lines, headers={"accept": "application/json"})
            await own.post(f"{every}/bulk{query}", content=ndjson(*lines), headers=NDJSON)
        await own.post(f"{every}/bulk?set=s&replace=true", content=ndjson({"records": 0}), headers=NDJSON)
        for _ in range(2):
            await own.post(every, json=draft, headers={"idempotency-key": kind.type})
        await own.post(every, json={}, headers={"idempotency-key": kind.type})
        for wrong in (b"{", b"{}", b""):
            await own.put(one, content=wrong, headers=JSON)
            await own.post(every, content=wrong, headers=JSON)
            await own.patch(one, content=wrong or b"1", headers=PATCH)
        for where in (one, every, f"{one}x", f"{every}?colour=red", f"{every}/AR!/x"):
            await anyone.get(where)
            await anyone.get(where, headers={"authorization": "Bearer x"})
        await own.put(f"{every}/megalis/x", json=draft)
        await own.put(one, content=b"x" * 1_048_577, headers=JSON)
        await own.put(one, content=b"{}")
        await own.patch(f"{every}/arnia/none", content=b"{}", headers=PATCH)
        await own.delete(f"{every}/arnia/none")
        await own.delete(one)
        await own.get(one)
    await csaf_documents_are_read(own, arnia)
    await exposure_is_asked(anyone, own)
    await needs_and_calendars_are_asked(anyone, own)
    await feeds_are_read(anyone, own)
    await catalogues_are_read(anyone, own)
    await advisories_are_taken(anyone, own)
    await alerts_and_deadlines(anyone, own, arnia, document)
    await sources_and_imports(anyone, own)
    await bodies_are_asked(anyone, own)
    heads = await own.get("/v1/feeds")
    await own.get("/v1/feeds", headers={"if-none-match": heads.headers["etag"]})
    for feed in ("arnia/public", "arnia/federation", "megalis/public", "arnia/none", "arnia/a!"):
        for accept in ("application/json", "application/x-ndjson", "image/png"):
            for after in ("", "x", f"{'0' * 16}.1", f"{heads.json()['feeds'][0]['epoch']}.99999"):
                at = f"/v1/feeds/{feed}/changes?after={after}"
                await own.get(at, headers={"accept": accept})
                await anyone.get(at, headers={"accept": accept})
    for accept in ("application/json", "application/x-ndjson", "image/png"):
        for after in ("", "x", f"{'0' * 16}.1", f"{arnia.notifier.state.epoch}.99999"):
            await own.get(f"/v1/changes?after={after}", headers={"accept": accept})
    await anyone.get("/.well-known/security.txt")
    arnia.security_contact = "mailto:security@arnia.example.org"
    for path in (
        "/v1/peers", "/metrics", "/health/live", "/health/ready", "/docs", "/problems/invalid",
        "/problems/none", "/.well-known/federation", "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json", "/.well-known/security.txt", "/v1/openapi.json", "/v1/changes",
        "/v1/themes", "/catalog.ttl", "/catalog.jsonld", "/catalog.ttl?after=x", "/catalog.jsonld?after=x",
        "/.well-known/csaf/provider-metadata.json", "/.well-known/csaf/service.json",
        "/.well-known/csaf/openpgp/none.asc",
        "/csaf/white/feed-tlp-white.json", "/csaf/white/none", "/csaf/white/incidents/none/none.json",
        "/csaf/white/statements/none/none.json", "/csaf/green/incidents/CVE-2025-24799/none.json",
    ):  # fmt: skip
        await own.get(path)
        await anyone.get(path)
        await anyone.get(path, params={"x": "x" * 8_200})
    grant = {"grant_type": "client_credentials"}
    credentials = await a_client(arnia)
    await anyone.post("/oauth2/token", data=grant, auth=credentials)
    await anyone.post("/oauth2/token", data=grant, auth=("x", "y"))
    await anyone.post("/oauth2/token", data=grant)
    await anyone.post("/oauth2/token", json=grant)
    await anyone.post("/oauth2/token", data={"x": "x" * 20_000})
    assertion = megalis.keyring.assertion("megalis", arnia.url)
    signed = {**grant, "client_assertion_type": ASSERTION, "client_assertion": assertion}
    await anyone.post("/oauth2/token", data=signed)
    for path in ("/oauth2/introspect", "/oauth2/revoke"):
        for auth in (credentials, ("x", "y")):
            for form in ({"token": own.headers["authorization"].split()[1]}, {"token": "x"}, {}):
                await anyone.post(path, data=form, auth=auth)
        await anyone.post(path, json={"token": "x"}, auth=credentials)
        await anyone.post(path, data={"token": "x" * 20_000}, auth=credentials)
    await peers_come_and_go(anyone, own, arnia, megalis)

    walked = {(method, path) for method, path, _ in held.seen}
    assert walked == {(method, path) for method, path, _ in described(document)}
    fine = {(method, path) for method, path, status in held.seen if status < 300}
    assert fine == walked
    arnia.stop()
    await anyone.get("/health/ready")
    assert sorted(held.faults) == [], "\n".join(sorted(held.faults))


async def bodies_are_asked(anyone: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    """Known and unknown bodies, with offers and without, and wrongly."""
    assert (await own.put("/v1/offers/arnia/o", json=DRAFTS["offer"])).status_code in (200, 201)
    for path in (
        "/v1/bodies?q=annecy+le+vieux", "/v1/bodies?q=zzz", "/v1/bodies", "/v1/bodies/cog:71076",
        "/v1/bodies/x", "/v1/bodies/0002:130025265", "/v1/bodies/territory:21/offers",
        "/v1/bodies/cog:71076/offers?agents=3",
        "/v1/bodies/cog:29019/offers", "/v1/bodies/0002:130025265/offers?kind=school&departement=71",
        "/v1/bodies/0002:130025265/offers",
    ):  # fmt: skip
        for client in (own, anyone):
            await client.get(path)


async def exposure_is_asked(anyone: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    """Of what is there and hit, what is not there, and wrongly."""
    for plural in ("solutions", "deployments", "incidents", "statements"):
        draft = DRAFTS[plural[:-1]]
        assert (await own.put(f"/v1/{plural}/arnia/hit", json=draft)).status_code in (200, 201)
    for path in (
        "/v1/incidents/arnia/hit/exposure", "/v1/incidents/arnia/hit/exposure/bodies",
        "/v1/incidents/arnia/none/exposure", "/v1/incidents/arnia/none/exposure/bodies",
        "/v1/incidents/arnia/A!/exposure", "/v1/incidents/arnia/CVE-2025-24799/exposure",
        "/v1/solutions/arnia/glpi/exposure", "/v1/solutions/arnia/none/exposure",
        "/v1/solutions/arnia/A!/exposure", "/v1/exposure?mine=true", "/v1/exposure",
    ):  # fmt: skip
        for client in (own, anyone):
            await client.get(path)
            await client.get(path, headers={"authorization": "Bearer x"})
            await client.get(path, params={"x": "y"})


async def needs_and_calendars_are_asked(anyone: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    """Of a consultation that is there, awarded, retracted, and of none."""
    draft = DRAFTS["consultation"]["content"]
    awarded = {**draft, "status": "awarded", "contract": {"id": "2026-1", "amount_cents": 100}}
    for key, content in (("there", draft), ("awarded", awarded), ("gone", draft)):
        answer = await own.put(f"/v1/consultations/arnia/{key}", json={"content": content})
        assert answer.status_code in (200, 201)
    await own.put("/v1/participations/arnia/there", json={
        "content": {**DRAFTS["participation"]["content"], "consultation": "arnia/there"}, "tlp": "CLEAR",
    })  # fmt: skip
    await own.delete("/v1/consultations/arnia/gone")
    for client in (own, anyone):
        for key in ("there", "awarded", "gone", "none", "A!"):
            for member in ("needs", "decp.json"):
                await client.get(f"/v1/consultations/arnia/{key}/{member}")
                await client.get(f"/v1/consultations/arnia/{key}/{member}", params={"x": "y"})
                await client.get(
                    f"/v1/consultations/arnia/{key}/{member}", headers={"authorization": "Bearer x"}
                )
        for query in ("", "?language=fr", "?language=de", "?x=y"):
            await client.get(f"/calendar.ics{query}")
            for name in ("summary", "incidents", "scheduled-maintenances"):
                await client.get(f"/status/api/v2/{name}.json{query}")


async def feeds_are_read(anyone: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    """Of what is there, retracted, and not there; by a reader that has it, too."""
    await own.put("/v1/solutions/arnia/followed", json=DRAFTS["solution"])
    for name in (
        "all", "incidents", "none", "operators/arnia", "operators/none", "themes/education", "themes/none",
        "solutions/arnia/followed", f"solutions/arnia/{KEYS['solution']}", "solutions/arnia/none",
        "bodies/cog:71076", "bodies/none",
    ):  # fmt: skip
        for query in ("", "?language=fr", "?language=de", "?x=y"):
            answer = await anyone.get(f"/feeds/{name}.atom{query}")
        known = {"if-none-match": answer.headers.get("etag", '"x"')}
        await anyone.get(f"/feeds/{name}.atom", headers=known)


async def csaf_documents_are_read(own: httpx2.AsyncClient, arnia: Node) -> None:
    """Every document that the feeds name, the hash and the signature of each, and the public key."""
    key = await csaf_signatures.add_key(arnia)
    path = f"/.well-known/csaf/openpgp/{key.fingerprint}.asc"
    await own.get(path, headers={"if-none-match": (await own.get(path)).headers["etag"]})
    await own.put("/v1/incidents/arnia/advised", json={**DRAFTS["incident"], "tlp": "CLEAR"})
    await own.put("/v1/deployments/arnia/advised", json={**DRAFTS["deployment"], "tlp": "CLEAR"})
    said = {**DRAFTS["statement"]["content"], "incident": "arnia/advised", "deployments": ["arnia/advised"]}
    await own.put("/v1/statements/arnia/advised", json={"tlp": "CLEAR", "content": said})
    for label in ("white", "green", "amber"):
        feed = (await own.get(f"/csaf/{label}/feed-tlp-{label}.json")).json()["feed"]
        for entry in feed["entry"]:
            path = urlsplit(entry["content"]["src"]).path
            tag = (await own.get(path)).headers["etag"]
            await own.get(path, headers={"if-none-match": tag})
            await own.get(f"{path}.sha512")
            await own.get(f"{path}.asc")


async def catalogues_are_read(anyone: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    """As a harvester does, wrongly, and of solutions with and without a file."""
    draft = DRAFTS["solution"]
    assert (await own.put("/v1/solutions/arnia/harvested", json=draft)).status_code in (200, 201)
    for client in (own, anyone):
        for name in ("software", "publishers", "catalogs"):
            for query in (
                "",
                "?page[size]=1&from=2026-01-01T00:00:00Z",
                "?page[size]=0",
                "?page[after]=x",
                "?x=y",
            ):
                answer = await client.get(f"/catalog/v1/{name}{query}")
            await client.get(f"/catalog/v1/{name}", headers={"authorization": "Bearer x"})
            answer = await client.get(f"/catalog/v1/{name}")
            await client.get(f"/catalog/v1/{name}", headers={"if-none-match": answer.headers["etag"]})
        for key in ("harvested", "none", "A!"):
            await client.get(f"/v1/solutions/arnia/{key}.publiccode.yml")


async def advisories_are_taken(anyone: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    """Of each form, of none, and what is no advisory."""
    for client in (own, anyone):
        for form in ("cve", "osv", "csaf", "xml"):
            for asked in ("", "?dry_run=true", "?x=y"):
                await client.post(f"/v1/advisories/{form}{asked}", json={})
        await client.post("/v1/advisories/cve", content=b"x")


def check_webhooks(document: Document, outside: NextDoor, *events: str) -> None:
    """What was sent to a webhook is what the document describes."""
    sent = {}
    for body, headers in outside.posted:
        alert = json.loads(body)
        sent[alert["type"]] = alert
        hook = document["webhooks"][alert["type"]]["post"]
        validator(document, hook["requestBody"]["content"]["application/json"]["schema"]).validate(alert)
        assert {name for name in headers if f"`{name}`" in hook["description"]} == headers.keys() - {
            "content-type"
        }
    assert sent.keys() == set(events)


async def sources_and_imports(anyone: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    """Each operation of sources and imports: good, and refused."""
    polled = {**SOURCE, "name": "polled", "url": "http://127.0.0.1:1/", "private": True}
    bytes_ = {"content-type": "application/octet-stream"}
    for client in (anyone, own):
        for body in (SOURCE, SOURCE, polled, {}, {"kind": "x"}):
            await client.post("/v1/sources", json=body)
        await client.post("/v1/sources", content=b"x")
        for path in ("/v1/sources", "/v1/sources/polled", "/v1/sources/none", "/v1/sources/polled/runs"):
            await client.get(path)
            await client.get(path, params={"x": "1"})
        for source in ("polled", "none"):
            await client.post(f"/v1/sources/{source}/runs")
            await client.post(f"/v1/sources/{source}/runs", params={"dry_run": "true"})
            await client.get(f"/v1/sources/{source}/runs")
            await client.get(f"/v1/sources/{source}/runs/1")
            await client.get(f"/v1/sources/{source}/runs/x")
            for change in ({"state": "paused"}, {"state": "x"}):
                await client.patch(f"/v1/sources/{source}", json=change)
        for query in ({"as": "osv"}, {"as": "osv", "dry_run": "true"}, {"source": "none"}, {"as": "x"}, {}):
            await client.post("/v1/imports", params=query, content=b"{}", headers=bytes_)
        await client.post("/v1/imports", params={"as": "osv"}, json={})
        await client.delete("/v1/sources/polled")
        await client.delete("/v1/sources/none")
    pushed = (await own.post("/v1/sources", json={"name": "pushed", "kind": "alertmanager"})).json()
    deliveries: tuple[Any, ...] = (EVENTS, {}, [])
    for secret in (pushed["secret"], "x"):
        bearer = {"authorization": f"Bearer {secret}"}
        for events in deliveries:
            await anyone.post("/v1/sources/pushed/events", json=events, headers=bearer)
    await anyone.post("/v1/sources/pushed/events", json=EVENTS)
    await own.patch("/v1/sources/pushed", json={"state": "paused"})
    await anyone.post(
        "/v1/sources/pushed/events", json=EVENTS, headers={"authorization": f"Bearer {pushed['secret']}"}
    )
    await own.delete("/v1/sources/pushed")


async def alerts_and_deadlines(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node, document: Document
) -> None:
    """Subscribed, told, replayed, removed; and what is not there."""
    arnia._outside = outside = NextDoor(arnia, asking=anyone)
    for client in (anyone, own):
        for json_ in (
            {**SUBSCRIPTION, "webhook": "ftp://x"},
            {**SUBSCRIPTION, "events": ["incident.published"]},
            {},
        ):
            made = await client.post("/v1/subscriptions", json=json_)
            if made.status_code == 201:
                kept = made.json()["id"]
        await client.post("/v1/subscriptions", content=b"x")
        await client.post("/v1/subscriptions", content=b"x" * 1_048_577, headers=JSON)
    await own.put("/v1/incidents/arnia/told", json=DRAFTS["incident"])
    await alert_scan.add_alerts(arnia)
    await alert_delivery.deliver(arnia)
    await alert_delivery.send_test(arnia, kept, by=itself("arnia"))
    check_webhooks(document, outside, "incident.published", "subscription.test")
    (one,) = (await own.get("/v1/alerts")).json()["alerts"]
    for client in (anyone, own):
        for path in ("/v1/alerts", "/v1/alerts?parked=true", "/v1/alerts?x=y", "/v1/subscriptions"):
            await client.get(path)
        for id_ in (one["id"], "none"):
            await client.post(f"/v1/alerts/{id_}/replay")
        for id_ in (kept, "none"):
            await client.delete(f"/v1/subscriptions/{id_}")
        for body in (DEADLINE, {}):
            for key in ("2026-1", "A!"):
                await client.put(f"/v1/deadlines/arnia/{key}", json=body)
        await client.put("/v1/deadlines/arnia/2026-1", content=b"x")
        for path in (
            "/v1/deadlines",
            "/v1/deadlines.ics",
            "/v1/deadlines/arnia/2026-1",
            "/v1/deadlines/arnia/A!",
            "/v1/deadlines/arnia/none",
        ):
            await client.get(path)
        for key in ("2026-1", "none"):
            await client.delete(f"/v1/deadlines/arnia/{key}")
    deployment = f"/v1/deployments/arnia/{KEYS['deployment']}x"
    await own.put(deployment, json=DRAFTS["deployment"])
    for client in (anyone, own):
        for body in ({"version": "10.0.18"}, {"version": 1}):
            for path in (deployment, "/v1/deployments/arnia/none", "/v1/deployments/megalis/x"):
                await client.post(f"{path}/version", json=body)
        await client.post(f"{deployment}/version", content=b"x")


async def proofs_are_told(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node, megalis: Node, peer: dict[str, str]
) -> None:
    """Digests, receipts, feedback, removals that wait; previews, provenance, feeds as a peer sees them."""
    await checkpoints.sign_checkpoints(arnia)
    for path in (
        "/v1/feeds/arnia/public/digest", "/v1/feeds/arnia/public/digest?bucket=3f", "/v1/withdrawals",
        "/v1/feeds/arnia/public/digest?bucket=x", "/v1/feeds/megalis/public/digest", "/v1/feedback",
        "/v1/feeds/arnia/none/digest", "/v1/feeds/arnia/public/changes?numbers=1,2",
        "/v1/feeds/arnia/public/changes?numbers=x", "/v1/feeds?as=megalis", "/v1/feeds?as=none",
        "/v1/feeds?origin=megalis", "/v1/feeds?origin=A!",
    ):  # fmt: skip
        for client in (own, anyone):
            await client.get(path)
            await client.get(path, headers={"authorization": "Bearer x"})
    await own.get("/v1/solutions", headers={"prefer": "provenance"})
    draft = DRAFTS["solution"]
    for asked in ("true", "false", "perhaps"):
        await own.put(f"/v1/solutions/arnia/previewed?dry_run={asked}", json=draft)
        await own.post(f"/v1/solutions?dry_run={asked}", json=draft)
        for body in (b"{}", b'{"tlp": "RED"}'):
            await own.patch(f"/v1/solutions/arnia/previewed?dry_run={asked}", content=body, headers=PATCH)
    for asked in ("true", "false"):
        await own.delete(f"/v1/solutions/arnia/previewed?dry_run={asked}")
    receipt = Receipt(
        iss="megalis",
        aud="arnia",
        feed="arnia/public",
        epoch=arnia.notifier.state.epoch,
        seq=1,
        iat=int(time.time()),
    )
    signed = megalis.keyring.sign(msgspec.structs.asdict(receipt), typ=RECEIPT)
    for path, good in (("/v1/receipts", {"receipt": signed}), ("/v1/feedback", FEEDBACK)):
        for said in (good, {}, {"receipt": "x"}, {**FEEDBACK, "audience": "none"}):
            await anyone.post(path, json=said, headers=peer)
            await own.post(path, json=said)
            await anyone.post(path, json=said)
        assert (await anyone.post(path, json=good, headers=peer)).status_code == 204
        await own.post(path, content=b"x" * 1_048_577, headers=JSON)
    await own.get("/v1/feedback")
    await own.get("/v1/withdrawals")
    async with arnia.store.write() as tx:
        place = await tx.feeds.open(FeedName("megalis", "public"), None)
        await tx.copies.pause(place.id, "all of it")
    for client in (anyone, own, own):
        await client.post("/v1/peers/megalis/confirm")


async def peers_come_and_go(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    """Everything that is asked when megalis, a peer, is cut off, leaves, joins anew and leaves again."""
    arnia._outside = megalis._outside = outside = NextDoor(arnia, megalis, asking=anyone)
    at = "/v1/peers/megalis"

    async def decide(what: str, **body: Any) -> int:
        await anyone.post(f"{at}/{what}", **body)
        await own.post(f"/v1/peers/nobody/{what}", **body)
        return (await own.post(f"{at}/{what}", **body)).status_code

    assert [await decide(what) for what in ("suspend", "suspend")] == [200, 200]
    assert await decide("activate", json={"code": "1"}) == 409
    assert await decide("retry") == 409
    assert [await decide(what) for what in ("resume", "resume", "retry")] == [200, 200, 200]
    for path in (f"{at}/quota", "/v1/peers/nobody/quota"):
        for client in (anyone, own):
            await client.get(path)
            for bounds in ({"records": 2_000_000}, {"records": 0}):
                await client.put(path, json=bounds)
        await own.put(path, content=b"x")
        await own.put(path, content=b"x" * 1_048_577, headers=JSON)
    outside.down = True
    assert [await decide(what) for what in ("leave", "leave", "suspend", "resume")] == [200, 200, 409, 409]

    await peers.accept_disconnect(megalis, "arnia")
    outside.down = False
    invitation = await invitations.invite(arnia, "to megalis")
    await invitations.join(megalis, invitation)
    by = {"authorization": f"Bearer {invitation.secret}"}
    bodies: list[dict[str, Any]] = [
        {"json": REGISTRATION}, {"json": {}}, {"data": {"x": "y"}}, {"content": b"x" * 70_000},
    ]  # fmt: skip
    for sent in bodies:
        for headers in (by, {**by, **JSON}, {**JSON}):
            await anyone.post("/v1/join", headers=headers, **sent)
    peer = (await own.get("/v1/peers")).json()["peers"][0]
    assert (await own.post(f"{at}/activate", data={"code": "1"})).status_code == 415
    assert [await decide("activate", json=body) for body in ({}, {"code": "1"})] == [400, 409]
    outside.down = True
    assert await decide("activate", json={"code": peer["code"]}) == 502
    outside.down = False
    assert await decide("activate", json={"code": peer["code"]}) == 200

    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": megalis.keyring.assertion("megalis", arnia.url),
    }
    token = (await anyone.post("/oauth2/token", data=form)).json()["access_token"]
    await proofs_are_told(anyone, own, arnia, megalis, {"authorization": f"DPoP {token}"})
    for expected in (204, 401):
        bye = await anyone.delete("/v1/peers/self", headers={"authorization": f"DPoP {token}"})
        assert bye.status_code == expected
        await arnia.notifier.refresh()
    assert (await own.delete("/v1/peers/self")).status_code == 403
