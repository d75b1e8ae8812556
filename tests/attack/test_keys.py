"""Key sets that are swapped, successions that are forged, and floods of keys that nobody knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.node import key_rotation
from tests.attack.forged_tokens import Key, Party
from tests.attack.target_node import Running
from tests.attack.test_tokens import denied
from tests.sync.peers import Tiny, reply, tiny


@pytest.fixture
async def server() -> AsyncIterator[Tiny]:
    async with tiny() as one:
        yield one


def says(server: Tiny, party: Party, jwks: Any, **changes: Any) -> None:
    """What the node at the peer's URL answers about itself."""
    described = {
        "operator": party.operator, "name": "x", "url": party.url, "jwks_uri": f"{party.url}/jwks", **changes,
    }  # fmt: skip
    server.answers["/.well-known/federation"] = reply(json.dumps(described).encode())
    server.answers["/jwks"] = reply(jwks if isinstance(jwks, bytes) else json.dumps(jwks).encode())


@pytest.fixture
async def megalis(target: Running, server: Tiny) -> Party:
    """A peer of arnia's whose node says what the test wants."""
    party = await target.knows(Party("megalis", url=server.url))
    says(server, party, party.jwks)
    return party


async def by(target: Running, party: Party, key: Key) -> int:
    """The status of a token request signed by a key, as the minute's first."""
    async with target.node.store.write() as tx:
        await tx.peers._session.connection.execute("UPDATE peers SET keys_read_at = NULL")
    answer = await target.token_answer(party, party.assertion(target.url, by=key, header={"kid": key.kid}))
    if answer.status_code != 200:
        denied(answer)
    return answer.status_code


def keys(*held: Key, succession: Any = ()) -> dict[str, Any]:
    succession = list(succession) if isinstance(succession, tuple) else succession
    return {"keys": [key.public for key in held], "succession": succession}


async def kids(target: Running) -> frozenset[str]:
    async with target.node.store.read() as tx:
        peer = await tx.peers.find("megalis")
    assert peer is not None
    return peer.kids


async def test_a_key_that_the_one_before_endorsed_is_followed(
    target: Running, server: Tiny, megalis: Party
) -> None:
    """What all the others below are twins of."""
    old, new, newest = megalis.key, Key(), Key()
    chain = (megalis.endorsement(old, new), megalis.endorsement(new, newest))
    says(server, megalis, keys(newest, new, old, succession=chain))
    assert await by(target, megalis, newest) == 200
    assert await kids(target) == {old.kid, new.kid, newest.kid}
    # And years later, when only the last is published.
    last = Key()
    says(server, megalis, keys(last, succession=(*chain, megalis.endorsement(newest, last))))
    assert await by(target, megalis, last) == 200
    assert await by(target, megalis, old) == 401


async def test_a_peer_that_answers_another_peers_keys_is_not_taken_for_it(
    target: Running, server: Tiny, megalis: Party, recia: Party
) -> None:
    says(server, megalis, recia.jwks)
    assert await by(target, megalis, recia.key) == 401
    says(server, megalis, keys(recia.key, megalis.key))
    assert await by(target, megalis, recia.key) == 401
    assert await kids(target) == {megalis.key.kid}
    assert (await target.token_answer(megalis)).status_code == 200
    assert (await target.token_answer(recia)).status_code == 200


async def test_forged_successions_are_not_followed(target: Running, server: Tiny, megalis: Party) -> None:
    old, new, stranger, middle = megalis.key, Key(), Key(), Key()
    good = megalis.endorsement(old, new)
    other = Party("recia")
    forged: dict[str, Any] = {
        "none": (),
        "by itself": (megalis.endorsement(new, new),),
        "by a stranger": (megalis.endorsement(stranger, new),),
        "by a stranger that shows the old key": (
            stranger.jws(
                {"alg": "ES256", "typ": "federation-key+jwt", "kid": old.kid, "jwk": old.public},
                {"iss": "megalis", "iat": 1, "jwk": new.bare},
            ),
        ),
        "with a broken link": (megalis.endorsement(middle, new),),
        "with the first link by a stranger": (
            megalis.endorsement(stranger, middle), megalis.endorsement(middle, new),
        ),
        "reordered": (megalis.endorsement(middle, new), megalis.endorsement(old, middle)),
        "of another operator": (other.endorsement(old, new),),
        "for another key": (megalis.endorsement(old, stranger),),
        "of another type": (
            old.jws(
                {"alg": "ES256", "typ": "JWT", "kid": old.kid, "jwk": old.public},
                {"iss": "megalis", "iat": 1, "jwk": new.bare},
            ),
        ),
        "an assertion of the old key": (megalis.assertion(target.url),),
        "cut": (good[:-4],),
        "a list in it": ([good],),
        "an object": {"0": good},
        "a text": good,
        "longer than is followed": (good,) * 501,
    }  # fmt: skip
    found = {}
    for why, succession in forged.items():
        says(server, megalis, keys(new, old, succession=succession))
        found[why] = (await by(target, megalis, new), await kids(target))
    assert found == dict.fromkeys(forged, (401, frozenset({old.kid})))
    assert (await target.token_answer(megalis)).status_code == 200
    says(server, megalis, keys(new, old, succession=(good,)))
    assert await by(target, megalis, new) == 200


