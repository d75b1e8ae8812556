"""Joining: the invitation, the registration that answers it, and the code two people compare.

One operator's administrator invites; the other's node registers with the invitation; both nodes know each
other from then on as *pending*, and an administrator on each side activates once the codes agree.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from federation.domain.errors import Invalid
from federation.domain.values import OPERATOR_PATTERN, Instant

HOLDS = timedelta(hours=72)
"""For how long an invitation can be used."""
MAX_REGISTRATION = 65_536
"""Bytes of a registration, at most."""
PROOF_SECONDS = 300
"""Seconds that the proof in a registration may hold, at most."""
PRIVATE_KEY_JWT = "private_key_jwt"
"""The way peers authenticate (RFC 7591, 2)."""
_MARK = "federation-invitation-1."
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_SECRET = re.compile(r"[A-Za-z0-9._~+/-]{22,256}")
"""Texts that can be a bearer token (RFC 6750, 2.1)."""


class Invitation(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An invitation that one administrator sends to another: URL, operator, key and secret."""

    url: str
    thumbprint: str
    """RFC 7638, of the inviter's key."""
    secret: str
    """256 random bits."""

    def __str__(self) -> str:
        packed = base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")
        return f"{_MARK}{packed}"

    @classmethod
    def parse(cls, text: str) -> Invitation:
        """Raises Invalid."""
        packed = "".join(text.split())  # mail programs break lines
        if not packed.startswith(_MARK) or len(packed) > 4_096:
            raise Invalid(f"this is not an invitation: it begins with {_MARK} and is one line")
        body = packed.removeprefix(_MARK)
        damaged = Invalid("the invitation is not whole; copy it again")
        if not _BASE64URL.fullmatch(body):
            raise damaged
        try:
            sent = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=cls)
        except (ValueError, msgspec.MsgspecError):
            raise damaged from None
        if not _SECRET.fullmatch(sent.secret) or not re.fullmatch(r"[A-Za-z0-9_-]{43}", sent.thumbprint):
            raise damaged
        return sent


class InvitationView(msgspec.Struct, frozen=True):
    """An invitation that nobody has used yet."""

    note: str
    created_at: Instant
    expires_at: Instant


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> bytes:
    """Hash under which a secret is stored."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A newcomer's node by value: client metadata (RFC 7591, 2) and what is a node's own."""

    operator: Annotated[str, Meta(extra_json_schema={"pattern": OPERATOR_PATTERN})]
    client_name: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 200})]
    client_uri: str
    """Base URL of its node."""
    jwks: dict[str, Any]
    software_statement: str
    """Proof that it holds the keys: a JWT for this inviter and this invitation."""
    token_endpoint_auth_method: Annotated[str, Meta(extra_json_schema={"const": PRIVATE_KEY_JWT})] = (
        PRIVATE_KEY_JWT
    )
    grant_types: tuple[str, ...] = ("client_credentials",)


class Inviter(msgspec.Struct, frozen=True, kw_only=True):
    """The inviter by value, with its own proof for this newcomer."""

    operator: str
    name: str
    url: str
    jwks: dict[str, Any]
    proof: str


class RegistrationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a registration (RFC 7591, 3.2.1)."""

    client_id: str
    client_id_issued_at: int
    client_name: str
    client_uri: str
    jwks: dict[str, Any]
    inviter: Inviter
    token_endpoint_auth_method: str = PRIVATE_KEY_JWT
    grant_types: tuple[str, ...] = ("client_credentials",)


@lru_cache(maxsize=1_000)
def code(left_half: str, right_half: str) -> str:
    """The code both sides show, drawn from both keys' thumbprints: four groups of four digits.

    Slow on purpose (scrypt, 16 MiB): who sits between two nodes would have to find two keys of its own
    whose codes agree, some 2^26 tries.
    """
    both = "\n".join(sorted((left_half, right_half))).encode()
    drawn = hashlib.scrypt(both, salt=b"federation joining code 1", n=2**14, r=8, p=1, dklen=16)
    digits = f"{int.from_bytes(drawn) % 10**16:016d}"
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))
