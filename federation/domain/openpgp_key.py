"""An OpenPGP key of the node, with which it signs its CSAF documents (CSAF 2.0, 7.1.19 and 7.1.20)."""

from __future__ import annotations

from datetime import datetime

import msgspec


class OpenpgpKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is stored."""

    fingerprint: str
    """In hexadecimal digits, capital ones."""
    certificate: bytes
    """The public part, in ASCII armour; once it is revoked, with its revocation."""
    secret: bytes | None
    """The private part; None once it signs no more."""
    revocation: bytes
    """The revocation, which is made with the key, so that it can be published whenever that is needed."""
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def state(self) -> str:
        """``signs``, ``replaced`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "signs" if self.secret is not None else "replaced"


def signing_key(keys: tuple[OpenpgpKey, ...]) -> OpenpgpKey | None:
    """The key that signs: the newest one that has its private part."""
    return next((key for key in keys if key.secret is not None), None)
