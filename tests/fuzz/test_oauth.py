"""The gate: three thousand cases of the OAuth fuzz, and proof that the fuzz sees what is broken."""

from __future__ import annotations

import hmac
import json
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from joserfc import jws

from federation.api import caller, guard, handlers, oauth
from federation.domain.errors import Unauthenticated
from federation.domain.visibility import Caller
from federation.edge.operations import ANYONE, Operation
from federation.node import invitations, keys, tokens
from federation.node.node import Node
from federation.server.app import api
from federation.server.observed import ObservedApplication
from federation.store.peers import PeersWriter
from federation.store.tokens import TokensWriter
from federation.telemetry import Metrics
from tests.attack.forged_tokens import Key
from tests.attack.target_node import logged
from tests.fuzz.oauth import Case, InProcess, Run, Said, World

pytestmark = pytest.mark.long

SEED = 3
CASES = 3_000


@pytest.fixture
async def run(arnia: Node) -> AsyncIterator[Run]:
    """A run against arnia's application, without a network."""
    with logged() as log:
        world = World(arnia, SEED)
        await world.make()
        yield Run(world, InProcess(ObservedApplication(api(arnia), Metrics())), log)


async def test_thousands_of_cases_give_no_token_and_no_record_to_whom_they_are_not_due(run: Run) -> None:
    await run.many(range(CASES))
    print(run.summary())
    assert run.violations == []
    assert sum(run.verdicts.values()) == CASES
    assert run.verdicts["must"] > CASES * 0.04, "a node that refuses everything must fail"
    assert run.verdicts["must not"] > CASES * 0.8
    assert len({kind for kind, _ in run.seen}) == len(run.cases._kinds)


async def test_a_case_is_the_same_each_time_it_is_made(run: Run) -> None:
    def told(case: Case) -> tuple[Any, ...]:
        return case.kind, case.verdict, case.method, case.path, [name for name, _ in case.headers]

    indexes = random.Random(1).sample(range(CASES), 300)
    first = {index: told(run.cases.case(index)) for index in indexes}
    assert {index: told(run.cases.case(index)) for index in reversed(indexes)} == first
    run.world.seed += 1
    assert {index: told(run.cases.case(index)) for index in indexes} != first


# Each of these breaks one check of the product on purpose.


def signatures_unchecked(patch: pytest.MonkeyPatch) -> None:
    def verified(token: str, jwks: Any, types: frozenset[str | None]) -> dict[str, Any]:
        found = jws.extract_compact(token.encode())
        kind = found.headers().get("typ")
        if (kind.lower() if isinstance(kind, str) else kind) not in types:
            raise Unauthenticated("no")
        claims = json.loads(found.payload)
        assert isinstance(claims, dict)
        return claims

    for module in (tokens, caller, invitations):
        patch.setattr(module, "verify_jwt", verified)


def types_unchecked(patch: pytest.MonkeyPatch) -> None:
    everything = frozenset({None, "jwt", "at+jwt", "client-authentication+jwt", "dpop+jwt", "x", ""})
    true = keys.verify_jwt
    patch.setattr(tokens, "verify_jwt", lambda token, jwks, types: true(token, jwks, everything))


def secrets_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hmac, "compare_digest", lambda *_: True)


def times_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tokens, "MAX_ASSERTION_SECONDS", 10**12)


def proofs_unchecked(patch: pytest.MonkeyPatch) -> None:
    def whatever(proof: str, method: str, url: str, token: str | None = None) -> keys.DPoPProof:
        try:
            return keys.verify_dpop_proof(proof, method, url, token)
        except Unauthenticated:
            return keys.DPoPProof(Key(f"{SEED} megalis's prover").kid, secrets.token_hex(), time.time())

    patch.setattr(caller, "verify_dpop_proof", whatever)


def states_unchecked(patch: pytest.MonkeyPatch) -> None:
    true = PeersWriter.find

    async def find(self: Any, operator: str) -> Any:
        peer = await true(self, operator)
        return peer and msgspec.structs.replace(peer, state="active")

    patch.setattr(PeersWriter.__mro__[1], "find", find)


def invitations_unchecked(patch: pytest.MonkeyPatch) -> None:
    async def use(*_: Any) -> bool:
        return False

    patch.setattr(PeersWriter, "use_invitation", use)


def ids_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(invitations, "refuse_conflict", lambda *_: None)


def scopes_unchecked(patch: pytest.MonkeyPatch) -> None:
    true = guard.admit

    async def admit(operation: Operation, *request: Any) -> Caller:
        return await true(msgspec.structs.replace(operation, right=ANYONE), *request)

    patch.setattr(handlers, "admit", admit)


def everything_used_before(patch: pytest.MonkeyPatch) -> None:
    """A node that gives nobody anything is as broken."""

    async def never(*_: Any, **__: Any) -> bool:
        return False

    patch.setattr(TokensWriter, "use_assertion", never)


def it_falls_over(patch: pytest.MonkeyPatch) -> None:
    def broken(assertion: str) -> str:
        raise RecursionError(assertion)

    patch.setattr(tokens, "claimed_issuer", broken)


def it_repeats_what_it_was_told(patch: pytest.MonkeyPatch) -> None:
    def telling(token: str) -> str:
        raise oauth.OAuthError("invalid_client", f"no peer signed {token}", 401)

    patch.setattr(tokens, "claimed_issuer", telling)


def it_logs_what_it_was_told(patch: pytest.MonkeyPatch) -> None:
    true = oauth.read_form

    def telling(body: bytes) -> dict[str, str]:
        form = true(body)
        logging.getLogger("federation.api").debug("a form", extra={"form": str(form)})
        return form

    patch.setattr(oauth, "read_form", telling)


BROKEN: list[Callable[[pytest.MonkeyPatch], None]] = [
    signatures_unchecked, types_unchecked, secrets_unchecked, times_unchecked, proofs_unchecked,
    states_unchecked, invitations_unchecked, ids_unchecked, scopes_unchecked, everything_used_before,
    it_falls_over, it_repeats_what_it_was_told, it_logs_what_it_was_told,
]  # fmt: skip


@pytest.mark.parametrize("breaking", BROKEN, ids=lambda breaking: breaking.__name__)
async def test_what_is_broken_on_purpose_is_found(
    run: Run, breaking: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(monkeypatch)
    await run.many(range(2_000), stop_at=1)
    assert run.violations != []


async def test_a_node_that_refuses_everything_is_found(run: Run) -> None:
    class Closed:
        async def send(self, case: Case) -> Said:
            return Said(401, {"content-type": "application/problem+json"}, b'{"status":401,"title":"No"}')

    run.wire = Closed()
    await run.many(range(200), stop_at=1)
    assert any("authorised, and answered 401" in fault for _, _, fault in run.violations)
