"""What is decided about peers and keys, by one node over its database; only the network is made up.

Each bound is tried on both sides of it, and each refusal leaves everything as it was.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from federation.domain.checkpoint import MAX_EXCLUSIONS
from federation.domain.errors import Conflict, Invalid, NotFound, Unauthenticated, Unreachable
from federation.domain.feed import FeedName, Head
from federation.domain.invitation import (
    HOLDS,
    Invitation,
    Inviter,
    Registration,
    RegistrationAnswer,
    code,
    fingerprint,
)
from federation.domain.peer import IntroducedPeer, Peer, PeerState
from federation.node import checkpoints, exclusions, invitations, key_rotation, peer_views, peers
from federation.node.keys import Keyring, trusted_keys, verify_jwt
from federation.node.node import Node
from tests.api.http_client import NextDoor
from tests.attack.forged_tokens import Key, Party
from tests.audit.audit_trail import entries
from tests.domain.builders import a_document, a_solution
from tests.nodes import publish
from tests.store.stepwise_transactions import begun
from tests.sync.peers import an_entry, held, take

NOW = 1_800_000_000


class Next(NextDoor):
    """An ``Outside`` in which one node stands, that says what the test wants."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.told = IntroducedPeer(party.operator, party.operator.title(), party.url, party.jwks)
        self.down = False
        self.asked: list[str] = []
        self.sent: dict[str, Any] = {}
        self.proof: dict[str, Any] = {}
        """What is other than it should be in the proof of its answer to a registration."""
        self.signer = party.key
        self.before_answering: Callable[[], Awaitable[Any]] | None = None

    def check_url(self, url: str, *, private: bool) -> str:
        if not private and "example" not in url:
            raise Unreachable(f"{url} is not public")
        return url

    async def introduce(self, url: str, *, private: bool) -> IntroducedPeer:
        self.asked.append(f"introduced {url} {private}")
        if self.down:
            raise Unreachable("it does not answer")
        return self.told

    async def register(self, url: str, secret: str, request: bytes, *, private: bool) -> bytes:
        self.asked.append(f"register {url} {private}")
        self.sent = {**json.loads(request), "secret": secret}
        if self.before_answering:
            await self.before_answering()
        claims = {
            "iss": self.party.operator, "aud": self.sent["client_uri"], "newcomer":
            self.sent["jwks"]["keys"][0]["kid"], "invitation": fingerprint(secret).hex(),
            "iat": NOW, "exp": NOW + 300, **self.proof,
        }  # fmt: skip
        head = {"alg": "ES256", "typ": "federation-welcome+jwt", "kid": self.party.key.kid}
        inviter = Inviter(
            operator=self.party.operator, name="x", url=url, jwks=self.party.jwks,
            proof=self.signer.jws(head, claims),
        )  # fmt: skip
        return msgspec.json.encode(
            RegistrationAnswer(
                client_id=self.sent["operator"],
                client_id_issued_at=NOW,
                client_name="x",
                client_uri=self.sent["client_uri"],
                jwks=self.sent["jwks"],
                inviter=inviter,
            )
        )

    async def disconnect(self, peer: Peer) -> None:
        self.asked.append(f"disconnect {peer.operator}")
        if self.down:
            raise Unreachable("it does not answer")

    async def heads_at(self, peer: Peer, origin: str) -> tuple[Head, ...]:
        return ()


