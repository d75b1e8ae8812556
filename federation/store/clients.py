"""OAuth2 clients of the operator's own IT systems, the node's keys, and what is used or revoked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Text, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from federation.domain.peer import OwnKey
from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, assertions, clients, keys, node, proofs, revoked_tokens


class Client(msgspec.Struct, frozen=True):
    """One of the operator's own IT systems. Its secret is known by its hash only."""

    id: str
    name: str
    secret_hash: bytes
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None
    former_secret_hash: bytes | None
    """The secret before this one, which holds too."""


_COLUMNS = (
    clients.c.id, clients.c.name, clients.c.secret_hash, clients.c.scopes,
    clients.c.created_at, clients.c.revoked_at, clients.c.former_secret_hash,
)  # fmt: skip
_ALL = Statement(select(*_COLUMNS).order_by(clients.c.created_at))
_ONE = Statement(select(*_COLUMNS).where(clients.c.id == param("id", Text)))
_ADD = Statement(
    insert(clients).values(
        id=param("id", Text),
        name=param("name", Text),
        secret_hash=param("secret_hash", clients.c.secret_hash.type),
        scopes=param("scopes", ARRAY(Text)),
    )
)
_REVOKE = Statement(
    update(clients)
    .where(
        (clients.c.id == param("name", Text)) | (clients.c.name == param("name", Text)),
        clients.c.revoked_at.is_(None),
    )
    .values(revoked_at=func.now())
)
_NAMED = (clients.c.id == param("name", Text)) | (clients.c.name == param("name", Text))
_CHANGE_SECRET = Statement(
    update(clients)
    .where(_NAMED, clients.c.revoked_at.is_(None))
    .values(
        secret_hash=param("secret_hash", clients.c.secret_hash.type), former_secret_hash=clients.c.secret_hash
    )
)
_DROP_FORMER = Statement(
    update(clients)
    .where(_NAMED, clients.c.revoked_at.is_(None), clients.c.former_secret_hash.is_not(None))
    .values(former_secret_hash=None)
)
_TRUST_CHANGED = Statement(update(node).values(trust=node.c.trust + 1))
_KEYS = Statement(
    select(keys.c.jwk, keys.c.use_from, keys.c.endorsement, keys.c.retired).order_by(
        keys.c.use_from.desc(), keys.c.created_at.desc()
    )
)
_ADD_KEY = Statement(
    insert(keys).values(
        kid=param("kid", Text),
        jwk=param("jwk", JSONB),
        use_from=param("use_from", Moment),
        endorsement=param("endorsement", Text),
    )
)
_RETIRE = Statement(
    update(keys)
    .where(keys.c.kid == param("kid", Text), ~keys.c.retired)
    .values(retired=True, jwk=keys.c.jwk.op("-")(literal("d", Text)))
)
_USE = Statement(
    insert(assertions)
    .values(
        fingerprint=param("fingerprint", assertions.c.fingerprint.type),
        expires_at=param("expires_at", Moment),
    )
    .on_conflict_do_nothing()
)
# The commit does not wait for the disk: a crash forgets the proofs of its last half second, which stop to
# hold a minute after they were made. An assertion is kept with the wait: it is worth a token.
_USE_PROOF = """
WITH hurry AS (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO proofs (fingerprint, expires_at) SELECT $1, $2 FROM hurry ON CONFLICT DO NOTHING
"""
_FORGET = (
    Statement(delete(assertions).where(assertions.c.expires_at < func.now())),
    Statement(delete(proofs).where(proofs.c.expires_at < func.now())),
    Statement(delete(revoked_tokens).where(revoked_tokens.c.expires_at < func.now())),
)
_REVOKE_TOKEN = Statement(
    insert(revoked_tokens)
    .values(
        fingerprint=param("fingerprint", revoked_tokens.c.fingerprint.type),
        expires_at=param("expires_at", Moment),
    )
    .on_conflict_do_nothing()
)
_IS_REVOKED = Statement(
    select(revoked_tokens.c.fingerprint).where(
        revoked_tokens.c.fingerprint == param("fingerprint", revoked_tokens.c.fingerprint.type)
    )
)


