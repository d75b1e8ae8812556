"""Invitations and registrations: nobody comes in but who was invited, and nobody in another's name."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from federation.domain.errors import Unreachable
from federation.domain.invitation import HOLDS
from federation.domain.peer import PeerState
from federation.node import invitations, peers
from tests.attack.conftest import Secrets
from tests.attack.forged_tokens import Key, Party, maced, unb64, unsigned
from tests.attack.target_node import Running
from tests.attack.test_tokens import denied, green, refused
from tests.sync.peers import reply, tiny

pytestmark = pytest.mark.long


@pytest.fixture
async def secret(target: Running, secrets_shown: Secrets) -> str:
    """Of an invitation of arnia's."""
    return await invited(target, secrets_shown)


async def invited(target: Running, secrets_shown: Secrets, *, private: bool = True) -> str:
    invitation = await invitations.invite(target.node, "somebody", private=private)
    secrets_shown.add(invitation.secret)
    return invitation.secret


async def joined(target: Running, party: Party, secret: str, **changes: Any) -> httpx2.Response:
    return await target.join(party.registration(target.url, secret, **changes), secret)


# Invitations


async def test_an_invitation_is_used_once(target: Running, secret: str) -> None:
    assert (await joined(target, Party("megalis"), secret)).status_code == 201
    refused(await joined(target, Party("recia"), secret))
    refused(await joined(target, Party("megalis"), secret))
    assert await target.state_of("recia") is None


async def test_an_invitation_expires(target: Running, secrets_shown: Secrets) -> None:
    early, late = [await invited(target, secrets_shown) for _ in range(2)]
    now = datetime.now(UTC)
    target.node.clock = lambda: now + HOLDS - timedelta(minutes=1)
    assert (await joined(target, Party("megalis"), early)).status_code == 201
    target.node.clock = lambda: now + HOLDS + timedelta(minutes=1)
    refused(await joined(target, Party("recia"), late))
    assert await target.state_of("recia") is None


