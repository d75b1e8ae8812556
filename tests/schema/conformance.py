"""Requests that Schemathesis makes from the OpenAPI document, sent to a node that serves.

All its phases: the examples, and each bound and each breach of each schema (coverage), once; then requests
made up (fuzzing) and sequences that follow the ``links`` of the answers (stateful), in turn, until so many
were sent. A sequence may get a record after it was retracted: that is answered 410.

    python -m tests.schema.conformance --cases 10000              a seed of its own, which is printed
    python -m tests.schema.conformance --cases 10000 --seed 4711  the same requests again, as far as the
                                                                  answers that they are made from are the same

Every answer is held against the document: its status, content type, headers and schema. What breaks the
schemas of a request is refused, and what keeps them is not, but for the reasons in ``exceptions.py``.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from zlib import crc32

import httpx2
import schemathesis
from hypothesis import strategies
from hypothesis.strategies import SearchStrategy
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree
from schemathesis.schemas import BaseSchema

from federation.domain.scopes import SCOPES
from federation.edge.answers import NDJSON
from tests.clients.node import OPERATOR, Serving, serving
from tests.schema.exceptions import reason_for_acceptance, reason_for_refusal

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "use_after_free",
)
REFUSED = {"negative_data_rejection": {"enabled": True, "expected-statuses": ["4xx"]}}
"""Beside 400, the state of a record may be what is named first: 410, 412."""
ONCE = ("examples", "coverage")
"""Phases that send the same requests each time."""
DRAWN = ("fuzzing", "stateful")
"""Phases that go on with a new seed."""
MAX_EXAMPLES = {"examples": 1, "coverage": 1, "fuzzing": 10, "stateful": 60}
"""Requests of an operation, and sequences, before the other phase has its turn."""
MAX_FAILURES = 20
REQUEST_SECONDS = 60.0
TOKEN_SECONDS = 120
"""Seconds for which a token is used: it holds for five minutes."""
WEBHOOK = "https://hooks.invalid/alerts"
"""Made-up webhooks would have the node call strangers."""


@schemathesis.serializer(NDJSON)
def as_lines(context: Any, value: Any) -> bytes:
    """A body of JSON lines."""
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def a_date() -> SearchStrategy[str]:
    """A date of the years that records have; in one of ten another one."""
    usual = strategies.dates(date(1970, 1, 2), date(2200, 12, 30))
    return strategies.one_of(*[usual] * 9, strategies.dates()).map(date.isoformat)


schemathesis.openapi.format("date", a_date())
schemathesis.openapi.format(
    "date-time",
    strategies.tuples(a_date(), strategies.times(), strategies.sampled_from(("Z", "+02:00", "-11:30"))).map(
        lambda parts: f"{parts[0]}T{parts[1].isoformat()}{parts[2]}"
    ),
)


PREVIEWS: set[str] = set()
"""Ids of the retractions that change nothing."""


class Conformance:
    """A run against a node: the requests sent, and the failures of checks."""

    def __init__(self, node: Serving, seed: int, max_failures: int = MAX_FAILURES) -> None:
        self.node = node
        self.seed = seed
        self.max_failures = max_failures
        self.document = httpx2.get(f"{node.url}/v1/openapi.json", trust_env=False).json()
        self.sent: Counter[tuple[str, int | None]] = Counter()
        """Cases by phase and status."""
        self.labels: Counter[str] = Counter()
        """Cases by operation."""
        self.reasons: Counter[str] = Counter()
        """Exceptions that were met."""
        self.followed: Counter[str] = Counter()
        """Links of answers that were followed, by name."""
        self.failures: list[str] = []

    def run(self, phases: Sequence[str], cases: int | None = None, operations: str | None = None) -> None:
        """Run these phases in turn, until so many requests were sent by them; once without a number.

        ``operations``: a regular expression for the paths.
        """
        before, turn = self.sent.total(), 0
        while len(self.failures) < self.max_failures:
            for phase in phases:
                for event in self._events(phase, self.seed + turn, operations):
                    self._take(event)
                    if len(self.failures) >= self.max_failures:
                        return
                    if cases is not None and self.sent.total() - before >= cases:
                        return
            if cases is None:
                return
            turn += 1

    def _events(self, phase: str, seed: int, operations: str | None) -> Iterator[events.EngineEvent]:
        schema: BaseSchema = schemathesis.openapi.from_dict(self.document, config=self._config(phase, seed))
        if operations is not None:
            schema = schema.include(path_regex=operations)
        schema.auth(refresh_interval=TOKEN_SECONDS)(self._authorization())

        @schema.hook
        def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
            """False for a failed check that has an explanation: it does not end the sequence."""
            reason = self._explanation(failure, case, response)
            if reason is not None:
                self.reasons[reason] += 1
            return reason is None

        return iter(from_schema(schema).execute())

    def _config(self, phase: str, seed: int) -> SchemathesisConfig:
        stateful: dict[str, Any] = {"inference": {"algorithms": []}} if phase == "stateful" else {}
        return SchemathesisConfig.from_dict(
            {
                "seed": seed,
                "base-url": self.node.url,
                "workers": 1,
                "request-timeout": REQUEST_SECONDS,
                "continue-on-failure": True,
                "checks": {"enabled": False, **{check: {"enabled": True} for check in CHECKS}, **REFUSED},
                "generation": {"no-shrink": True, "max-examples": MAX_EXAMPLES[phase]}
                if phase != "coverage"
                else {"no-shrink": True},
                "phases": {"enabled": False, phase: {"enabled": True, **stateful}},
                "dictionaries": {"operators": {"values": [OPERATOR]}},
                # Only the origin writes: of other ones nothing but 403 would be seen.
                "parameters": {
                    "path.origin": OPERATOR
                    if phase in ONCE
                    else {"dictionary": "operators", "probability": 0.9}
                },
            }
        )

    def _authorization(self) -> type[Any]:
        node = self.node

        class Authorization:
            """A token; the secret of the client where tokens are given."""

            def get(self, case: Any, context: Any) -> str:
                answer = httpx2.post(
                    f"{node.url}/oauth2/token",
                    data={"grant_type": "client_credentials"},
                    auth=(node.client_id, node.client_secret),
                    trust_env=False,
                )
                return str(answer.raise_for_status().json()["access_token"])

            def set(self, case: Any, data: str, context: Any) -> None:
                credentials = b64encode(f"{node.client_id}:{node.client_secret}".encode()).decode()
                is_endpoint = case.operation.path.startswith("/oauth2/")
                case.headers = case.headers or {}
                case.headers["Authorization"] = f"Basic {credentials}" if is_endpoint else f"Bearer {data}"

        return Authorization

    def _explanation(self, failure: Failure, case: Any, answer: Any) -> str | None:
        """The reason that a failed check is no fault; None where it is one."""
        match failure:
            case RejectedPositiveData():
                return reason_for_refusal(case, answer)
            case AcceptedNegativeData():
                return reason_for_acceptance(case, answer, self.document)
            case UseAfterFree() if failure.deleted_case_id in PREVIEWS:
                return "the retraction was a dry run"
            case _:
                return None

    def _take(self, event: events.EngineEvent) -> None:
        match event:
            case events.NonFatalError():
                self._fail(f"{event.label}: {event.info.title}: {event.info.message}")
            case events.ScenarioFinished():
                recorder = event.recorder
                for id_, interaction in recorder.interactions.items():
                    node = recorder.cases[id_]
                    status = interaction.response.status_code if interaction.response else None
                    self.sent[event.phase.value, status] += 1
                    self.labels[node.value.operation.label] += 1
                    if node.transition is not None:
                        self.followed[node.transition.id] += 1
                for id_, checks in recorder.checks.items():
                    for check in checks:
                        if check.failure_info is not None:
                            self._note_failure(event.phase.value, recorder, id_, check)

    def _fail(self, failure: str) -> None:
        self.failures.append(failure)
        print(f"FAILURE seed {self.seed}: {failure}", flush=True)

    def _note_failure(self, phase: str, recorder: Any, id_: str, check: Any) -> None:
        case, answer = recorder.cases[id_].value, recorder.interactions[id_].response
        failure = check.failure_info.failure
        text = " ".join(f"{failure.title}: {failure.message}".split())
        self._fail(
            f"{phase}, {case.operation.label}, {answer.status_code}: {text}\n"
            f"    {check.failure_info.code_sample}\n    {answer.content[:1_000].decode(errors='replace')}"
        )


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Texts without control characters, in three bodies of four: others are refused (rule 20)."""
    is_plain = crc32(repr(body).encode(errors="replace")) % 4
    return _plain(body) if is_plain else body