class ClientsReader:
    """Clients and keys."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[Client, ...]:
        return tuple(_client(row) for row in await self._session.all(_ALL))

    async def find(self, client_id: str) -> Client | None:
        row = await self._session.one(_ONE, id=client_id)
        return _client(row) if row else None

    async def keys(self) -> list[OwnKey]:
        """The node's keys, newest first, also those that are retired."""
        return [
            OwnKey(jwk=row[0], use_from=row[1], endorsement=row[2], retired=row[3])
            for row in await self._session.all(_KEYS)
        ]

    async def is_revoked(self, token: bytes) -> bool:
        """Whether the token with this SHA-256 was revoked before it expired."""
        return await self._session.value(_IS_REVOKED, fingerprint=token) is not None


class ClientsWriter(ClientsReader):
    """Clients and keys, in a transaction that may change them."""

    async def add(self, client_id: str, name: str, secret_hash: bytes, scopes: tuple[str, ...]) -> None:
        await self._session.run(_ADD, id=client_id, name=name, secret_hash=secret_hash, scopes=list(scopes))

    async def revoke(self, name: str) -> bool:
        """Cut off the client of this id or name; its tokens are refused within a second."""
        gone = await self._session.run(_REVOKE, name=name)
        await self._session.run(_TRUST_CHANGED)
        return gone > 0

    async def change_secret(self, name: str, secret_hash: bytes) -> bool:
        """Give a client another secret; the one it has holds on, the one before that does not."""
        changed = await self._session.run(_CHANGE_SECRET, name=name, secret_hash=secret_hash)
        await self._session.run(_TRUST_CHANGED)
        return changed > 0

    async def drop_former_secret(self, name: str) -> bool:
        dropped = await self._session.run(_DROP_FORMER, name=name)
        await self._session.run(_TRUST_CHANGED)
        return dropped > 0

    async def revoke_token(self, token: bytes, expires_at: datetime) -> None:
        """Refuse the token with this SHA-256 from now on, in every process."""
        await self._session.run(_REVOKE_TOKEN, fingerprint=token, expires_at=expires_at)
        await self._session.run(_TRUST_CHANGED)

    async def lock_keys(self) -> None:
        """Let one process at a time mint a key."""
        await self._session.connection.execute("SELECT pg_advisory_xact_lock(20261123)")

    async def add_key(self, key: OwnKey) -> None:
        await self._session.run(
            _ADD_KEY, kid=key.jwk["kid"], jwk=key.jwk, use_from=key.use_from, endorsement=key.endorsement
        )
        await self._session.run(_TRUST_CHANGED)

    async def retire_key(self, kid: str) -> bool:
        """Drop the private part of a key that nothing rests on any more."""
        retired = await self._session.run(_RETIRE, kid=kid)
        if retired:
            await self._session.run(_TRUST_CHANGED)
        return retired > 0

    async def use_assertion(self, fingerprint: bytes, expires_at: datetime) -> bool:
        """Note that an assertion was used; False if it was before."""
        return await self._session.run(_USE, fingerprint=fingerprint, expires_at=expires_at) == 1

    async def use_proof(self, fingerprint: bytes, expires_at: datetime) -> bool:
        """Note that a DPoP proof was used; False if it was before."""
        tag: str = await self._session.connection.execute(_USE_PROOF, fingerprint, expires_at)
        return tag == "INSERT 0 1"

    async def forget_assertions(self) -> int:
        """Drop what has expired and would be refused for that alone."""
        return sum([await self._session.run(statement) for statement in _FORGET])


def _client(row: Any) -> Client:
    return Client(row[0], row[1], row[2], tuple(row[3]), row[4], row[5], row[6])
