"""A passkey lets its person in, and nothing else that an authenticator or a browser may send."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import webauthn

from federation.domain.errors import Conflict, Invalid, NotFound, Refused, Unauthenticated
from federation.domain.person import Person
from federation.domain.visibility import itself
from federation.node import passkeys, people
from federation.node.node import Node
from tests.audit.audit_trail import entries
from tests.people.authenticator import PRESENT, Authenticator, encoded
from tests.people.people import a_person

BY = itself("arnia")


async def registered(node: Node, person: Person, name: str = "key") -> Authenticator:
    """A device with a passkey of that person."""
    device = Authenticator(node.url)
    options, state = await passkeys.options_to_add(node, person)
    await passkeys.add(node, person, name=name, state=state, credential=device.make(options))
    return device


async def log_in(node: Node, device: Authenticator) -> str:
    options, state = await passkeys.options_to_log_in(node)
    return await passkeys.log_in(node, state=state, credential=device.sign(options))


async def test_a_passkey_lets_its_person_in_again_and_again(arnia: Node) -> None:
    anne, other = await a_person(arnia), await a_person(arnia, "Other")
    device, second, theirs = [await registered(arnia, person) for person in (anne, anne, other)]
    for _ in range(2):
        assert await log_in(arnia, device) == anne.id
    assert await log_in(arnia, second) == anne.id
    assert await log_in(arnia, theirs) == other.id
    stored = await passkeys.of_person(arnia, anne.id)
    assert [(passkey.id, passkey.sign_count) for passkey in stored] == [(device.id, 2), (second.id, 1)]
    assert all(passkey.used_at for passkey in stored)
    assert (await people.find(arnia, anne.id)).passkeys == 2


async def test_options_ask_for_a_verified_user_and_name_the_host(arnia: Node) -> None:
    anne = await a_person(arnia)
    device = await registered(arnia, anne)
    options, state = await passkeys.options_to_add(arnia, anne)
    assert options["rp"]["id"] == "arnia.test"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert [listed["id"] for listed in options["excludeCredentials"]] == [encoded(device.id)]
    options, _ = await passkeys.options_to_log_in(arnia)
    assert (options["rpId"], options["userVerification"]) == ("arnia.test", "required")
    assert options["allowCredentials"] == []
    assert len(state) == 43


@pytest.mark.parametrize("url", ["http://127.0.0.1:8470", "http://[::1]:8470"])
async def test_an_address_has_no_passkeys(arnia: Node, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(arnia, "url", url)
    assert passkeys.host_of_passkeys(arnia) is None
    with pytest.raises(Invalid, match="host name"):
        await passkeys.options_to_log_in(arnia)
    monkeypatch.setattr(arnia, "url", "http://arnia.localhost:8471")
    assert passkeys.host_of_passkeys(arnia) == "arnia.localhost"
    assert (await passkeys.options_to_log_in(arnia)).options["rpId"] == "arnia.localhost"


def _without_verification(device: Authenticator) -> None:
    device.flags = PRESENT


def _of_another_origin(device: Authenticator) -> None:
    device.origin = "https://arnia.test.elsewhere.example"


def _for_another_host(device: Authenticator) -> None:
    device.rp_id = "elsewhere.example"


FAULTS = [_without_verification, _of_another_origin, _for_another_host]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_passkey_is_not_made_or_used_otherwise(
    arnia: Node, fault: Callable[[Authenticator], None]
) -> None:
    anne = await a_person(arnia)
    device = await registered(arnia, anne)
    assert await log_in(arnia, device) == anne.id
    fault(device)
    with pytest.raises(Unauthenticated):
        await log_in(arnia, device)
    new = Authenticator(arnia.url)
    fault(new)
    options, state = await passkeys.options_to_add(arnia, anne)
    with pytest.raises(Unauthenticated):
        await passkeys.add(arnia, anne, name="new", state=state, credential=new.make(options))
    assert len(await passkeys.of_person(arnia, anne.id)) == 1


async def test_a_challenge_holds_once_and_for_its_person(arnia: Node) -> None:
    anne, other = await a_person(arnia), await a_person(arnia, "Other")
    device = await registered(arnia, anne)
    options, state = await passkeys.options_to_log_in(arnia)
    answer = device.sign(options)
    assert await passkeys.log_in(arnia, state=state, credential=answer) == anne.id
    with pytest.raises(Invalid, match="sent twice"):
        await passkeys.log_in(arnia, state=state, credential=answer)
    _, later = await passkeys.options_to_log_in(arnia)
    with pytest.raises(Unauthenticated):
        await passkeys.log_in(arnia, state=later, credential=answer)
    new = Authenticator(arnia.url)
    options, state = await passkeys.options_to_add(arnia, anne)
    with pytest.raises(Invalid, match="sent twice"):
        await passkeys.add(arnia, other, name="key", state=state, credential=new.make(options))


async def test_a_copied_device_is_noticed_by_its_counter(arnia: Node) -> None:
    anne = await a_person(arnia)
    device = await registered(arnia, anne)
    for _ in range(2):
        assert await log_in(arnia, device) == anne.id
    device.count = 1
    with pytest.raises(Unauthenticated):
        await log_in(arnia, device)
    device.count = 2
    assert await log_in(arnia, device) == anne.id


async def test_another_key_or_another_user_is_refused(arnia: Node) -> None:
    anne, other = await a_person(arnia), await a_person(arnia, "Other")
    device, theirs = await registered(arnia, anne), await registered(arnia, other)
    key, device.key = device.key, theirs.key
    with pytest.raises(Unauthenticated):
        await log_in(arnia, device)
    device.key, device.user = key, theirs.user
    with pytest.raises(Unauthenticated):
        await log_in(arnia, device)
    device.user = anne.id.encode()
    assert await log_in(arnia, device) == anne.id
    with pytest.raises(Unauthenticated, match="not known here"):
        await log_in(arnia, Authenticator(arnia.url))


HOSTILE: list[Any] = [
    "", "{", "null", "[]", "[" * 10_000, '{"a":' * 3_000, "é", "x" * 20_000, "{}",
    {"id": 1}, {"response": []}, {"rawId": "!"}, {"rawId": "A" * 3_000}, {"type": "password"},
    {"response": {"clientDataJSON": "AAAA"}},
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda value: str(value)[:20])
async def test_what_is_no_answer_of_an_authenticator_is_refused(arnia: Node, hostile: Any) -> None:
    anne = await a_person(arnia)
    device = await registered(arnia, anne)

    def damage(real: str) -> str:
        return hostile if isinstance(hostile, str) else json.dumps(json.loads(real) | hostile)

    options, state = await passkeys.options_to_log_in(arnia)
    with pytest.raises(Refused):
        await passkeys.log_in(arnia, state=state, credential=damage(device.sign(options)))
    options, state = await passkeys.options_to_add(arnia, anne)
    with pytest.raises(Refused):
        await passkeys.add(
            arnia, anne, name="x", state=state, credential=damage(Authenticator(arnia.url).make(options))
        )
    assert await log_in(arnia, device) == anne.id


@pytest.mark.parametrize(
    "changed",
    [
        {"fmt": "tpm"},
        {"fmt": "apple"},
        {"authData": b""},
        {"authData": b"\x81" * 9_000},
        {"fmt": 1},
    ],
    ids=str,
)
async def test_an_attestation_of_another_form_is_not_read(
    arnia: Node, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    """Chains of certificates, for one, cost time and are of no use: they are not even looked at."""
    anne = await a_person(arnia)
    options, state = await passkeys.options_to_add(arnia, anne)
    made = Authenticator(arnia.url).make(options, **changed)
    verified: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(webauthn, "verify_registration_response", lambda **sent: verified.append(sent))
        with pytest.raises(Unauthenticated):
            await passkeys.add(arnia, anne, name="x", state=state, credential=made)
    assert verified == []
    await registered(arnia, anne)


async def test_passkeys_are_removed_but_the_last(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    anne, other = await a_person(arnia), await a_person(arnia, "Other")
    first, second = await registered(arnia, anne, "first"), await registered(arnia, anne, "second")
    theirs = await registered(arnia, other)
    for id_ in (encoded(theirs.id), "", "!", "A" * 5_000):
        with pytest.raises(NotFound):
            await passkeys.remove(arnia, anne, id_)
    await passkeys.remove(arnia, anne, encoded(first.id))
    with pytest.raises(Unauthenticated, match="removed"):
        await log_in(arnia, first)
    with pytest.raises(Conflict, match="only way"):
        await passkeys.remove(arnia, anne, encoded(second.id))
    assert await log_in(arnia, second) == anne.id
    async with arnia.store.write() as tx:
        await tx.people.bind(anne.id, "https://idp.example", "s-1", by_claim=False)
    await passkeys.remove(arnia, anne, encoded(second.id))
    assert [(e.event, e.actor, e.subject) for e in await entries(arnia) if e.event == "passkey.removed"] == [
        ("passkey.removed", anne.actor, "first"),
        ("passkey.removed", anne.actor, "second"),
    ]
    monkeypatch.setattr(passkeys, "MAX_PASSKEYS", 1)
    with pytest.raises(Conflict, match="remove one first"):
        await registered(arnia, other)
    await people.remove(arnia, other.id, by=BY)
    with pytest.raises(Unauthenticated):
        await log_in(arnia, theirs)


@pytest.mark.parametrize("name", ["", "x" * 61, "a\nb"])
async def test_a_passkey_has_a_name_of_its_own(arnia: Node, name: str) -> None:
    anne = await a_person(arnia)
    with pytest.raises(Invalid) as refusal:
        await registered(arnia, anne, name)
    assert refusal.value.pointer == "/name"
    assert await registered(arnia, anne, " Téléphone d’Anne ")
