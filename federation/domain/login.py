"""Logging in: invitations of people, their passkeys, and logins under way."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

import msgspec

from federation.domain.errors import Invalid
from federation.domain.feed import printable
from federation.domain.person import Person
from federation.domain.values import Instant

INVITATION_DURATION = timedelta(minutes=10)
"""An invitation to log in can be used for so long."""
MAX_CODE_ATTEMPTS = 5
"""Codes that are tried for an invitation, at most; its link is not affected."""
CODE_LENGTH = 8
"""Characters of a code: 40 random bits."""
_CODE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Letters and digits that nobody takes for one another."""
MAX_PASSKEYS = 20
"""Passkeys of a person, at most."""
MAX_PASSKEY_NAME_LENGTH = 60
"""Characters of the name of a passkey."""
LOGIN_DURATION = timedelta(minutes=10)
"""A login may take so long from its beginning, at the identity provider too."""
DEMO_LINK_DURATION = timedelta(days=30)
"""A login link of the demonstration can be used for so long; its data is gone when it stops."""
MAX_LOGINS_UNDER_WAY = 10_000
"""Logins under way of a node, at most; the oldest gives way to a new one."""


class PersonInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation to log in, as it is shown to the inviter, this once."""

    person: Person
    id: str
    """In the path of the link; no secret."""
    secret: str
    """256 random bits."""
    code: str
    """For pages without script, as ``K7QM-2XRD``."""
    expires_at: Instant

    @property
    def path(self) -> str:
        """The link from the root of the node. The secret is in its fragment, which is in no log."""
        return f"{self.code_path}#{self.secret}"

    @property
    def code_path(self) -> str:
        """The path of the page that takes the code."""
        return f"/invitation/{self.id}"


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey of a person (WebAuthn), as it is stored."""

    id: bytes
    """Credential id."""
    person: str
    public_key: bytes
    """As COSE_Key (RFC 9052, 7)."""
    sign_count: int
    name: str
    transports: tuple[str, ...] = ()
    created_at: Instant
    used_at: Instant | None = None


class LoginState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A login under way, as the node stores it."""

    person: str = ""
    """The person that it is for, where that is settled: a passkey is added, an identity bound."""
    challenge: bytes = b""
    """What an authenticator is to sign."""
    nonce: str = ""
    """To come back in the ID token."""
    verifier: str = ""
    """Of PKCE (RFC 7636); empty without."""
    language: str = "en"
    next: str = "/"
    """The page to go on to."""
    is_repeated: bool = False
    """True where the identity provider was asked to have the person prove again who they are."""
    began_at: datetime | None = None


def new_code() -> str:
    return "".join(secrets.choice(_CODE_LETTERS) for _ in range(CODE_LENGTH))


def read_code(text: str) -> str:
    """A code as it was typed, without spaces and hyphens; empty for what is none."""
    code = "".join(text[:40].split()).replace("-", "").upper()
    return code if len(code) == CODE_LENGTH and all(char in _CODE_LETTERS for char in code) else ""


def show_code(code: str) -> str:
    return f"{code[:4]}-{code[4:]}"


def code_hash(code: str, invitation: str) -> bytes:
    """Hash under which a code is stored: 40 bits are few, so it is slow (scrypt, 16 MiB, some 50 ms)."""
    return hashlib.scrypt(code.encode(), salt=invitation.encode(), n=2**14, r=8, p=1, dklen=32)


def check_passkey_name(name: str) -> str:
    """The name without spaces around it. Raises Invalid."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_PASSKEY_NAME_LENGTH or printable(name, MAX_PASSKEY_NAME_LENGTH) != name:
        raise Invalid(
            "the name of a passkey has 1 to {maximum} printable characters",
            pointer="/name",
            fault="rule",
            maximum=MAX_PASSKEY_NAME_LENGTH,
        )
    return name