async def test_a_node_that_is_another_or_elsewhere_is_not_followed(
    target: Running, server: Tiny, megalis: Party
) -> None:
    old, new = megalis.key, Key()
    good = keys(new, old, succession=(megalis.endorsement(old, new),))
    async with tiny() as elsewhere:
        elsewhere.answers["/jwks"] = reply(json.dumps(good).encode())
        for changes in (
            {"operator": "recia"}, {"url": "https://other.example"}, {"jwks_uri": f"{elsewhere.url}/jwks"},
            {"jwks_uri": "http://169.254.169.254/latest/meta-data"}, {"jwks_uri": 1}, {"operator": None},
        ):  # fmt: skip
            says(server, megalis, good, **changes)
            assert await by(target, megalis, new) == 401
        server.answers["/.well-known/federation"] = reply(status=302, location=f"{elsewhere.url}/x")
        assert await by(target, megalis, new) == 401
        assert elsewhere.asked == []
    for body in (
        b"[" * 100_000,
        b"\xff",
        b"{}",
        b"[]",
        b"null",
        b'{"keys":{}}',
        b'{"keys":[[],1,null,"x",{}]}',
    ):
        says(server, megalis, body)
        assert await by(target, megalis, new) == 401
    says(server, megalis, good)
    assert await by(target, megalis, new) == 200


async def test_a_key_is_not_both_peers(target: Running, server: Tiny, megalis: Party, recia: Party) -> None:
    """Megalis may endorse recia's key for itself; then it is recia, and not it, who could sign for both."""
    chain = (megalis.endorsement(megalis.key, recia.key),)
    says(server, megalis, keys(recia.key, megalis.key, succession=chain))
    await by(target, megalis, recia.key)
    for forged in (
        megalis.assertion(target.url, iss="recia", sub="recia"),
        recia.assertion(target.url, by=megalis.key),
    ):
        denied(await target.token_answer(megalis, forged))
    assert (await target.token_answer(recia)).status_code == 200


async def test_a_flood_of_unknown_keys_causes_one_fetch(
    target: Running, second: Running, server: Tiny, megalis: Party
) -> None:
    before = len(server.asked)
    stranger = Key()
    forged = [megalis.assertion(target.url, by=stranger, header={"kid": f"unknown-{n}"}) for n in range(500)]

    async def some(process: Running, part: list[str]) -> list[int]:
        return [(await process.token_answer(megalis, one)).status_code for one in part]

    parts = [some((target, second)[n % 2], forged[n::10]) for n in range(10)]
    statuses = [status for each in await asyncio.gather(*parts) for status in each]
    assert statuses == [401] * 500
    assert server.asked[before:] == ["/.well-known/federation", "/jwks"]
    assert (await target.token_answer(megalis)).status_code == 200


async def test_a_minute_later_the_keys_are_asked_for_again(
    target: Running, server: Tiny, megalis: Party
) -> None:
    new = Key()

    async def asks() -> int:
        answer = await target.token_answer(
            megalis, megalis.assertion(target.url, by=new, header={"kid": new.kid})
        )
        return answer.status_code

    assert await asks() == 401
    says(server, megalis, keys(new, megalis.key, succession=(megalis.endorsement(megalis.key, new),)))
    assert await asks() == 401, "within the minute it is not asked"
    now = datetime.now(UTC)
    target.node.clock = lambda: now + key_rotation.MIN_KEY_READ_INTERVAL + timedelta(seconds=5)
    assert await asks() == 200


async def test_unknown_peers_and_those_not_active_cause_no_fetch(
    target: Running, server: Tiny, megalis: Party
) -> None:
    stranger = Key()
    await target.knows(megalis, "suspended")
    denied(
        await target.token_answer(megalis, megalis.assertion(target.url, by=stranger, header={"kid": "x"}))
    )
    nobody = Party("nobody", url=server.url)
    denied(await target.token_answer(nobody, nobody.assertion(target.url, header={"kid": "x"})))
    await target.knows(megalis)
    for kid in (..., 1, "x" * 65, None, ["x"]):  # what is no name of a key
        denied(
            await target.token_answer(
                megalis, megalis.assertion(target.url, by=stranger, header={"kid": kid})
            )
        )
    assert (await target.token_answer(megalis)).status_code == 200
    assert server.asked == []
    await by(target, megalis, stranger)
    assert server.asked != []