async def test_twenty_newcomers_at_once_with_one_invitation_are_one(
    target: Running, second: Running, secret: str
) -> None:
    parties = [Party(f"newcomer-{n}") for n in range(20)]
    answers = await asyncio.gather(
        *(
            (target, second)[n % 2].join(party.registration(target.url, secret), secret)
            for n, party in enumerate(parties)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 19
    states = [await target.state_of(party.operator) for party in parties]
    assert sorted(filter(None, states)) == ["pending"]
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 201)
    assert states[winner] == "pending"


async def test_one_newcomer_twenty_times_at_once_is_one(target: Running, secret: str) -> None:
    body = Party("megalis").registration(target.url, secret)
    answers = await asyncio.gather(*(target.join(body, secret) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 19


async def test_a_wrong_secret_opens_nothing_and_does_not_use_up_the_right_one(
    target: Running, secret: str
) -> None:
    party = Party("megalis")
    for wrong in (
        "x",
        secret[:-1],
        secret + "A",
        secret.swapcase(),
        hashlib.sha256(secret.encode()).hexdigest(),
    ):
        refused(await joined(target, party, wrong))
    refused(await target.join(party.registration(target.url, secret), None))
    for scheme in ("Basic", "DPoP", ""):
        answer = await target.join(
            party.registration(target.url, secret), None, authorization=f"{scheme} {secret}".strip()
        )
        refused(answer)
    assert (await joined(target, party, secret)).status_code == 201


async def test_a_right_that_is_not_an_invitation_does_not_let_anybody_join(
    target: Running, megalis: Party, secret: str
) -> None:
    token = await target.token(megalis)
    refused(await joined(target, Party("recia"), token))
    refused(await joined(target, Party("recia"), megalis.assertion(target.url)))
    refused(await target.ask("/v1/solutions", secret))
    assert (await joined(target, Party("recia"), secret)).status_code == 201


# Proof of possession


async def test_a_registration_proves_its_keys(target: Running, secret: str) -> None:
    party, thief = Party("megalis"), Party("megalis")
    good = party.statement(target.url, secret)
    body, signature = good.rpartition(".")[0], good.rpartition(".")[2]
    now = int(time.time())
    header = {"alg": "ES256", "typ": "federation-registration+jwt", "kid": party.key.kid}
    claims = {
        "iss": "megalis", "aud": target.url, "iat": now, "exp": now + 300, "url": party.url,
        "invitation": hashlib.sha256(secret.encode()).hexdigest(),
    }  # fmt: skip
    bad: dict[str, str] = {
        "signed by somebody else": thief.statement(target.url, secret),
        "signed by somebody else under the right kid": party.statement(target.url, secret, by=thief.key),
        "for another inviter": party.statement("https://other.example", secret),
        "for several inviters": party.statement(target.url, secret, aud=[target.url, "https://other.example"]),
        "for another invitation": party.statement(target.url, "another"),
        "with the secret itself": party.statement(target.url, secret, invitation=secret),
        "for no invitation": party.statement(target.url, secret, invitation=...),
        "for another URL": party.statement(target.url, secret, url="https://other.example"),
        "for no URL": party.statement(target.url, secret, url=...),
        "by another operator": party.statement(target.url, secret, iss="recia"),
        "by nobody": party.statement(target.url, secret, iss=...),
        "expired": party.statement(target.url, secret, exp=now - 60),
        "for ever": party.statement(target.url, secret, exp=now + 10**9),
        "without end": party.statement(target.url, secret, exp=...),
        "with an end that is a text": party.statement(target.url, secret, exp=str(now + 60)),
        "with an end that is true": party.statement(target.url, secret, exp=True),
        "with an end beyond numbers": party.statement(target.url, secret, exp=10**400),
        "unsigned": unsigned({**header, "alg": "none"}, claims),
        "HS256 with the public key": maced(
            {**header, "alg": "HS256"}, claims, json.dumps(party.key.public).encode()
        ),
        "of another type": party.key.jws({**header, "typ": "JWT"}, claims),
        "an assertion": party.assertion(target.url),
        "without kid": party.key.jws({"alg": "ES256", "typ": header["typ"]}, claims),
        "cut": f"{body}.{signature[:-4]}",
        "no JWT": "x",
        "empty": "",
    }  # fmt: skip
    answers = {why: await joined(target, party, secret, software_statement=one) for why, one in bad.items()}
    assert {why: answer.status_code for why, answer in answers.items()} == dict.fromkeys(bad, 401)
    assert await target.state_of("megalis") is None
    assert (await joined(target, party, secret)).status_code == 201


async def test_nobody_registers_with_anothers_keys(target: Running, secret: str) -> None:
    victim, thief = Party("recia"), Party("megalis")
    named = {"keys": [{**thief.key.public, "kid": victim.key.kid}, {**victim.key.public, "kid": "x"}]}
    header = {"alg": "ES256", "typ": "federation-registration+jwt", "kid": victim.key.kid}
    claims = json.loads(unb64(thief.statement(target.url, secret).split(".")[1]))
    # One key under the name of another: what is verified must be what is kept.
    statement = thief.key.jws(header, claims)
    refused(await joined(target, thief, secret, jwks=named, software_statement=statement))
    for jwks in (victim.jwks, {"keys": [{**victim.key.public, "kid": thief.key.kid}]}):
        refused(await joined(target, thief, secret, jwks=jwks))
        refused(await joined(target, thief, secret, jwks=jwks, software_statement=statement))
    # Somebody else's key beside its own is not kept.
    both = {"keys": [victim.key.public, thief.key.public]}
    told = await joined(target, thief, secret, jwks=both)
    assert told.status_code == 201
    assert [key["kid"] for key in told.json()["jwks"]["keys"]] == [thief.key.kid]


async def test_who_has_left_is_not_moved_to_another_url_by_somebody_without_its_key(
    target: Running, secret: str
) -> None:
    """Both keys, and so the code that is compared by phone, would be those of before."""
    owner = await target.knows(Party("megalis"), "left")
    thief = Party("megalis", url="https://attacker.example")
    named = {"keys": [{**thief.key.public, "kid": owner.key.kid}, {**owner.key.public, "kid": "x"}]}
    header = {"alg": "ES256", "typ": "federation-registration+jwt", "kid": owner.key.kid}
    claims = json.loads(unb64(thief.statement(target.url, secret).split(".")[1]))
    statement = thief.key.jws(header, claims)
    refused(await joined(target, thief, secret, jwks=named, software_statement=statement))
    async with target.node.store.read() as tx:
        peer = await tx.peers.find("megalis")
    assert peer is not None
    assert (peer.url, peer.state) == (owner.url, "left")
    moved = Party("megalis", url="https://moved.example", key=owner.key)
    assert (await joined(target, moved, secret)).status_code == 201, "with its key it may move"


@pytest.mark.parametrize(
    "jwks",
    [
        {}, {"keys": []}, {"keys": {}}, {"keys": [[]]}, {"keys": ["x"]}, {"keys": [{}]}, {"keys": None},
        {"keys": [{"kty": "EC", "crv": "P-256"}]}, {"keys": [{"kty": "EC", "crv": "P-256", "x": 1, "y": 2}]},
        {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]},
        {"keys": [{"kty": "oct", "k": "AAAA"}]},
        {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}, {"keys": [None]}, {"keys": 1},
    ],
    ids=repr,
)  # fmt: skip
async def test_keys_that_are_none_are_refused(target: Running, secret: str, jwks: Any) -> None:
    party = Party("megalis")
    refused(await joined(target, party, secret, jwks=jwks))
    beside = {
        "keys": [*(jwks.get("keys") or [] if isinstance(jwks.get("keys"), list) else []), party.key.public]
    }
    answer = await joined(target, party, secret, jwks=beside)
    assert answer.status_code in (201, 401)
    if answer.status_code == 401:
        assert (await joined(target, party, secret)).status_code == 201


async def test_a_private_key_that_a_newcomer_sends_is_not_kept(target: Running, secret: str) -> None:
    party = Party("megalis")
    answer = await joined(target, party, secret, jwks={"keys": [party.key.private]})
    assert party.key.d not in answer.text
    async with target.node.store.read() as tx:
        peer = await tx.peers.find("megalis")
    assert answer.status_code == 201
    assert peer is not None
    assert party.key.d not in json.dumps(peer.keys)
    assert [key.keys() & {"d"} for key in peer.keys["keys"]] == [set()]


# Squatting


@pytest.mark.parametrize("state", ["pending", "active", "suspended", "left"])
async def test_an_id_is_its_keys_whatever_url_and_state(
    target: Running, secrets_shown: Secrets, state: PeerState
) -> None:
    owner = await target.knows(Party("megalis"), state)
    secret = await invited(target, secrets_shown)
    for url in (owner.url, "https://other.example", f"{owner.url}:8443"):
        refused(await joined(target, Party("megalis", url=url), secret), 409)
    refused(await joined(target, Party("megalis"), secret, jwks={"keys": [owner.key.public]}))
    async with target.node.store.read() as tx:
        peer = await tx.peers.find("megalis")
    assert peer is not None
    assert (peer.state, peer.kids, peer.url) == (state, frozenset({owner.key.kid}), owner.url)
    # The owner itself may come back once it has left; while it is a peer there is nothing to join.
    again = await joined(target, owner, secret)
    assert again.status_code == (201 if state in ("pending", "left") else 409)
    if again.status_code == 409:
        assert (await joined(target, Party("recia"), secret)).status_code == 201, "nothing was used up"


async def test_a_squatter_with_a_forged_succession_is_refused(
    target: Running, secrets_shown: Secrets
) -> None:
    owner = await target.knows(Party("megalis"), "left")
    thief = Party("megalis")
    secret = await invited(target, secrets_shown)
    for succession in (
        [owner.endorsement(thief.key, thief.key)],
        [owner.endorsement(thief.key, owner.key), owner.endorsement(thief.key, thief.key)],
        [owner.endorsement(owner.key, thief.key, iss="recia")],
        [owner.endorsement(owner.key, thief.key)[:-4] + "AAAA"],
        ["x"], [1], "x", [None],
    ):  # fmt: skip
        jwks = {"keys": [thief.key.public], "succession": succession}
        refused(await joined(target, thief, secret, jwks=jwks), 409)
    heir = Party("megalis", url=owner.url)
    jwks = {"keys": [heir.key.public], "succession": [owner.endorsement(owner.key, heir.key)]}
    assert (await joined(target, heir, secret, jwks=jwks)).status_code == 201, "a key it endorsed is its own"


@pytest.mark.parametrize(
    "operator", ["arnia", "ARNIA", "Megalis", "megalis ", "", "a" * 64, "a/b", "..", "é", "a\u200bb"]
)
async def test_an_id_that_is_ours_or_none_is_refused(target: Running, secret: str, operator: str) -> None:
    answer = await joined(target, Party(operator, url="https://x.example"), secret)
    refused(answer, 409 if operator == "arnia" else 400)
    assert (await joined(target, Party("megalis"), secret)).status_code == 201


async def test_a_url_is_one_peers_however_it_is_spelled(target: Running, secret: str) -> None:
    owner = await target.knows(Party("megalis", url="https://node.example"))
    for url in (
        owner.url, f"{owner.url}/", "https://NODE.example", "HTTPS://node.example", f"{owner.url}:443",
        target.url, f"{target.url}/",
    ):  # fmt: skip
        refused(await joined(target, Party("recia", url=url), secret), 409)
    assert (await joined(target, Party("recia", url="https://other.example"), secret)).status_code == 201


# Pending


async def test_joining_never_activates(target: Running, secret: str) -> None:
    canary = await green(target.node)
    party = Party("megalis")
    assert (await joined(target, party, secret)).status_code == 201
    assert await target.state_of("megalis") == "pending"
    denied(await target.token_answer(party))
    anonymous = await target.ask("/v1/solutions")
    assert anonymous.status_code == 200
    assert canary not in anonymous.text
    async with target.node.store.write() as tx:
        await tx.peers.set_state("megalis", "active")
    assert canary in (await target.ask("/v1/solutions", await target.token(party), party)).text


async def test_registering_again_changes_no_state(target: Running, secrets_shown: Secrets) -> None:
    """A peer that was cut off cannot come back as active, nor one that is active at another place."""
    states: tuple[PeerState, ...] = ("active", "suspended")
    for state in states:
        party = await target.knows(Party(f"a-{state}"), state)
        party.url = "https://elsewhere.example"
        refused(await joined(target, party, await invited(target, secrets_shown)), 409)
        assert await target.state_of(party.operator) == state
    left = await target.knows(Party("a-left"), "left")
    assert (await joined(target, left, await invited(target, secrets_shown))).status_code == 201
    assert await target.state_of("a-left") == "pending"


async def test_who_serves_another_operators_node_is_not_activated(
    target: Running, secrets_shown: Secrets
) -> None:
    """What is at the registered URL must say that it is that operator, and have its key."""
    party, stranger = Party("megalis"), Key()

    async with tiny() as server:
        party.url = server.url

        def says(operator: str, url: str, key: Key) -> None:
            described = {"operator": operator, "name": "x", "url": url, "jwks_uri": f"{server.url}/jwks"}
            server.answers["/.well-known/federation"] = reply(json.dumps(described).encode())
            server.answers["/jwks"] = reply(json.dumps({"keys": [key.public]}).encode())

        await target.knows(party, "pending")
        for operator, url, key in (
            ("recia", server.url, party.key),
            ("megalis", "https://other.example", party.key),
            ("megalis", server.url, stranger),
            ("arnia", server.url, party.key),
        ):
            says(operator, url, key)
            with pytest.raises(Unreachable):
                await peers.activate(target.node, "megalis")
            assert await target.state_of("megalis") == "pending"
        says("megalis", server.url, party.key)
        assert (await peers.activate(target.node, "megalis")).state == "active"