def _plain(value: Any) -> Any:
    match value:
        case str():
            return (
                re.sub(r"[^\n!-~\u00e0-\u00ff]", "x", value)
                if not value.isascii() or not value.isprintable()
                else value
            )
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case _:
            return value


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """No webhook but one that nobody has; note the retractions that are dry runs."""
    if case.method.upper() == "DELETE" and str((case.query or {}).get("dry_run")).lower() == "true":
        PREVIEWS.add(case.id)
    body = case.body
    if isinstance(body, dict) and str(body.get("webhook", "")).lower().startswith("http"):
        body["webhook"] = WEBHOOK


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Requests made from the OpenAPI document, to a node that serves."
    )
    parser.add_argument(
        "--cases", type=int, default=10_000, help="of fuzzing and stateful together, at least"
    )
    parser.add_argument("--seed", type=int, default=None, help="without it a new one, which is printed")
    parser.add_argument("--failures", type=int, default=MAX_FAILURES, help="after which the run ends")
    given = parser.parse_args()
    seed = secrets.randbelow(10**9) if given.seed is None else given.seed
    print(f"Seed {seed}: make conformance N={given.cases} SEED={seed} repeats this run.", flush=True)
    began = time.monotonic()
    with serving(tuple(SCOPES)) as node:
        conformance = Conformance(node, seed, given.failures)
        for phases, cases in ((ONCE, None), (DRAWN, given.cases)):
            conformance.run(phases, cases)
            took = time.monotonic() - began
            print(f"{', '.join(phases)}: {conformance.sent.total()} cases after {took:.0f} s", flush=True)
    by_phase: Counter[str] = Counter()
    for (phase, _), times in conformance.sent.items():
        by_phase[phase] += times
    print("By phase:", ", ".join(f"{phase} {times}" for phase, times in by_phase.items()))
    by_status: Counter[str] = Counter()
    for (_, status), times in conformance.sent.items():
        by_status[str(status)] += times
    print("By status:", ", ".join(f"{status}: {times}" for status, times in sorted(by_status.items())))
    print(f"Operations: {len(conformance.labels)}; links followed: {conformance.followed.total()}")
    for reason, times in conformance.reasons.most_common():
        print(f"  {times:>5} by exception: {reason}")
    sys.exit(1 if conformance.failures else 0)


if __name__ == "__main__":
    main()
