"""The operator's own clients: revocation (RFC 7009), introspection (RFC 7662), secrets that change."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from federation.node.clients import add_client, change_secret, revoke_client
from tests.attack.conftest import Secrets
from tests.attack.forged_tokens import Key, Party
from tests.attack.target_node import GRANT, Running
from tests.attack.test_tokens import denied, refused
from tests.nodes import a_client
from tests.waiting import within_a_second

Credentials = tuple[str, str]


async def about(
    node: Running, verb: str, credentials: Credentials | None, token: str, **form: str
) -> httpx2.Response:
    """Ask to revoke or to introspect."""
    auth: Any = credentials if credentials else httpx2.USE_CLIENT_DEFAULT
    return await node.client.post(f"/oauth2/{verb}", data={"token": token, **form}, auth=auth)


async def works(node: Running, token: str) -> bool:
    answer = await node.ask("/v1/peers", token)
    if answer.status_code != 200:
        refused(answer)
    return answer.status_code == 200


async def fails_within_a_second(node: Running, token: str) -> None:
    async def fails() -> bool:
        return not await works(node, token)

    await within_a_second(node.node, fails)


async def test_a_revoked_token_is_refused_at_once_and_within_a_second_everywhere(
    target: Running, second: Running
) -> None:
    mine = await a_client(target.node)
    token, another = await target.client_token(mine), await target.client_token(mine)
    assert await works(second, token)
    assert (await about(target, "revoke", mine, token)).status_code == 200
    assert not await works(target, token)
    await fails_within_a_second(second, token)
    assert await works(target, another)
    assert await works(second, another)
    assert (await about(target, "revoke", mine, token)).status_code == 200, "RFC 7009: revoked is revoked"


async def test_a_client_revokes_its_own_tokens_only(target: Running, megalis: Party) -> None:
    mine, theirs = await a_client(target.node, name="mine"), await a_client(target.node, name="theirs")
    token, bound = await target.client_token(theirs), await target.token(megalis)
    for value in (token, bound, "x", "a.b.c", token[:-4], token + "x"):
        answer = await about(target, "revoke", mine, value)
        assert (answer.status_code, answer.content) == (200, b""), "and is not told whose it is"
    assert await works(target, token)
    assert (await target.ask("/v1/solutions", bound, megalis)).status_code == 200
    denied(await about(target, "revoke", None, token))
    denied(await about(target, "revoke", (theirs[0], "wrong"), token))
    denied(await about(target, "revoke", theirs, token, client_secret="x"))
    refusal = await about(target, "revoke", theirs, "")
    assert (refusal.status_code, refusal.json()["error"]) == (400, "invalid_request")
    assert await works(target, token)
    assert (await about(target, "revoke", theirs, token, token_type_hint="refresh_token")).status_code == 200
    assert not await works(target, token)


async def test_a_peer_does_not_revoke_or_introspect(target: Running, megalis: Party) -> None:
    token = await target.token(megalis)
    form = {
        "token": token, "client_assertion": megalis.assertion(target.url),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }  # fmt: skip
    for verb in ("revoke", "introspect"):
        denied(await target.client.post(f"/oauth2/{verb}", data=form))
        denied(
            await target.client.post(
                f"/oauth2/{verb}", data={"token": token}, headers={"authorization": f"Bearer {token}"}
            )
        )
    assert (await target.ask("/v1/solutions", token, megalis)).status_code == 200


async def test_a_token_is_introspected_by_its_client_and_by_administrators(
    target: Running, megalis: Party
) -> None:
    mine = await a_client(target.node, "solutions.read", name="mine")
    theirs = await a_client(target.node, "solutions.read", name="theirs")
    admin = await a_client(target.node, "node.admin", name="admin")
    token, bound = await target.client_token(mine), await target.token(megalis)

    async def told(who: Credentials, value: str) -> dict[str, Any]:
        answer = await about(target, "introspect", who, value)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert value not in answer.text
        found: dict[str, Any] = answer.json()
        return found

    for who, value in ((theirs, token), (mine, bound), (mine, "x"), (admin, "a.b.c"), (admin, token + "x")):
        assert await told(who, value) == {"active": False}
    own = await told(mine, token)
    assert (own["active"], own["client_id"], own["scope"]) == (True, mine[0], "solutions.read")
    assert (await told(admin, token)) == own
    peers = await told(admin, bound)
    assert (peers["client_id"], peers["token_type"]) == ("megalis", "DPoP")
    assert peers["cnf"] == {"jkt": megalis.prover.kid}
    forged = Key().jws({"alg": "ES256", "typ": "at+jwt"}, {"client_id": mine[0]})
    assert await told(admin, forged) == {"active": False}
    denied(await about(target, "introspect", None, token))
    denied(await about(target, "introspect", (mine[0], "wrong"), token))
    assert (await about(target, "revoke", mine, token)).status_code == 200
    assert await told(mine, token) == await told(admin, token) == {"active": False}


async def test_a_revoked_client_is_refused_within_a_second_at_every_process(
    target: Running, second: Running
) -> None:
    mine, other = await a_client(target.node, name="mine"), await a_client(target.node, name="other")
    token, untouched = await target.client_token(mine), await target.client_token(other)
    assert await works(second, token)
    await revoke_client(target.node, "mine")
    await asyncio.gather(*(fails_within_a_second(process, token) for process in (target, second)))
    for process in (target, second):
        denied(await process.client.post("/oauth2/token", data=GRANT, auth=mine))
        denied(await about(process, "introspect", mine, token))
        assert await works(process, untouched)


async def test_two_secrets_hold_at_once_and_never_three(
    target: Running, second: Running, secrets_shown: Secrets
) -> None:
    client, first, _ = await add_client(target.node, "erp")

    async def hold(*secrets: str | None) -> list[int]:
        answers = [
            await process.client.post("/oauth2/token", data=GRANT, auth=(client, secret or ""))
            for secret in secrets
            for process in (target, second)
        ]
        for answer in answers:
            if answer.status_code != 200:
                denied(answer)
        assert [one.status_code for one in answers[::2]] == [one.status_code for one in answers[1::2]]
        return [answer.status_code for answer in answers[::2]]

    assert await hold(first) == [200]
    two = await change_secret(target.node, "erp")
    assert await hold(first, two) == [200, 200]
    three = await change_secret(target.node, "erp")
    assert await hold(first, two, three) == [401, 200, 200]
    assert await change_secret(target.node, "erp", finish=True) is None
    assert await hold(first, two, three, "", None) == [401, 401, 200, 401, 401]
    secrets_shown.update(secret for secret in (first, two, three) if secret)


async def test_revocation_costs_an_attacker_nothing_and_gives_nothing(target: Running) -> None:
    """A flood of tokens that are none leaves no row behind."""
    mine = await a_client(target.node)
    key = Key()
    for n in range(50):
        value = key.jws({"alg": "ES256", "typ": "at+jwt"}, {"n": n})
        assert (await about(target, "revoke", mine, value)).status_code == 200

    async def rows() -> int:
        async with target.node.store.read() as tx:
            found: int = await tx.clients._session.connection.fetchval("SELECT count(*) FROM revoked_tokens")
        return found

    assert await rows() == 0
    assert (await about(target, "revoke", mine, await target.client_token(mine))).status_code == 200
    assert await rows() == 1