@pytest.fixture
def outside(arnia: Node) -> Next:
    """Megalis, next door."""
    arnia._outside = found = Next(Party("megalis"))
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ``NOW``, and stays so, for whoever asks what time it is by the second."""
    monkeypatch.setattr("federation.node.invitations.time.time", lambda: float(NOW))


async def peer(node: Node, operator: str = "megalis") -> Peer | None:
    async with node.store.read() as tx:
        return await tx.peers.find(operator)


async def knows(node: Node, party: Party, state: PeerState = "active") -> Party:
    async with node.store.write() as tx:
        await tx.peers.add(party.known(state))
    return party


async def noted(node: Node) -> list[tuple[str, str, str]]:
    return [(one.event, one.actor, one.subject) for one in await entries(node)]


def forget_nudges(node: Node) -> None:
    """Count from now on how often the watch is told to look now: it may have looked before the test does."""
    event: Any = node.notifier._refresh_due
    event.clear()
    event.nudges = 0

    def count() -> None:
        event.nudges += 1
        asyncio.Event.set(event)

    event.set = count


def is_nudged(node: Node) -> bool:
    """Return True if the watch was told to look now, since ``forget_nudges`` or since it looked last."""
    event: Any = node.notifier._refresh_due
    return event.is_set() or getattr(event, "nudges", 0) > 0


# Inviting


async def test_an_invitation_names_us_and_is_kept_as_a_hash_for_three_days(arnia: Node) -> None:
    made = await invitations.invite(arnia, "for Megalis", by="client-erp")
    assert (made.url, made.thumbprint) == (arnia.url, arnia.keyring.kid)
    async with arnia.store.read() as tx:
        rows = await tx.peers._session.connection.fetch("SELECT * FROM invitations")
    (row,) = rows
    assert row["secret_hash"] == fingerprint(made.secret)
    assert (row["note"], row["private"]) == ("for Megalis", False)
    assert abs(row["expires_at"] - datetime.now(UTC) - HOLDS) < timedelta(minutes=5)
    assert await noted(arnia) == [("peer.invited", "client-erp", "for Megalis")]
    await invitations.invite(arnia, "", private=True)
    async with arnia.store.read() as tx:
        assert (
            await tx.peers._session.connection.fetchval("SELECT count(*) FROM invitations WHERE private") == 1
        )
    assert (await noted(arnia))[1] == ("peer.invited", "operator", "somebody")


@pytest.mark.parametrize("note", ["x" * 201, "a\nb", "\x07", "x" * 200 + "\n"])
async def test_a_note_is_short_and_printable(arnia: Node, note: str) -> None:
    with pytest.raises(Invalid, match="at most 200 printable"):
        await invitations.invite(arnia, note)
    assert await noted(arnia) == []
    for good in ("x" * 200, "", "pour Mégalis, n° 1"):
        await invitations.invite(arnia, good)


# Joining, as the newcomer


def invitation(outside: Next, **changes: str) -> Invitation:
    good = Invitation(outside.party.url, outside.party.key.kid, "s" * 43)
    return msgspec.structs.replace(good, **changes)


@pytest.mark.usefixtures("clock")
async def test_who_joins_shows_its_keys_and_knows_the_inviter_as_pending(arnia: Node, outside: Next) -> None:
    found = await invitations.join(arnia, invitation(outside))
    stored = await peer(arnia)
    assert stored is not None
    assert found == msgspec.structs.replace(stored, added_at=found.added_at)
    assert (found.operator, found.state, found.private) == ("megalis", "pending", False)
    assert (found.url, found.name) == (outside.party.url, "Megalis")
    assert found.thumbprint == outside.party.key.kid
    assert outside.asked == [f"introduced {found.url} False", f"register {found.url} False"]
    sent = outside.sent
    assert (sent["operator"], sent["client_name"], sent["client_uri"]) == ("arnia", "Arnia", arnia.url)
    assert sent["secret"] == "s" * 43
    claims = verify_jwt(sent["software_statement"], sent["jwks"], frozenset({"federation-registration+jwt"}))
    assert claims == {
        "iss": "arnia", "aud": outside.party.url, "iat": NOW, "exp": NOW + 300, "url": arnia.url,
        "invitation": fingerprint("s" * 43).hex(),
    }  # fmt: skip
    assert await noted(arnia) == [("peer.registered", "operator", "megalis")]
    await invitations.join(arnia, invitation(outside), private=True)
    again = await peer(arnia)
    assert again is not None
    assert again.private


async def test_an_inviter_with_another_key_is_not_even_asked_to_register_us(
    arnia: Node, outside: Next
) -> None:
    with pytest.raises(Unreachable, match="does not have the key that the invitation names"):
        await invitations.join(arnia, invitation(outside, thumbprint=Key().kid))
    assert [asked.split()[0] for asked in outside.asked] == ["introduced"]
    assert await peer(arnia) is None


async def test_whom_we_cannot_have_as_a_peer_is_not_asked_and_the_invitation_not_used_up(
    arnia: Node, outside: Next
) -> None:
    await knows(arnia, outside.party)
    with pytest.raises(Conflict, match="is a peer already"):
        await invitations.join(arnia, invitation(outside))
    assert [asked.split()[0] for asked in outside.asked] == ["introduced"]
    assert await noted(arnia) == []


@pytest.mark.usefixtures("clock")
async def test_who_became_a_peer_meanwhile_is_not_written_over(arnia: Node, outside: Next) -> None:
    outside.before_answering = lambda: knows(arnia, outside.party)
    with pytest.raises(Conflict, match="is a peer already"):
        await invitations.join(arnia, invitation(outside))
    found = await peer(arnia)
    assert found is not None
    assert found.state == "active"
    assert await noted(arnia) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "https://other.example"}, {"newcomer": Key().kid}, {"aud": None}, {"newcomer": None},
        {"iss": "recia"}, {"invitation": "0" * 64}, {"invitation": None},
        {"exp": NOW - 30}, {"exp": NOW + 331}, {"exp": None}, {"exp": float(NOW + 300)},
        {"signer": Key()}, {"garbage": b"{}"}, {"garbage": b"\xff"},
    ],
    ids=(
        "node, key, no node, no key, inviter, invitation, no invitation, expired, too long, no end,"
        " no integer, signer, no proof, no JSON"
    ).split(", "),
)  # fmt: skip
@pytest.mark.usefixtures("clock")
async def test_an_answer_that_is_not_the_inviters_to_us_makes_no_peer(
    arnia: Node, outside: Next, wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    garbage = wrong.pop("garbage", None)
    outside.signer = wrong.pop("signer", outside.signer)
    outside.proof = wrong

    async def answers(*_: Any, **__: Any) -> bytes:
        return bytes(garbage)

    if garbage is not None:
        monkeypatch.setattr(outside, "register", answers)
    with pytest.raises(
        Unreachable, match=r"cannot be read|is not its own|for somebody else|has expired, or the"
    ):
        await invitations.join(arnia, invitation(outside))
    assert await peer(arnia) is None
    assert await noted(arnia) == []


@pytest.mark.usefixtures("clock")
async def test_the_code_is_drawn_from_the_keys_that_signed_and_not_from_those_that_come(
    arnia: Node, outside: Next
) -> None:
    """The inviter's next key is published already, and its present one signs the welcome."""
    present, coming = outside.party.key, Key()
    jwks = {
        "keys": [coming.public, present.public],
        "succession": [outside.party.endorsement(present, coming)],
    }
    outside.told = msgspec.structs.replace(outside.told, jwks=jwks)
    found = await invitations.join(arnia, invitation(outside))
    assert found.thumbprint == present.kid
    assert found.kids == {present.kid, coming.kid}
    shown = code(arnia.keyring.kid, present.kid)
    assert peers.code_of(arnia, found) == shown
    await key_rotation.rotate(arnia, after=timedelta(0))
    assert peers.code_of(arnia, found) == shown, "a key that signs later does not change it"
    await key_rotation.replace_key(arnia)
    assert peers.code_of(arnia, found) == code(arnia.keyring.kid, present.kid) != shown


