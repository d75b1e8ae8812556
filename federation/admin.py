"""What an administrator does with a node: clients and peers."""

from __future__ import annotations

import hashlib
import secrets
from urllib.parse import urlsplit

from federation.domain.errors import Broken
from federation.domain.peer import Peer
from federation.domain.scopes import SCOPES
from federation.keys import thumbprint
from federation.node import Node
from federation.sync.client import PeerFailed, check_url, fetch_public

NOT_BY_DEFAULT = ("feeds.read", "peers.read", "node.admin")


async def add_client(node: Node, name: str, scopes: tuple[str, ...] = ()) -> tuple[str, str, tuple[str, ...]]:
    """Make an OAuth2 client of the operator's own: its id, its secret (kept nowhere) and its scopes.

    Without scopes it gets every one but those of ``NOT_BY_DEFAULT``. Raises Broken.
    """
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise Broken("a client's name has 1 to 100 printable characters")
    for scope in scopes:
        if scope not in SCOPES:
            raise Broken(f"{scope} is not a scope; {', '.join(SCOPES)} are")
    chosen = tuple(dict.fromkeys(scopes)) or tuple(s for s in SCOPES if s not in NOT_BY_DEFAULT)
    client_id, secret = f"client-{secrets.token_hex(8)}", secrets.token_urlsafe(32)
    async with node.store.write() as tx:
        if any(one.name == name and one.revoked_at is None for one in await tx.clients.all()):
            raise Broken(f"there is a client {name} already; revoke it first, or choose another name")
        await tx.clients.add(client_id, name, hashlib.sha256(secret.encode()).digest(), chosen)
    return client_id, secret, chosen


async def add_peer(node: Node, url: str, fingerprint: str) -> Peer:
    """Make the node at a URL a peer, if its key has this thumbprint. Raises Broken."""
    try:
        found = await introduced(url, fingerprint, node)
    except PeerFailed as error:
        raise Broken(str(error)) from None
    async with node.store.write() as tx:
        known = {one.operator: one for one in await tx.peers.all()}
        if found.operator in known:
            raise Broken(f"{found.operator} is a peer already, at {known[found.operator].url}")
        if any(one.url == found.url for one in known.values()):
            raise Broken(f"{found.url} is a peer's already")
        await tx.peers.add(found)
    return found


async def introduced(url: str, fingerprint: str, node: Node) -> Peer:
    """What the node at a URL says of itself, held against the thumbprint. Raises PeerFailed, Broken."""
    base = check_url(url)
    descriptor = await fetch_public(f"{base}/.well-known/federation")
    operator, said, jwks_uri = (descriptor.get(name) for name in ("operator", "url", "jwks_uri"))
    if not isinstance(operator, str) or not isinstance(said, str) or not isinstance(jwks_uri, str):
        raise Broken(f"{base} is not a federation node")
    if said != base:
        raise Broken(f"the node at {base} says that its URL is {said}; add it with that one")
    if urlsplit(jwks_uri)[:2] != urlsplit(base)[:2]:
        raise Broken(f"the node at {base} names keys on another host")
    if operator == node.operator:
        raise Broken(f"the node at {base} is of {operator}, as this one is")
    keys = (await fetch_public(jwks_uri)).get("keys")
    public = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    for key in public:
        try:
            if secrets.compare_digest(thumbprint(key), fingerprint.strip()):
                trusted = {name: key[name] for name in ("kty", "crv", "x", "y")}
                return Peer(
                    operator=operator,
                    url=base,
                    name=str(descriptor.get("name") or operator)[:200],
                    state="active",
                    keys={"keys": [{**trusted, "kid": fingerprint.strip(), "use": "sig", "alg": "ES256"}]},
                    thumbprint=fingerprint.strip(),
                    added_at=node.clock(),
                )
        except (ValueError, TypeError):
            continue
    raise Broken(
        f"the node at {base} has no key with the thumbprint {fingerprint}. "
        "Do not go on: ask its administrator to read you what `federation key` shows there"
    )
