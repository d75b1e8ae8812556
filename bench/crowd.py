"""Many peers in one process: each has a feed that can be followed over TLS, and each can wait at a node.

    python -m bench.crowd PLAN

They are as lean as peers can be, so that what is measured is the node: a feed is bytes made beforehand, and
a member that waits does nothing else. The waiting is done by the node's own client.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.certificates import HOST, Certificate
from bench.records import line, record
from bench.servers import serve
from federation.api.entries import entry_line
from federation.domain.errors import Refused
from federation.domain.peer import Peer
from federation.node.keys import Keyring, mint_private_key
from federation.sync.peer_client import PeerSource

EPOCH = "0123456789abcdef"


class Member(msgspec.Struct):
    """One peer."""

    operator: str
    jwk: dict[str, Any]


class Plan(msgspec.Struct, kw_only=True):
    """What the crowd is to do."""

    port: int
    certificate: Certificate
    members: list[Member]
    records: int = 0
    """Of each feed."""
    waits_at: str | None = None
    """URL of a node at which every member waits."""
    pause: float = 0.0
    """Seconds after an answer with news in which a member does not ask again."""

    @classmethod
    def of(cls, many: int, port: int, certificate: Certificate, **others: Any) -> Plan:
        members = [Member(f"peer-{number:03d}", mint_private_key()) for number in range(many)]
        return cls(port=port, certificate=certificate, members=members, **others)

    @property
    def url(self) -> str:
        """Where all members are."""
        return f"https://{HOST}:{self.port}"

    def peers(self) -> list[Peer]:
        """What a node stores of the members."""
        return [
            Peer(
                operator=member.operator,
                url=f"{self.url}/{member.operator}",
                name=member.operator,
                state="active",
                keys=Keyring.of(member.jwk).public(),
                thumbprint=member.jwk["kid"],
                added_at=datetime.now(UTC),
                private=True,
            )
            for member in self.members
        ]


class Crowd:
    """The nodes of all members, as an ASGI application: tokens, heads that are waited for, a feed."""

    def __init__(self, plan: Plan) -> None:
        self._heads = {}
        self._feeds = {}
        self.waiting = 0
        """Members that wait at a node at this moment."""
        for member in plan.members:
            made = [record(member.operator, line(member.operator, n)) for n in range(plan.records)]
            rows = enumerate(made, 1)
            self._feeds[member.operator] = b"".join(
                entry_line((n, False, r.type, r.key, r.revision, r.hash, r.document)) + b"\n" for n, r in rows
            )
            head = {
                "origin": member.operator,
                "audience": "federation",
                "epoch": EPOCH,
                "seq": plan.records,
                "retained_from": 0,
                "count": plan.records,
            }
            self._heads[member.operator] = msgspec.json.encode({"feeds": [head] if plan.records else []})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        _, operator, *rest = scope["path"].split("/")
        status, body, media_type = 200, b"{}", b"application/json"
        if operator == "waiting":
            body = b"%d" % self.waiting
        elif rest[-1:] == ["token"]:
            body = b'{"access_token":"crowd","token_type":"DPoP","expires_in":3600}'
        elif rest[-1:] == ["feeds"]:
            body = self._heads[operator]
            if any(name == b"if-none-match" for name, _ in scope["headers"]):
                await asyncio.sleep(25)
                status, body = 304, b""
        elif rest[-1:] == ["changes"]:
            body, media_type = self._feeds[operator], b"application/x-ndjson"
        headers = [
            (b"content-type", media_type), (b"content-length", b"%d" % len(body)),
            (b"etag", b'"same"'), (b"federation-epoch", EPOCH.encode()),
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _wait(crowd: Crowd, member: Member, peer: Peer, pause: float) -> None:
    """Wait at a node for a change, again and again, and do nothing with it."""
    source = PeerSource(member.operator, peer, Keyring.of(member.jwk))
    knows_heads = False
    while True:
        crowd.waiting += knows_heads
        try:
            heads = await source.heads(wait=True)
        except Refused:
            await asyncio.sleep(1)
        else:
            crowd.waiting -= knows_heads
            if knows_heads and heads is not None:
                await asyncio.sleep(pause)
            knows_heads = True
            continue
        crowd.waiting -= knows_heads


async def _main(plan: Plan) -> None:
    waiting, crowd = [], Crowd(plan)
    if plan.waits_at is not None:
        there = msgspec.structs.replace(plan.peers()[0], url=plan.waits_at)
        waiting = [asyncio.create_task(_wait(crowd, member, there, plan.pause)) for member in plan.members]
    try:
        await serve(crowd, plan.port, plan.certificate)
    finally:
        for task in waiting:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))