@pytest.mark.usefixtures("clock")
async def test_an_inviter_that_left_comes_back_with_a_key_that_its_former_one_endorsed(
    arnia: Node, outside: Next
) -> None:
    former = await knows(arnia, Party("megalis", key=Key("former")), "left")
    with pytest.raises(Conflict, match="bound to another key"):
        await invitations.join(arnia, invitation(outside))
    succession = [former.endorsement(former.key, outside.party.key)]
    outside.told = msgspec.structs.replace(
        outside.told, jwks={**outside.party.jwks, "succession": succession}
    )
    assert (await invitations.join(arnia, invitation(outside))).thumbprint == outside.party.key.kid


# Registering, as the inviter


async def registered(
    node: Node, party: Party, made: Invitation | None = None, **changes: Any
) -> RegistrationAnswer:
    """Let a party register with an invitation of the node's."""
    made = made or await invitations.invite(node, "", private=False)
    statement = changes.pop("statement", {})
    body = party.registration(node.url, made.secret, **changes)
    if statement:
        body["software_statement"] = party.statement(node.url, made.secret, **statement)
    return await invitations.register(node, msgspec.convert(body, Registration), made.secret)


@pytest.mark.usefixtures("clock", "outside")
async def test_a_newcomer_is_pending_and_told_who_we_are(arnia: Node) -> None:
    party = Party("megalis")
    made = await invitations.invite(arnia, "")
    said = await registered(arnia, party, made, statement={"iat": NOW, "exp": NOW + 300})
    assert (said.client_id, said.client_name, said.client_uri) == ("megalis", "Megalis", party.url)
    assert said.jwks == party.jwks
    assert abs(said.client_id_issued_at - arnia.clock().timestamp()) < 300
    assert (said.inviter.operator, said.inviter.name, said.inviter.url) == ("arnia", "Arnia", arnia.url)
    assert said.inviter.jwks == {"keys": arnia.keyring.public()["keys"]}
    claims = verify_jwt(said.inviter.proof, said.inviter.jwks, frozenset({"federation-welcome+jwt"}))
    assert claims == {
        "iss": "arnia", "aud": party.url, "newcomer": party.key.kid, "iat": NOW, "exp": NOW + 300,
        "invitation": fingerprint(made.secret).hex(),
    }  # fmt: skip
    found = await peer(arnia)
    assert found is not None
    assert (found.state, found.thumbprint, found.private) == ("pending", party.key.kid, False)
    assert (await noted(arnia))[1:] == [("peer.registered", "megalis", "megalis")]


