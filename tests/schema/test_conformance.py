"""Requests made from the OpenAPI document itself (Schemathesis): whatever is asked, the answer is described.

The cases are drawn first, always the same ones, some valid by the document and some not, and then each is
asked by three callers. What cannot be guessed is filled in: paths that name what there is, and examples.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import APIOperation, Case, GenerationMode, SerializationContext
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from federation.api.examples import DEADLINE, DRAFTS, KEYS
from federation.domain.peer import PeerState
from federation.domain.registry import TYPES
from federation.domain.sources.source import SourceSettings
from federation.domain.visibility import itself
from federation.edge.answers import NDJSON
from federation.node import checkpoints, imports, sources
from federation.node.imports import FileImport
from federation.node.keys import Keyring, mint_private_key
from federation.node.node import Node
from tests.api.http_client import NextDoor
from tests.matrix.callers_and_records import add_peer
from tests.nodes import a_client, another_token, browsing, publish

pytestmark = pytest.mark.long

Document = dict[str, Any]
Operation = APIOperation[Any, Any, Any, Any]
Asking = Case[Any]

CASES = 600
"""Requests for each case that is drawn of an operation, at least."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ORDER = ("GET", "PUT", "POST", "PATCH", "DELETE")
"""What is deleted was there before."""
VARIED = {"parameters", "requestBody"}
FORMS: dict[str, Any] = {
    "/oauth2/token": {"grant_type": "client_credentials"},
    "/oauth2/revoke": {"token": "x"},
    "/oauth2/introspect": {"token": "x"},
    "/v1/imports": b"{}",
}
FEEDS = {
    "/feeds/operators/{feed_file}": "arnia",
    "/feeds/themes/{feed_file}": "education",
    "/feeds/solutions/{origin}/{feed_file}": KEYS["solution"],
    "/feeds/bodies/{feed_file}": "cog:71076",
}
PEERS: dict[str, PeerState] = {
    "suspend": "active",
    "resume": "suspended",
    "retry": "active",
    "leave": "active",
    "activate": "pending",
    "quota": "active",
}
"""A peer for each thing that is decided about one, and in which state it is before."""
NEVER_DONE = {
    "POST /v1/join": "it needs an invitation and a proof made for it",
    "POST /v1/peers/{operator}/activate": "it needs the code of both keys, and a node that answers",
    "DELETE /v1/peers/self": "only a peer disconnects",
    "POST /v1/receipts": "only a peer confirms what it dropped, and signs it",
    "POST /v1/feedback": "only a peer tells what it could not take",
    "POST /v1/peers/{operator}/confirm": "it needs removals that wait",
    "DELETE /v1/subscriptions/{id}": "the node gives subscriptions their names",
    "POST /v1/alerts/{id}/replay": "the node gives alerts their names",
    "POST /v1/sources/{source}/events": "it needs the secret of a source",
    "POST /v1/sources/{source}/runs": "the source of the test has no address",
    "GET /.well-known/csaf/openpgp/{file}": "the node makes the names of its keys",
    "GET /csaf/{label}/incidents/{key}/{file}": "the feed names the files",
    "GET /csaf/{label}/statements/{key}/{file}": "the feed names the files",
    "GET /v1/consultations/{origin}/{key}/decp.json": "the consultation of the example has no contract yet",
}
"""Operations that no made-up request carries out; tests/api/test_openapi.py holds what they answer then."""


