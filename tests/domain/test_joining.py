"""The invitation as it is sent, the secret in it, and the code that two people compare."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

from federation.domain.errors import Invalid
from federation.domain.invitation import (
    HOLDS,
    MAX_REGISTRATION,
    PROOF_SECONDS,
    Invitation,
    code,
    fingerprint,
    new_secret,
)

MARK = "federation-invitation-1."
SENT = Invitation("https://node.example", "t" * 43, "s" * 43)


def packed(value: object) -> str:
    return MARK + base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def as_long_as(length: int) -> str:
    """An invitation, whole but for its length."""
    text = str(SENT)
    return text + "A" * (length - len(text))


@pytest.mark.parametrize("length", range(9))
def test_an_invitation_is_read_as_it_was_written_whatever_its_length(length: int) -> None:
    sent = Invitation("https://node.example/" + "x" * length, "t" * 43, "s" * 43)
    assert Invitation.parse(str(sent)) == sent


def test_an_invitation_is_a_list_of_three_behind_a_mark() -> None:
    body = str(SENT).removeprefix(MARK)
    assert MARK + body == str(SENT)
    assert json.loads(base64.urlsafe_b64decode(body + "==")) == [SENT.url, SENT.thumbprint, SENT.secret]


def test_an_invitation_may_have_been_broken_into_lines() -> None:
    text = str(SENT)
    assert Invitation.parse(f"  {text[:40]}\r\n\t{text[40:80]} {text[80:]}\n") == SENT


@pytest.mark.parametrize(
    "wrong",
    [
        "", MARK[:-1], str(SENT).removeprefix(MARK), "x" + str(SENT), str(SENT).upper(),
        str(SENT).replace("-1.", "-2."), str(SENT).removeprefix("federation-"), as_long_as(4_097),
    ],
)  # fmt: skip
def test_what_does_not_begin_as_an_invitation_or_is_too_long_is_none(wrong: str) -> None:
    with pytest.raises(Invalid, match="this is not an invitation"):
        Invitation.parse(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        MARK, str(SENT)[:-1], str(SENT)[:-5], as_long_as(4_096), packed([]), packed(["u", "t"]),
        packed(["u", "t", "s", "more"]), packed(["u", "t", 1]), packed({"url": "u"}), packed("u"),
        MARK + "é", MARK + "AAAAA", str(SENT)[:40] + "!" + str(SENT)[40:],
        packed(["u", "t" * 42, "s" * 43]), packed(["u", "t" * 42 + "=", "s" * 43]),
        packed(["u", "t" * 43, "s" * 21]), packed(["u", "t" * 43, "s" * 257]),
        packed(["u", "t" * 43, "s" * 42 + "\n"]), packed(["u", "t" * 43, "s" * 42 + "é"]),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_said_to_be_so(wrong: str) -> None:
    with pytest.raises(Invalid, match="the invitation is not whole; copy it again"):
        Invitation.parse(wrong)


@pytest.mark.parametrize("secret", ["s" * 22, "s" * 256, "A-Za-z0-9._~+/-AAAAAAAA"])
def test_a_secret_is_a_bearer_token_of_some_length(secret: str) -> None:
    assert Invitation.parse(packed(["u", "t" * 43, secret])).secret == secret


def test_a_secret_has_256_random_bits() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert {len(base64.urlsafe_b64decode(secret + "=")) for secret in secrets} == {32}


def test_what_is_stored_of_a_secret_is_its_hash() -> None:
    assert fingerprint("abc").hex().startswith("ba7816bf8f01cfea414140de5dae2223")
    assert len(fingerprint("\ud800")) == 32


def test_the_code_is_drawn_from_both_keys_whoever_shows_it() -> None:
    """The same at every version: two nodes of different age compare it."""
    assert code("a", "b") == code("b", "a") == "6857 8818 9881 0245"
    assert code("a", "c") != code("a", "b")


def test_an_invitation_and_the_proof_that_answers_it_hold_as_long_as_is_written() -> None:
    assert timedelta(days=3) == HOLDS
    assert (MAX_REGISTRATION, PROOF_SECONDS) == (64 * 1024, 5 * 60)