@pytest.mark.usefixtures("outside")
async def test_an_invitation_says_whether_the_newcomer_may_be_at_any_address(arnia: Node) -> None:
    inside = Party("megalis", url="http://10.0.0.3:8470")
    with pytest.raises(Invalid, match="not public") as refused:
        await registered(arnia, inside)
    assert refused.value.pointer == "/client_uri"
    assert await peer(arnia) is None
    await registered(arnia, inside, await invitations.invite(arnia, "", private=True))
    found = await peer(arnia)
    assert found is not None
    assert found.private


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("operator", "Megalis"), ("operator", ""), ("operator", "a b"), ("client_name", ""),
        ("client_name", "x" * 201), ("client_name", "a\x07"), ("token_endpoint_auth_method", "none"),
        ("token_endpoint_auth_method", "client_secret_basic"),
    ],
)  # fmt: skip
async def test_a_registration_has_a_name_an_id_and_the_one_method(
    arnia: Node, member: str, wrong: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await registered(arnia, Party("megalis"), None, **{member: wrong})
    assert refused.value.pointer == f"/{member}"
    assert await peer(arnia) is None


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("name", ["x", "x" * 200])
async def test_a_name_may_be_as_short_and_as_long_as_is_said(arnia: Node, name: str) -> None:
    assert (await registered(arnia, Party("megalis"), client_name=name)).client_name == name


@pytest.mark.usefixtures("clock", "outside")
@pytest.mark.parametrize(
    ("statement", "good"),
    [
        ({"exp": NOW + 330}, True), ({"exp": NOW + 331}, False), ({"exp": NOW - 29}, True),
        ({"exp": NOW - 30}, False), ({"exp": str(NOW + 60)}, False), ({"exp": ...}, False),
        ({"exp": NOW + 60.0}, False), ({"iss": "recia"}, False), ({"iss": ...}, False),
        ({"aud": "https://other.example"}, False), ({"aud": ...}, False),
        ({"url": "https://other.example"}, False), ({"url": ...}, False),
        ({"invitation": fingerprint("x").hex()}, False), ({"invitation": ...}, False), ({}, True),
    ],
)  # fmt: skip
async def test_the_proof_is_for_this_inviter_this_invitation_this_url_and_now(
    arnia: Node, statement: dict[str, Any], good: bool
) -> None:
    made = await invitations.invite(arnia, "")
    said = {"iat": NOW, "exp": NOW + 300, **statement}
    if good:
        await registered(arnia, Party("megalis"), made, statement=said)
        return
    late = type(statement.get("exp")) is int
    reason = (
        "has expired, or the clocks differ: here it is 2027-01-15T08:00:00Z" if late else "does not prove"
    )
    with pytest.raises(Unauthenticated, match=reason):
        await registered(arnia, Party("megalis"), made, statement=said)
    assert await peer(arnia) is None
    await registered(arnia, Party("megalis"), made, statement={"iat": NOW, "exp": NOW + 300})


@pytest.mark.usefixtures("outside")
async def test_a_proof_is_by_the_key_that_is_kept_and_names_it(arnia: Node) -> None:
    party = Party("megalis")
    made = await invitations.invite(arnia, "")
    nameless = party.key.jws(
        {"alg": "ES256", "typ": "federation-registration+jwt"},
        json.loads(base64.urlsafe_b64decode(party.statement(arnia.url, made.secret).split(".")[1] + "==")),
    )
    for wrong in (party.statement(arnia.url, made.secret, by=Key()), nameless, "a.b.c", ""):
        with pytest.raises(Unauthenticated, match="does not prove"):
            await registered(arnia, party, made, software_statement=wrong)
    await registered(arnia, party, made)


@pytest.mark.usefixtures("outside")
async def test_an_invitation_that_does_not_hold_changes_nothing(arnia: Node) -> None:
    party = Party("megalis")
    unknown = Invitation(arnia.url, arnia.keyring.kid, "never given")
    with pytest.raises(Unauthenticated, match="the invitation does not hold"):
        await registered(arnia, party, unknown)
    assert await peer(arnia) is None
    used = await invitations.invite(arnia, "")
    await registered(arnia, party, used)
    with pytest.raises(Unauthenticated, match="the invitation does not hold"):
        await registered(arnia, Party("recia"), used)
    assert await peer(arnia, "recia") is None


@pytest.mark.usefixtures("outside")
async def test_who_comes_back_with_a_key_that_its_old_one_endorsed_is_known(arnia: Node) -> None:
    before, now = Party("megalis"), Party("megalis")
    await knows(arnia, before, "left")
    with pytest.raises(Conflict, match="bound to another key"):
        await registered(arnia, now)
    found = await peer(arnia)
    assert found is not None
    assert (found.state, found.thumbprint) == ("left", before.key.kid)
    succession = {"keys": now.jwks["keys"], "succession": [before.endorsement(before.key, now.key)]}
    await registered(arnia, now, jwks=succession)
    found = await peer(arnia)
    assert found is not None
    assert (found.state, found.thumbprint) == ("pending", now.key.kid)


# Who can be a peer


PLACES = {
    "https://a.example": ("https", "a.example", 443, ""),
    "https://a.example:443/": ("https", "a.example", 443, ""),
    "https://A.Example.": ("https", "a.example", 443, ""),
    "http://a.example": ("http", "a.example", 80, ""),
    "https://a.example:8470": ("https", "a.example", 8470, ""),
    "https://a.example/b/": ("https", "a.example", 443, "/b"),
    "x": ("", "", None, "x"),
}


@pytest.mark.parametrize(("url", "place"), PLACES.items())
def test_a_url_is_one_place_however_it_is_spelled(url: str, place: Any) -> None:
    assert invitations._normalised_url(url) == place


async def test_an_id_and_a_place_are_one_nodes(arnia: Node) -> None:
    megalis, recia = Party("megalis").known("pending"), Party("recia").known()
    invitations.refuse_conflict(arnia, megalis, None, ())
    invitations.refuse_conflict(arnia, megalis, None, (recia,))
    for state in ("pending", "left"):
        known = msgspec.structs.replace(megalis, state=state)
        invitations.refuse_conflict(arnia, megalis, known, (known, recia))
    for state in ("active", "suspended"):
        with pytest.raises(Conflict, match="is a peer already"):
            invitations.refuse_conflict(arnia, megalis, msgspec.structs.replace(megalis, state=state), ())
    with pytest.raises(Conflict, match="bound to another key"):
        invitations.refuse_conflict(arnia, megalis, Party("megalis").known("left"), ())
    with pytest.raises(Conflict, match="the operator of this node"):
        invitations.refuse_conflict(arnia, Party("arnia").known("pending"), None, ())
    there = msgspec.structs.replace(recia, url=megalis.url + ":443/")
    with pytest.raises(Conflict, match="the node of another peer"):
        invitations.refuse_conflict(arnia, megalis, None, (there,))
    with pytest.raises(Conflict, match="is this node"):
        invitations.refuse_conflict(arnia, msgspec.structs.replace(megalis, url=f"{arnia.url}:80"), None, ())


async def test_there_is_a_code_while_there_is_something_to_compare(arnia: Node) -> None:
    party = await knows(arnia, Party("megalis"), "pending")
    known = party.known("pending")
    assert await peers.code_shown(arnia, "megalis") == peers.code_of(arnia, known)
    for state in ("active", "suspended", "left"):
        async with arnia.store.write() as tx:
            await tx.peers.set_state("megalis", state)
        assert await peers.code_shown(arnia, "megalis") is None
    with pytest.raises(NotFound, match="there is no peer nobody"):
        await peers.code_shown(arnia, "nobody")


# States


async def test_a_pending_peer_is_activated_when_it_is_who_it_was(arnia: Node, outside: Next) -> None:
    await knows(arnia, outside.party, "pending")
    shown = await peers.code_shown(arnia, "megalis") or ""
    found = await peers.activate(arnia, "megalis", code=shown.replace(" ", " - "), by="client-erp")
    assert is_nudged(arnia)
    assert found.state == "active"
    assert outside.asked == [f"introduced {outside.party.url} True"]
    assert await noted(arnia) == [("peer.activated", "client-erp", "megalis")]
    assert (await peers.activate(arnia, "megalis", code="0")).state == "active"
    assert len(outside.asked) == len(await noted(arnia)) == 1, "it is one already: nothing is done"


async def test_an_administrator_allows_an_address_that_is_not_public_when_activating(
    arnia: Node, outside: Next
) -> None:
    for private in (False, True):
        async with arnia.store.write() as tx:
            await tx.peers.add(msgspec.structs.replace(outside.party.known("pending"), private=False))
        await peers.activate(arnia, "megalis", private=private)
        activated = await peer(arnia)
        assert activated is not None
        assert (activated.state, activated.private) == ("active", private)
        assert outside.asked.pop() == f"introduced {outside.party.url} {private}"
    assert [one.detail for one in await entries(arnia)] == [{}, {"private": True}]


async def test_a_newcomer_that_looks_like_another_operator_is_reported(
    arnia: Node, outside: Next, caplog: pytest.LogCaptureFixture
) -> None:
    await registered(arnia, Party("recia"))
    assert "looks like" not in caplog.text
    await registered(arnia, Party("arn1a", url="https://arn1a.example.org"))
    reported = [record for record in caplog.records if "looks like" in record.message]
    assert [record.__dict__["reason"] for record in reported] == [
        "'Arn1A' looks like 'arnia'", "'arn1a' looks like 'arnia'"
    ]  # fmt: skip
    assert [str(alike) for alike in await peers.look_alikes(arnia, "arn1a")] == [
        "'Arn1A' looks like 'arnia'", "'arn1a' looks like 'arnia'"
    ]  # fmt: skip
    assert await peers.look_alikes(arnia, "recia") == ()
    views = {view.operator: view.look_alikes for view in (await peer_views.peers(arnia)).peers}
    assert views == {"arn1a": await peers.look_alikes(arnia, "arn1a"), "recia": ()}


async def test_without_a_code_an_administrator_vouches_for_it(arnia: Node, outside: Next) -> None:
    await knows(arnia, outside.party, "pending")
    assert (await peers.activate(arnia, "megalis")).state == "active"
    assert await noted(arnia) == [("peer.activated", "operator", "megalis")]


@pytest.mark.parametrize("state", ["suspended", "left"])
async def test_only_a_pending_peer_is_activated(arnia: Node, outside: Next, state: PeerState) -> None:
    await knows(arnia, outside.party, state)
    with pytest.raises(Conflict, match=f"is {state}, not pending"):
        await peers.activate(arnia, "megalis")
    assert outside.asked == []


async def test_who_is_not_who_it_was_is_not_activated(arnia: Node, outside: Next) -> None:
    await knows(arnia, outside.party, "pending")
    with pytest.raises(Conflict, match="the codes differ"):
        await peers.activate(arnia, "megalis", code="1234 5678 9012 3456")
    with pytest.raises(Conflict, match="the codes differ"):
        await peers.activate(arnia, "megalis", code="")
    assert outside.asked == []
    good = outside.told
    for wrong, why in (
        (msgspec.structs.replace(good, jwks=Party("megalis").jwks), "does not have the key"),
        (msgspec.structs.replace(good, operator="recia"), "is that of recia, not of megalis"),
    ):
        outside.told = wrong
        with pytest.raises(Unreachable, match=why):
            await peers.activate(arnia, "megalis")
    found = await peer(arnia)
    assert found is not None
    assert found.state == "pending"
    assert await noted(arnia) == []


async def test_a_peer_is_suspended_and_resumed(arnia: Node) -> None:
    await knows(arnia, Party("megalis"))
    for verb, state, event in (
        (peers.suspend, "suspended", "peer.suspended"), (peers.resume, "active", "peer.resumed")
    ):  # fmt: skip
        forget_nudges(arnia)
        found = await verb(arnia, "megalis", by="client-erp")
        assert is_nudged(arnia)
        kept = await peer(arnia)
        assert kept is not None
        assert found.state == kept.state == state
        assert (await noted(arnia))[-1] == (event, "client-erp", "megalis")
        before = len(await noted(arnia))
        assert (await verb(arnia, "megalis")).state == state
        assert len(await noted(arnia)) == before, "it was so already: nothing is noted"
    await peers.suspend(arnia, "megalis")
    assert (await noted(arnia))[-1] == ("peer.suspended", "operator", "megalis")
    await peers.resume(arnia, "megalis")
    assert (await noted(arnia))[-1] == ("peer.resumed", "operator", "megalis")


@pytest.mark.parametrize("state", ["pending", "left"])
async def test_who_is_no_peer_is_neither_suspended_nor_resumed(arnia: Node, state: PeerState) -> None:
    await knows(arnia, Party("megalis"), state)
    for verb, from_ in ((peers.suspend, "active"), (peers.resume, "suspended")):
        with pytest.raises(Conflict, match=f"megalis is {state}, not {from_}"):
            await verb(arnia, "megalis")
        with pytest.raises(NotFound, match="there is no peer nobody"):
            await verb(arnia, "nobody")
    assert await noted(arnia) == []


async def test_who_is_left_is_told_and_what_was_not_public_is_dropped(arnia: Node, outside: Next) -> None:
    await knows(arnia, outside.party)
    await knows(arnia, Party("recia"))
    for origin, audience, said in (
        ("megalis", "public", {}),
        ("megalis", "federation", {"tlp": "GREEN"}),
        ("megalis", "close", {"tlp": "AMBER", "audience": "close"}),
        ("recia", "federation", {"tlp": "GREEN"}),
    ):
        entry = an_entry(1, a_document(origin=origin, key=f"{origin}-{audience}", **said))
        await take(arnia, entry, name=FeedName(origin, audience))
    await publish(arnia, "solution", "own", a_solution(), tlp="GREEN")
    assert set(await held(arnia)) == {"megalis-public", "megalis-federation", "megalis-close"}
    forget_nudges(arnia)
    found, why = await peers.leave(arnia, "megalis", by="client-erp")
    assert is_nudged(arnia)
    assert (found.state, why) == ("left", None)
    assert outside.asked == ["disconnect megalis"]
    assert (await noted(arnia))[-1] == ("peer.left", "client-erp", "megalis")
    assert set(await held(arnia)) == {"megalis-public"}
    assert set(await held(arnia, "recia")) == {"recia-federation"}
    assert set(await held(arnia, "arnia")) == {"own"}
    before = await noted(arnia)
    assert (await peers.leave(arnia, "megalis"))[0].state == "left"
    await peers.accept_disconnect(arnia, "megalis")
    assert outside.asked == ["disconnect megalis"]
    assert await noted(arnia) == before, "it has left already: nothing is done"


@pytest.mark.parametrize("state", ["pending", "suspended"])
async def test_who_would_not_listen_is_left_without_a_word(
    arnia: Node, outside: Next, state: PeerState
) -> None:
    await knows(arnia, outside.party, state)
    found, why = await peers.leave(arnia, "megalis")
    assert (found.state, why) == ("left", None)
    assert outside.asked == []
    assert await noted(arnia) == [("peer.left", "operator", "megalis")]


async def test_who_cannot_be_reached_is_left_and_why_is_said(arnia: Node, outside: Next) -> None:
    await knows(arnia, outside.party)
    outside.down = True
    found, why = await peers.leave(arnia, "megalis")
    assert (found.state, why) == ("left", "it does not answer")


async def test_a_peer_that_disconnects_has_left_by_itself(arnia: Node) -> None:
    await knows(arnia, Party("megalis"))
    forget_nudges(arnia)
    await peers.accept_disconnect(arnia, "megalis")
    assert is_nudged(arnia)
    assert await noted(arnia) == [("peer.left", "megalis", "megalis")]


@pytest.mark.parametrize("state", ["left", "pending"])
async def test_who_is_no_peer_is_forgotten(arnia: Node, state: PeerState) -> None:
    party = await knows(arnia, Party("megalis"), state)
    await peers.forget(arnia, "megalis", by="client-erp")
    assert await peer(arnia) is None
    (entry,) = await entries(arnia)
    assert (entry.event, entry.actor, entry.subject) == ("peer.forgotten", "client-erp", "megalis")
    assert entry.detail == {"key": party.key.kid}
    with pytest.raises(NotFound, match="there is no peer megalis"):
        await peers.forget(arnia, "megalis")


@pytest.mark.parametrize("state", ["active", "suspended"])
async def test_a_peer_is_not_forgotten(arnia: Node, state: PeerState) -> None:
    await knows(arnia, Party("megalis"), state)
    with pytest.raises(Conflict, match=f"megalis is {state}; first: federation peer leave megalis"):
        await peers.forget(arnia, "megalis")
    assert await peer(arnia) is not None


# Exclusions


async def state_of(node: Node, operator: str = "megalis") -> str | None:
    known = await peer(node, operator)
    return known.state if known else None


async def excluded(node: Node) -> tuple[str, ...]:
    async with node.store.read() as tx:
        return await tx.exclusions.own()


async def test_a_suspended_peer_is_excluded_unless_it_is_suspended_here_alone(arnia: Node) -> None:
    await knows(arnia, Party("megalis"))
    await peers.suspend(arnia, "megalis")
    assert await excluded(arnia) == ("megalis",)
    assert (await entries(arnia))[-1].detail == {"exclusion": "signed"}
    await peers.suspend(arnia, "megalis", local=True)
    assert await excluded(arnia) == ()
    assert (await entries(arnia))[-1].detail == {"exclusion": "lifted"}
    await peers.suspend(arnia, "megalis")
    await peers.resume(arnia, "megalis")
    assert await excluded(arnia) == ()
    await peers.suspend(arnia, "megalis", local=True)
    assert await excluded(arnia) == ()
    assert (await entries(arnia))[-1].detail == {}
    assert await state_of(arnia) == "suspended"


async def test_an_exclusion_outlasts_leaving_and_forgetting_and_ends_when_it_is_a_peer_again(
    arnia: Node, outside: Next
) -> None:
    await knows(arnia, outside.party)
    await peers.suspend(arnia, "megalis")
    await peers.leave(arnia, "megalis")
    assert await excluded(arnia) == ("megalis",)
    await peers.forget(arnia, "megalis")
    assert await excluded(arnia) == ("megalis",)
    await knows(arnia, outside.party, "pending")
    assert await excluded(arnia) == ("megalis",)
    await peers.activate(arnia, "megalis")
    assert await excluded(arnia) == ()


async def test_who_leaves_is_not_excluded_by_that(arnia: Node, outside: Next) -> None:
    await knows(arnia, outside.party)
    await knows(arnia, Party("recia"))
    await peers.leave(arnia, "megalis")
    await peers.accept_disconnect(arnia, "recia")
    assert await excluded(arnia) == ()


@pytest.mark.parametrize("state", ["pending", "suspended", "left"])
async def test_an_operator_that_is_no_active_peer_is_excluded_and_let_in_again(
    arnia: Node, state: PeerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[tuple[str, ...]] = []

    async def sign(node: Node) -> None:
        signed.append(await excluded(node))

    monkeypatch.setattr(checkpoints, "sign_exclusions", sign)
    await knows(arnia, Party("megalis"), state)
    for _ in range(2):
        await exclusions.exclude(arnia, "megalis", by="client-erp")
        assert await excluded(arnia) == ("megalis",)
    await exclusions.lift(arnia, "megalis")
    assert await excluded(arnia) == ()
    assert signed == [("megalis",), ("megalis",), ()], "each change is signed at once"
    assert await noted(arnia) == [
        ("peer.excluded", "client-erp", "megalis"), ("peer.exclusion-lifted", "operator", "megalis")
    ]  # fmt: skip
    with pytest.raises(NotFound, match="megalis is not excluded"):
        await exclusions.lift(arnia, "megalis")
    assert await state_of(arnia) == state


async def test_nobody_unknown_and_no_active_peer_is_excluded(arnia: Node) -> None:
    await knows(arnia, Party("megalis"))
    with pytest.raises(Conflict, match="megalis is active; first: federation peer suspend megalis"):
        await exclusions.exclude(arnia, "megalis")
    with pytest.raises(NotFound, match="there is no peer nobody"):
        await exclusions.exclude(arnia, "nobody")
    assert await excluded(arnia) == ()
    assert await noted(arnia) == []


async def test_a_signature_has_room_for_so_many_exclusions_and_one_more_is_refused_whole(arnia: Node) -> None:
    async with arnia.store.write() as tx:
        for number in range(MAX_EXCLUSIONS - 1):
            assert await tx.exclusions.add(f"former-{number}")
    for operator in ("megalis", "recia"):
        await knows(arnia, Party(operator))
    await peers.suspend(arnia, "megalis")
    before = await noted(arnia)
    with pytest.raises(Conflict, match="32 operators are excluded already"):
        await peers.suspend(arnia, "recia")
    assert await state_of(arnia, "recia") == "active"
    assert len(await excluded(arnia)) == MAX_EXCLUSIONS
    assert await noted(arnia) == before
    await peers.suspend(arnia, "recia", local=True)
    await exclusions.lift(arnia, "former-0")
    await peers.suspend(arnia, "recia")
    assert "recia" in await excluded(arnia)


# Our own keys


async def test_a_new_key_is_published_for_ten_minutes_before_it_signs(arnia: Node) -> None:
    first, now = arnia.keyring.kid, arnia.clock()
    arnia.clock = lambda: now
    key = await key_rotation.rotate(arnia, by="client-erp")
    assert key.use_from == now + timedelta(minutes=10)
    assert {one["kid"] for one in arnia.keyring.public()["keys"]} == {first, key.jwk["kid"]}
    assert arnia.keyring.kid == first
    assert trusted_keys({first}, arnia.keyring.public(), "arnia")["keys"][0]["kid"] == key.jwk["kid"]
    (entry,) = await entries(arnia)
    assert (entry.event, entry.actor, entry.subject) == ("key.rotated", "client-erp", key.jwk["kid"])
    assert entry.detail == {"from": first}
    arnia.clock = lambda: key.use_from - timedelta(microseconds=1)
    with pytest.raises(Conflict, match="does not sign yet"):
        await key_rotation.rotate(arnia)
    arnia.clock = lambda: key.use_from
    await key_rotation.rotate(arnia)
    assert (await entries(arnia))[-1].actor == "operator"


async def test_a_key_is_endorsed_by_the_one_that_signs_whichever_process_made_that(
    arnia: Node, dsn: str
) -> None:
    from tests.nodes import a_node

    async with a_node("arnia", dsn) as other:
        first = arnia.keyring.kid
        second = await key_rotation.rotate(other, after=timedelta(0))
        third = await key_rotation.rotate(arnia, after=timedelta(0))
        assert (await entries(arnia))[-1].detail == {"from": second.jwk["kid"]}
        told = arnia.keyring.public()
    assert trusted_keys({second.jwk["kid"]}, told, "arnia")["keys"][0]["kid"] == third.jwk["kid"]
    assert third.jwk["kid"] in {key["kid"] for key in trusted_keys({first}, told, "arnia")["keys"]}


@pytest.mark.parametrize("verb", [key_rotation.rotate, key_rotation.replace_key])
async def test_keys_are_changed_one_after_the_other(arnia: Node, verb: Any) -> None:
    """By hand: somebody holds the keys, and who comes second waits for it."""
    holding = await begun(arnia.store)
    await holding.tx.keys.lock()
    coming = asyncio.create_task(verb(arnia))
    done, _ = await asyncio.wait([coming], timeout=0.3)
    assert not done
    await holding.commit()
    await coming


async def test_a_key_that_leaked_is_replaced_at_once_and_holds_nothing_any_more(arnia: Node) -> None:
    first = arnia.keyring.kid
    now = arnia.clock()
    arnia.clock = lambda: now
    key = await key_rotation.replace_key(arnia, by="client-erp")
    assert key.use_from == now
    assert arnia.keyring.kid == key.jwk["kid"] != first
    assert [one["kid"] for one in arnia.keyring.public()["keys"]] == [key.jwk["kid"]]
    (entry,) = await entries(arnia)
    assert (entry.event, entry.actor, entry.subject) == ("key.rotated", "client-erp", key.jwk["kid"])
    assert entry.detail == {"replaces": first}
    async with arnia.store.read() as tx:
        kept = {one.jwk["kid"]: one for one in await tx.keys.all()}
    assert kept[first].retired
    assert "d" not in kept[first].jwk
    await key_rotation.replace_key(arnia)
    assert (await entries(arnia))[-1].actor == "operator"


async def test_a_key_is_kept_for_ten_minutes_after_its_last_signature(arnia: Node) -> None:
    await key_rotation.rotate(arnia, after=timedelta(minutes=1))
    async with arnia.store.read() as tx:
        newer, older = await tx.keys.all()
    for after, retired in ((-1, 0), (0, 1), (1, 0)):
        arnia.clock = lambda after=after: newer.use_from + timedelta(minutes=10, microseconds=after)  # type: ignore[misc]
        assert await key_rotation.retire_keys(arnia) == retired
    async with arnia.store.read() as tx:
        assert [key.retired for key in await tx.keys.all()] == [False, True]
    assert older.jwk["kid"] != newer.jwk["kid"]


# A peer's keys


async def follows(node: Node, outside: Next, kid: str | None = None) -> Peer:
    found = await key_rotation.reread_keys(node, "megalis", kid=kid)
    assert found is not None
    return found


async def test_a_peers_new_key_is_followed_and_noted(arnia: Node, outside: Next) -> None:
    old, new = await knows(arnia, outside.party), Key()
    jwks = {"keys": [new.public, old.key.public], "succession": [old.endorsement(old.key, new)]}
    outside.told = msgspec.structs.replace(outside.told, jwks=jwks)
    assert (await follows(arnia, outside, old.key.kid)).thumbprint == old.key.kid
    assert outside.asked == [], "that key is known"
    found = await follows(arnia, outside, new.kid)
    assert (found.thumbprint, found.kids) == (new.kid, frozenset((new.kid, old.key.kid)))
    assert outside.asked == [f"introduced {old.url} True"]
    kept = await peer(arnia)
    assert kept is not None
    assert (kept.thumbprint, kept.kids) == (new.kid, frozenset((new.kid, old.key.kid)))
    (entry,) = await entries(arnia)
    assert (entry.event, entry.actor, entry.subject) == ("peer.keys-changed", "megalis", "megalis")
    assert entry.detail == {"key": new.kid}


async def test_a_peer_is_asked_for_its_keys_once_a_minute(arnia: Node, outside: Next) -> None:
    await knows(arnia, outside.party)
    began = arnia.clock()
    asked = []
    for seconds in (0, 1, 59, 60.001, 61, 119, 120.1):
        arnia.clock = lambda seconds=seconds: began + timedelta(seconds=seconds)  # type: ignore[misc]
        await follows(arnia, outside)
        asked.append(len(outside.asked))
    assert asked == [1, 1, 1, 2, 2, 2, 3]
    assert await noted(arnia) == [], "nothing has changed"


@pytest.mark.parametrize("state", ["pending", "suspended", "left"])
async def test_only_of_a_peer_are_keys_read(arnia: Node, outside: Next, state: PeerState) -> None:
    await knows(arnia, outside.party, state)
    assert (await follows(arnia, outside, "x")).state == state
    assert await key_rotation.reread_keys(arnia, "nobody") is None
    assert outside.asked == []


async def test_a_key_set_that_is_another_nodes_or_cannot_be_had_changes_nothing(
    arnia: Node, outside: Next, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "MIN_KEY_READ_INTERVAL", timedelta(0))
    old, new = await knows(arnia, outside.party), Key()
    good = msgspec.structs.replace(
        outside.told, jwks={"keys": [new.public], "succession": [old.endorsement(old.key, new)]}
    )
    for wrong in (
        msgspec.structs.replace(good, jwks={"keys": [new.public]}),
        msgspec.structs.replace(good, operator="recia"),
    ):
        outside.told = wrong
        assert (await follows(arnia, outside)).thumbprint == old.key.kid
    outside.down = True
    assert (await follows(arnia, outside)).thumbprint == old.key.kid
    kept = await peer(arnia)
    assert kept is not None
    assert kept.thumbprint == old.key.kid
    assert await noted(arnia) == []
    outside.down, outside.told = False, good
    assert (await follows(arnia, outside)).thumbprint == new.kid


@pytest.mark.parametrize("how", ["suspended", "other keys", "forgotten"])
async def test_keys_that_come_after_something_else_has_changed_are_not_kept(
    arnia: Node, outside: Next, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: while the key set is under way the peer is cut off, or another process has followed it."""
    old, new = await knows(arnia, outside.party), Key()
    jwks = {"keys": [new.public], "succession": [old.endorsement(old.key, new)]}
    ring = Keyring.of(Key().private)

    async def introduce(url: str, *, private: bool) -> IntroducedPeer:
        async with arnia.store.write() as tx:
            if how == "suspended":
                await tx.peers.set_state("megalis", "suspended")
            elif how == "forgotten":
                await tx.peers.remove("megalis")
            else:
                await tx.peers.store_keys("megalis", ring.public(), ring.kid)
        return msgspec.structs.replace(outside.told, jwks=jwks)

    monkeypatch.setattr(outside, "introduce", introduce)
    found = await key_rotation.reread_keys(arnia, "megalis")
    kept = await peer(arnia)
    assert found == kept
    match how:
        case "forgotten":
            assert kept is None
        case "suspended":
            assert kept is not None
            assert (kept.state, kept.thumbprint) == ("suspended", old.key.kid)
        case _:
            assert kept is not None
            assert kept.thumbprint == ring.kid
    assert await noted(arnia) == []