@schemathesis.serializer(NDJSON)
def as_line(context: SerializationContext, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def paths_of(operation: Operation) -> dict[str, str]:
    """Path parameters that name what there is."""
    plural = operation.path.split("/")[2] if operation.path.count("/") > 1 else ""
    plural = "incidents" if plural == "deadlines" else plural
    key = next((KEYS[kind.type] for kind in TYPES.values() if kind.plural == plural), "")
    there = {
        "origin": "arnia",
        "key": key,
        "audience": "public",
        "operator": operation.path.rsplit("/", 1)[-1],
        "code": "invalid",
        "body_id": "cog:71076",
        "source": "shelf",
        "number": "1",
        "label": "white",
        "file": "feed-tlp-white.json",
        "feed_file": f"{FEEDS.get(operation.path, 'all')}.atom",
    }
    return {name: value for name, value in there.items() if f"{{{name}}}" in operation.path}


def drawn(operation: Operation, document: Document, most: int) -> Iterator[Asking]:
    """Cases of an operation: made from its description, against it, and of the documented example."""
    paths = paths_of(operation)
    body = document["paths"][operation.path][operation.method].get("requestBody", {}).get("content", {})
    valid, wrong = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
    yield from drawn_from(operation, most, generation_mode=valid, path_parameters=paths)
    if paths:
        yield from drawn_from(operation, most, generation_mode=valid)
    yield from drawn_from(operation, most, generation_mode=wrong)
    if paths and body:
        yield from drawn_from(operation, most, generation_mode=wrong, path_parameters=paths)
    for media_type, said in body.items():
        example = said.get("example") or FORMS[operation.path]
        query = {"query": {"as": "osv"}} if operation.path == "/v1/imports" else {}
        yield from drawn_from(
            operation, most, generation_mode=valid, path_parameters=paths, body=example,
            media_type=media_type, **query,
        )  # fmt: skip


def drawn_from(operation: Operation, most: int, **how: Any) -> list[Asking]:
    """Some cases, the same in each run; none where there are none of this kind."""
    cases: list[Asking] = []

    @settings(
        max_examples=most,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(**how))
    def keep(case: Asking) -> None:
        cases.append(case)

    try:
        keep()
    except Unsatisfiable:
        return []
    return cases


def basic(client: str, secret: str) -> str:
    return f"Basic {b64encode(f'{client}:{secret}'.encode()).decode()}"


class Asked:
    """Asks, and keeps what was answered otherwise than it is described."""

    def __init__(self, client: httpx2.AsyncClient, document: Document) -> None:
        self.client = client
        self.document = document
        self.answered: Counter[tuple[str, str, int]] = Counter()
        self.faults: set[str] = set()

    async def ask(self, case: Asking, caller: str, authorization: str | None) -> None:
        sent: Any = requests.Request(**case.as_transport_kwargs(base_url=str(self.client.base_url))).prepare()
        headers = {
            name: value.encode("latin-1") if isinstance(value, str) else value  # what a header can hold
            for name, value in sent.headers.items()
            if name.lower() != "authorization"
        }
        if authorization is not None:
            headers["authorization"] = authorization
        answer = await self.client.request(sent.method, sent.url, content=sent.body, headers=headers)
        label = case.operation.label
        self.answered[label, caller, answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                told = " ".join(str(failure).split())[:300]
                self.faults.add(f"{label} as {caller}, {answer.status_code}: {told}")
        if answer.headers.get("content-type") == NDJSON:
            schema = self.line_schema(case.operation.path, case.operation.method)
            for line in answer.text.splitlines():
                self.faults |= {
                    f"{label}: {error.message[:300]}" for error in schema.iter_errors(json.loads(line))
                }

    @cache  # noqa: B019 - lives as long as the test
    def line_schema(self, path: str, method: str) -> Draft202012Validator:
        """What each line of a streamed answer must be."""
        said = self.document["paths"][path][method]["responses"]["200"]["content"][NDJSON]["schema"]
        return Draft202012Validator({"components": self.document["components"], **said})


@pytest.mark.parametrize("most", [3, pytest.param(9, marks=pytest.mark.slow)])
async def test_whatever_is_asked_the_answer_is_described(arnia: Node, tmp_path: Path, most: int) -> None:
    """``most``: cases of each kind that are drawn of an operation."""
    set_hypothesis_home_dir(tmp_path)  # it keeps tables there that are quicker read than made
    async with browsing(arnia) as client:
        arnia._outside = NextDoor(asking=client)
        arnia.security_contact = "mailto:security@arnia.example"
        for kind in TYPES.values():
            await publish(arnia, kind.type, KEYS[kind.type], **DRAFTS[kind.type])
        for operator, state in PEERS.items():
            await add_peer(arnia, operator, Keyring.of(mint_private_key()), state)
        clients = {
            "rich": await a_client(arnia, name="rich"),
            "poor": await a_client(arnia, "solutions.read", name="poor"),
        }

        async def tokens() -> dict[str, str | None]:
            """New ones: a slow machine asks for longer than a token holds."""
            new = {name: await another_token(client, credentials) for name, credentials in clients.items()}
            return {name: header["authorization"] for name, header in new.items()} | {"nobody": None}

        secrets = {
            "rich": basic("client-rich", "secret-of-rich"),
            "poor": basic("client-poor", "x"),
            "nobody": None,
        }
        await checkpoints.sign_checkpoints(arnia)
        kept = await client.put(
            f"/v1/deadlines/arnia/{KEYS['incident']}",
            json=DEADLINE,
            headers=await another_token(client, clients["rich"]),
        )
        assert kept.status_code == 200, kept.text
        own = itself("arnia")
        await sources.add(arnia, SourceSettings(name="shelf", kind="osv"), by=own)
        await imports.import_file(arnia, b"{}", FileImport(source="shelf"), by=own)
        document = (await client.get("/v1/openapi.json")).json()
        asked = Asked(client, document)
        found: Any = schemathesis.openapi.from_dict(document).get_all_operations()
        operations: list[Operation] = [one.ok() for one in found]
        for operation in sorted(operations, key=lambda one: ORDER.index(one.method.upper())):
            shown = secrets if operation.path.startswith("/oauth2/") else await tokens()
            for case in drawn(operation, document, most):
                for caller, authorization in shown.items():
                    await asked.ask(case, caller, authorization)
    assert sorted(asked.faults) == []
    labels = {operation.label for operation in operations}
    done = {label for label, _, status in asked.answered if status < 300}
    assert labels - done == NEVER_DONE.keys()
    often = Counter({label: 0 for label in labels})
    for (label, _, _), times in asked.answered.items():
        often[label] += times
    # What takes neither parameters nor a body can be asked in one way only.
    assert {label for label, times in often.items() if times < 3 * most} <= {
        one.label for one in operations if not document["paths"][one.path][one.method].keys() & VARIED
    }
    assert min(often.values()) >= 3
    assert often.total() >= CASES * most
