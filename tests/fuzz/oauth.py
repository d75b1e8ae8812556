"""A seeded fuzz of the token endpoint, of joining and of the guard, with an oracle.

Each case is made from ``(seed, index)`` alone, but for the time of day: its kind, what is wrong with it, and
whether it is authorised. That the maker knows by construction; what the node does is held against it:

- no answer of 5xx, and every answer in the form that its endpoint promises (RFC 6749, RFC 9457);
- no token, no change and no record that is not public for a case that is not authorised;
- what is authorised (about one case in fifteen) succeeds: a node that refuses everything fails;
- no answer and no log line holds a secret, assertion, proof or token that came with the request.

    python -m tests.fuzz.oauth --cases 100000 --seed 1     against a node behind a real HTTP server
    python -m tests.fuzz.oauth --seed 1 --case 4711        one of them again
"""

# ruff: noqa: E501 - one production of the grammar a line
from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import quote_plus, unquote, urlencode, urlsplit

from federation.api.caller import Tokens
from federation.domain.invitation import fingerprint
from federation.domain.peer import PeerState
from federation.domain.scopes import PEER_SCOPES, SCOPES
from federation.node.node import Node
from federation.postgres import server
from federation.store import schema
from tests.attack.forged_tokens import (
    ASSERTION,
    CLIENT_JWT,
    Key,
    Party,
    b64,
    changed,
    maced,
    part,
    proof_claims,
    unb64,
    unsigned,
)
from tests.attack.target_node import Logged, logged, running
from tests.domain.builders import a_solution
from tests.nodes import publish
from tests.waiting import MAX_WAIT_SECONDS

Verdict = Literal["must", "must not", "may"]
"""Whether a case is authorised; ``may``: the credentials hold, and what is asked for is damaged at random."""
Headers = list[tuple[bytes, bytes]]
Chance = random.Random

FORM = (b"content-type", b"application/x-www-form-urlencoded")
JSON = (b"content-type", b"application/json")
CANARIES = {"GREEN": "canary-green-7f3a", "AMBER": "canary-amber-91c2", "RED": "canary-red-55d0"}
OAUTH_ERRORS = {
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
    "invalid_scope", "invalid_target", "invalid_dpop_proof",
}  # fmt: skip
RENEWED = 100.0
"""Seconds after which the long-lived tokens of a run are got anew."""


class Case:
    """One request, and what is known of it."""

    def __init__(
        self,
        kind: str,
        verdict: Verdict,
        method: str,
        path: str,
        headers: Headers,
        body: bytes = b"",
        *,
        secrets: Iterable[str] = (),
        sees: Iterable[str] = (),
        good: Callable[[Said], bool] | None = None,
        before: Callable[[], Coroutine[Any, Any, None]] | None = None,
        after: Callable[[], Coroutine[Any, Any, str | None]] | None = None,
    ) -> None:
        self.kind, self.verdict = kind, verdict
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.secrets = [secret for secret in secrets if len(secret) >= 12]
        """What must not come back, nor be logged."""
        self.sees = set(sees)
        """TLP labels of records that may be shown."""
        self.good = good or (lambda said: 200 <= said.status < 300)
        """Whether an answer is that of an authorised case."""
        self.before, self.after = before, after


class Said:
    """An answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Wire(Protocol):
    """A way to the node that sends bytes as they are."""

    async def send(self, case: Case) -> Said: ...


class InProcess:
    """The application itself, called as a server calls it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def send(self, case: Case) -> Said:
        path, _, query = case.path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": case.method,
            "scheme": "http", "path": unquoted(path), "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"), "root_path": "", "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 80),
            "headers": [(b"host", b"x"), *case.headers, *length_of(case)],
        }  # fmt: skip
        status, headers, parts = 0, {}, []
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": case.body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in message["headers"]
                }
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        try:
            await self._app(scope, receive, send)
        except Exception as error:  # what a server would answer
            return Said(500, {}, repr(error).encode())
        return Said(status, headers, b"".join(parts))


class OverTcp:
    """A real server, over connections that are kept."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._host, self._port = where.hostname or "", where.port or 80
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, case: Case) -> Said:
        lines = [f"{case.method} {case.path} HTTP/1.1".encode("latin-1"), b"host: x"]
        lines += [name + b": " + value for name, value in (*case.headers, *length_of(case))]
        request = b"\r\n".join([*lines, b"", b""]) + case.body
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while self._free:
                kept = self._free.pop()
                try:
                    return await self._exchange(*kept, request)
                except (ConnectionError, asyncio.IncompleteReadError):
                    kept[1].close()  # it was closed while it was idle
            return await self._exchange(*await asyncio.open_connection(self._host, self._port), request)

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> Said:
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                parts.append((await reader.readexactly(size + 2))[:-2])
            await reader.readuntil(b"\r\n")
            body = b"".join(parts)
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return Said(int(head[0].split(" ")[1]), headers, body)

    async def close(self) -> None:
        for _, writer in self._free:
            writer.close()


def length_of(case: Case) -> Headers:
    if case.body or case.method in ("POST", "PUT", "PATCH"):
        return [(b"content-length", b"%d" % len(case.body))]
    return []


def unquoted(path: str) -> str:
    return unquote(path)


class World:
    """The node as the cases know it: its clients, its peers in every state, its records, tokens that hold."""

    def __init__(self, node: Node, seed: int) -> None:
        self.node, self.url, self.seed = node, node.url, seed
        self.endpoint = f"{node.url}/oauth2/token"
        self.clients: dict[str, tuple[str, str, tuple[str, ...]]] = {}
        """Id, secret and scopes, by what each is for."""
        self.peers: dict[str, Party] = {}
        self.stranger = Party("stranger", key=Key(f"{seed} stranger"))
        self.stranger.prover = Key(f"{seed} stranger's prover")
        self.run = hashlib.sha256(str(time.time_ns()).encode()).hexdigest()[:8]
        self.tokens: dict[str, str] = {}
        self._minted = 0.0
        self._tokens = Tokens(node)
        self.secrets: set[str] = set()
        self.spent = {
            "used": f"used-invitation-{seed}-{'x' * 20}",
            "expired": f"expired-invitation-{seed}-{'x' * 20}",
        }

    async def make(self) -> None:
        async with self.node.store.write() as tx:
            for name, scopes in {
                "all": tuple(SCOPES), "reader": ("solutions.read", "peers.read"), "admin": ("node.admin",),
                "revoked": tuple(SCOPES),
            }.items():  # fmt: skip
                client = (f"client-{name}", f"secret-{name}-{self.run}-{'s' * 20}", scopes)
                await tx.clients.add(client[0], name, hashlib.sha256(client[1].encode()).digest(), scopes)
                self.clients[name] = client
            await tx.clients.revoke("revoked")
            states: tuple[PeerState, ...] = ("active", "pending", "suspended", "left")
            for name, state in zip(("megalis", "pending", "suspended", "left"), states, strict=True):
                await self._add(tx, name, state)
            await self._add(tx, "recia", "active")
            for name, secret in self.spent.items():
                hold = timedelta(hours=1 if name == "used" else -1)
                await tx.peers.invite(fingerprint(secret), name, self.node.clock() + hold, private=True)
            await tx.peers.use_invitation(fingerprint(self.spent["used"]), "somebody", self.node.clock())
        await publish(self.node, "group", "close", {"name": "Close", "members": ["megalis"]})
        await publish(self.node, "solution", "clear", a_solution(name="clear"))
        for tlp, canary in CANARIES.items():
            group = {"audience": "close"} if tlp == "AMBER" else {}
            await publish(self.node, "solution", tlp.lower(), a_solution(name=canary), tlp=tlp, **group)
        self.secrets |= {secret for _, secret, _ in self.clients.values()}
        self.secrets |= {key.d for party in self.peers.values() for key in (party.key, party.prover)}
        self.secrets |= {str(key.as_dict(private=True)["d"]) for key in self.node.keyring._keys.values()}
        self.renew()

    async def _add(self, tx: Any, name: str, state: PeerState) -> None:
        party = self.peers[name] = Party(name, key=Key(f"{self.seed} {name}"))
        party.prover = Key(f"{self.seed} {name}'s prover")
        await tx.peers.add(party.known(state, private=False))
        # Nobody is at these URLs: its keys were just read, so that no case waits for a name to resolve.
        connection = tx.peers._session.connection
        await connection.execute("UPDATE peers SET keys_read_at = now() + interval '1 day'")

    def renew(self) -> None:
        """Tokens that hold for minutes: as the endpoint would mint them, without asking it."""
        if time.monotonic() - self._minted < RENEWED and self.tokens:
            return
        self._minted = time.monotonic()
        for name in ("all", "reader", "admin", "revoked"):
            client, _, scopes = self.clients[name]
            self.tokens[name] = self._tokens.mint(client, self.node.operator, frozenset(scopes))
        for name, party in self.peers.items():
            self.tokens[name] = self._tokens.mint(name, name, PEER_SCOPES, jkt=party.prover.kid)
        self.secrets |= {token.rpartition(".")[2] for token in self.tokens.values()}

    def fresh(self, client: str) -> str:
        """A token of its own for one case."""
        return self._tokens.mint(
            self.clients[client][0], self.node.operator, frozenset(self.clients[client][2])
        )

    async def invite(self, secret: str) -> None:
        async with self.node.store.write() as tx:
            await tx.peers.invite(
                fingerprint(secret), "fuzz", self.node.clock() + timedelta(hours=1), private=False
            )

    async def forget(self, operator: str) -> str | None:
        """Remove who has joined. Returns what is wrong with what was kept of it."""
        async with self.node.store.write() as tx:
            peer = await tx.peers.find(operator)
            if peer is not None:
                await tx.peers.remove(operator)
        return None if peer is not None and peer.state == "pending" else f"{operator} is not pending"

    async def has(self, operator: str) -> str | None:
        async with self.node.store.read() as tx:
            peer = await tx.peers.find(operator)
        return f"{operator} became a peer" if peer is not None else None


# What is random


def any_of(chance: Chance, options: Sequence[Any]) -> Any:
    return chance.choice(options)


def odd_text(chance: Chance) -> str:
    return chance.choice(
        [
            "", " ", "x", "a" * 300, "é", "\u202e", "\u200b", "\ud800", "\x00", "\r\n", "%00", "%", "../..",
            "' OR 1=1 --", '"', "\\", "{}", "null", "true", "0", "-1", "\U0001f600", "https://attacker.example",
            "".join(chr(chance.randrange(1, 0x2FFF)) for _ in range(chance.randrange(1, 20))),
        ]
    )  # fmt: skip


def odd_value(chance: Chance, depth: int = 0) -> Any:
    """Any JSON, also such as Python writes and the standard does not know."""
    kind = chance.randrange(11 if depth < 3 else 8)
    if kind == 0:
        return None
    if kind == 1:
        return chance.random() < 0.5
    if kind == 2:
        return chance.choice([0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**40, 10**400])
    if kind == 3:
        return chance.choice([0.0, -0.0, 1.5, 1e308, float("inf"), float("-inf"), float("nan")])
    if kind <= 7:
        return odd_text(chance)
    if kind == 8:
        return [odd_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {odd_text(chance): odd_value(chance, depth + 1) for _ in range(chance.randrange(4))}


def damaged(chance: Chance, raw: bytes) -> bytes:
    """With a few bytes changed, cut, doubled or put in."""
    data = bytearray(raw)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at:at] = bytes([chance.randrange(256)])
            case 2:
                del data[at : at + chance.randrange(1, 8)]
            case 3:
                data[at:at] = data[max(0, at - chance.randrange(1, 30)) : at]
            case 4:
                del data[at:]
            case _:
                data[at:at] = any_of(
                    chance, [b"\x00", b"\xff", b"&", b"=", b"%", b'"', b"{", b"[", b".", b"+"]
                )
    return bytes(data)


def headed(value: bytes) -> bytes:
    """Such that HTTP lets it through: what a server refuses by itself is not what is tried here."""
    return bytes(byte for byte in value if byte >= 32 and byte != 127).strip()


def same_jws(one: str, other: str) -> bool:
    """Whether two texts say the same once they are decoded as leniently as can be."""

    def parts(text: str) -> list[bytes]:
        keep = "".join(c for c in text if c.isalnum() or c in "-_.+/").replace("+", "-").replace("/", "_")
        found = []
        for each in keep.split("."):
            try:
                found.append(base64.urlsafe_b64decode(each.rstrip("=") + "==="))
            except ValueError:
                found.append(each.encode())
        return found

    return parts(one) == parts(other)


class Cases:
    """The maker of cases."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._kinds: list[tuple[float, Callable[[Chance, str], Case]]] = [
            (2.0, self.secret_valid), (1.5, self.assertion_valid), (1.5, self.bearer_valid), (1.5, self.bound_valid),
            (0.4, self.join_valid), (0.4, self.revoke_valid), (0.5, self.introspect_valid),
            (6, self.secret_wrong), (6, self.basic_mangled), (5, self.form_wrong), (3, self.form_damaged),
            (10, self.assertion_header), (12, self.assertion_claims), (7, self.assertion_damaged),
            (6, self.assertion_of_another), (7, self.token_proof),
            (3, self.join_wrong), (3, self.join_damaged), (4, self.join_statement),
            (3, self.about_anothers), (3, self.about_wrong),
            (6, self.authorization_mangled), (8, self.token_forged), (4, self.token_damaged), (9, self.bound_proof),
            (3, self.scheme_swapped), (4, self.right_missing), (2, self.anonymous),
        ]  # fmt: skip
        self._weights = [weight for weight, _ in self._kinds]

    def case(self, index: int) -> Case:
        """Case ``index`` of the seed."""
        chance = random.Random(f"{self.world.seed}/{index}")
        [(_, make)] = chance.choices(self._kinds, self._weights)
        case = make(chance, f"{self.world.run}-{index}")
        case.kind = make.__name__.replace("_", " ") + (f": {case.kind}" if case.kind else "")
        return case

    # The token endpoint, with a secret

    def _token(
        self,
        verdict: Verdict,
        kind: str,
        form: Any,
        headers: Headers,
        secrets: Iterable[str] = (),
        **said: Any,
    ) -> Case:
        body = (
            form
            if isinstance(form, bytes)
            else urlencode(form, quote_via=quote_plus, errors="surrogatepass").encode()
        )
        return Case(
            kind,
            verdict,
            "POST",
            "/oauth2/token",
            [FORM, *headers],
            body,
            secrets=secrets,
            good=is_token,
            **said,
        )

    @staticmethod
    def _basic(client: str, secret: str) -> Headers:
        pair = f"{quote_plus(client)}:{quote_plus(secret)}".encode()
        return [(b"authorization", b"Basic " + base64.b64encode(pair))]

    def secret_valid(self, chance: Chance, _: str) -> Case:
        client, secret, scopes = self.world.clients[chance.choice(["all", "reader", "admin"])]
        form = {"grant_type": "client_credentials"}
        if chance.random() < 0.4:
            form["scope"] = " ".join(chance.sample(scopes, chance.randrange(1, len(scopes) + 1)))
        if chance.random() < 0.3:
            form["resource"] = self.world.url
        if chance.random() < 0.3:
            form["client_id"] = client
        if chance.random() < 0.2:
            form["unknown"] = any_of(chance, ["x", "é", ""])
        return self._token("must", "", form, self._basic(client, secret), [secret])

    def secret_wrong(self, chance: Chance, tag: str) -> Case:
        client, secret, _ = self.world.clients[chance.choice(["all", "reader", "admin"])]
        other = self.world.clients["revoked"]
        why, pair = any_of(
            chance,
            [
                ("another secret", (client, f"wrong-{tag}-{'w' * 20}")), ("no secret", (client, "")),
                ("a longer secret", (client, secret + "x")), ("a shorter secret", (client, secret[:-1])),
                ("another's secret", (client, other[1])), ("unknown", (f"client-{tag}", secret)),
                ("revoked", other[:2]), ("a peer", ("megalis", secret)), ("swapped", (secret, client)),
                ("capitals", (client.upper(), secret)), ("its hash", (client, hashlib.sha256(secret.encode()).hexdigest())),
                ("odd", (odd_text(chance).replace("\ud800", "x"), odd_text(chance).replace("\ud800", "x"))),
            ]
        )  # fmt: skip
        return self._token(
            "must not", why, {"grant_type": "client_credentials"}, self._basic(*pair), [secret, pair[1]]
        )

    def basic_mangled(self, chance: Chance, _: str) -> Case:
        client, secret, _scopes = self.world.clients["all"]
        good = base64.b64encode(f"{client}:{secret}".encode())
        form = {"grant_type": "client_credentials"}
        value: bytes
        if chance.random() < 0.5:
            value = headed(damaged(chance, b"Basic " + good))
            scheme, rest = value.partition(b" ")[::2]
            try:
                decoded = base64.b64decode(rest + b"===")
            except ValueError:
                decoded = b""
            holds = scheme.lower() == b"basic" and decoded == f"{client}:{secret}".encode()
            return self._token(
                "may" if holds else "must not", "damaged", form, [(b"authorization", value)], [secret]
            )
        why, value = any_of(
            chance,
            [
                ("no scheme", good), ("bearer", b"Bearer " + good), ("dpop", b"DPoP " + good), ("nothing", b"Basic"),
                ("no colon", b"Basic " + base64.b64encode(client.encode())), ("empty", b""),
                ("bytes", b"Basic " + bytes(chance.randrange(128, 256) for _ in range(20))),
                ("not UTF-8", b"Basic " + base64.b64encode(b"\xff\xfe:\xff")),
                ("url-safe", b"Basic " + base64.urlsafe_b64encode(b"\xfb\xff:" + secret.encode())),
                ("twice", b"Basic " + base64.b64encode(b"Basic " + good)), ("long", b"Basic " + b"A" * 8_000),
                ("surrogate", b"Basic " + base64.b64encode(b"%ED%A0%80:x")), ("NUL", b"Basic " + base64.b64encode(b"%00:%00")),
            ]
        )  # fmt: skip
        return self._token("must not", why, form, [(b"authorization", value)], [secret])

    def form_wrong(self, chance: Chance, tag: str) -> Case:
        client, secret, _ = self.world.clients["reader"]
        good = {"grant_type": "client_credentials"}
        text = odd_text(chance).replace("\ud800", "x")
        why, form = any_of(
            chance,
            [
                ("another grant", {"grant_type": chance.choice(["password", "refresh_token", text, "CLIENT_CREDENTIALS"])}),
                ("no grant", {"scope": "solutions.read"}), ("a scope too many", {**good, "scope": "solutions.read node.admin"}),
                ("an odd scope", {**good, "scope": f"solutions.read {text}x\x01"}), ("another resource", {**good, "resource": text or "x"}),
                ("another client_id", {**good, "client_id": text or "x"}), ("a secret in the form", {**good, "client_secret": secret}),
                ("an assertion too", {**good, "client_assertion_type": ASSERTION, "client_assertion": self.world.peers["megalis"].assertion(self.world.url, jti=tag)}),
                ("twice", b"grant_type=client_credentials&grant_type=client_credentials"), ("NUL", b"grant_type=client_credentials&x=%00"),
                ("not a form", chance.randbytes(chance.randrange(1, 200))), ("many", b"grant_type=client_credentials" + b"&a=" * 25),
                ("long", b"grant_type=client_credentials&x=" + b"x" * 17_000), ("empty", b""),
                ("bad UTF-8", b"grant_type=client_credentials&x=%ff%fe"), ("JSON", b'{"grant_type":"client_credentials"}'),
            ]
        )  # fmt: skip
        headers = self._basic(client, secret)
        if chance.random() < 0.1:
            why, form = "a proof", good
            headers.append((b"dpop", self.world.stranger.proof("POST", self.world.endpoint).encode()))
        return self._token("must not", why, form, headers, [secret])

    def form_damaged(self, chance: Chance, _: str) -> Case:
        client, secret, _scopes = self.world.clients["reader"]
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "scope": "solutions.read peers.read",
                "resource": self.world.url,
            }
        )
        return self._token("may", "", damaged(chance, form.encode()), self._basic(client, secret), [secret])

    # The token endpoint, with an assertion

    def _asserted(
        self,
        verdict: Verdict,
        kind: str,
        party: Party,
        assertion: str,
        *,
        proofs: Iterable[str] | None = None,
        **form: str,
    ) -> Case:
        proofs = [party.proof("POST", self.world.endpoint)] if proofs is None else list(proofs)
        said = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": assertion,
            **form,
        }
        headers = [(b"dpop", headed(proof.encode("utf-8", "replace"))) for proof in proofs]
        tails = [text.rpartition(".")[2] for text in (assertion, *proofs)]
        return self._token(verdict, kind, said, headers, tails)

    def _active(self, chance: Chance) -> Party:
        return self.world.peers[chance.choice(["megalis", "recia"])]

    def _header(self, party: Party) -> dict[str, Any]:
        return {"alg": "ES256", "typ": CLIENT_JWT, "kid": party.key.kid}

    def assertion_valid(self, chance: Chance, tag: str) -> Case:
        party, url = self._active(chance), self.world.url
        now = int(time.time())
        changes = any_of(
            chance,
            [
                {},
                {"aud": [url]},
                {"iat": ...},
                {"nbf": now},
                {"exp": now + 280},
                {"colour": "red"},
                {"iat": now + 0.5},
            ],
        )
        header = any_of(chance, [{}, {"typ": "JWT"}, {"typ": ...}, {"typ": "jwt"}, {"kid": ...}])
        form = any_of(chance, [{}, {"client_id": party.operator}, {"scope": "feeds.read"}, {"resource": url}])
        assertion = party.assertion(url, header=header, jti=tag, **changes)
        return self._asserted("must", "", party, assertion, **form)

    def assertion_header(self, chance: Chance, tag: str) -> Case:
        party, stranger = self._active(chance), self.world.stranger.key
        claims, head = party.claims(self.world.url, jti=tag), self._header(party)
        packed = json.dumps(party.key.public).encode()
        mac = {**head, "alg": chance.choice(["HS256", "HS384", "HS512"])}
        why, forged = any_of(
            chance,
            [
                ("alg", party.key.jws({**head, "alg": chance.choice(["none", "HS256", "RS256", "ES384", "EdDSA", "", None, 1, odd_text(chance)])}, claims)),
                ("unsigned", unsigned({**head, "alg": chance.choice(["none", "None", "NONE", "ES256", ""])}, claims)),
                ("HMAC", maced(mac, claims, chance.choice([packed, b"", unb64(party.key.bare["x"]), party.key.kid.encode()]))),
                ("typ", party.key.jws({**head, "typ": chance.choice(["at+jwt", "dpop+jwt", "", "x", 1, None.__class__.__name__, ["JWT"], {}])}, claims)),
                ("crit", party.key.jws({**head, "crit": chance.choice([["b64"], ["x"], [], "b64", None]), "b64": False}, claims)),
                ("a stranger's jwk", stranger.jws({**head, "jwk": stranger.public}, claims)),
                ("a stranger's kid", stranger.jws({**head, "kid": stranger.kid}, claims)),
                ("an odd kid", stranger.jws({**head, "kid": odd_value(chance)}, claims)),
                ("jku", stranger.jws({**head, "jku": "https://attacker.example/keys", "x5u": "https://attacker.example"}, claims)),
                ("no object", party.key.jws(odd_text(chance) if chance.random() < 0.5 else [odd_value(chance)], claims)),
                ("bytes", party.key.jws(chance.randbytes(chance.randrange(60)), claims)),
                ("deep", party.key.jws(b"[" * 3_000, claims)),
                ("odd members", stranger.jws({**head, odd_text(chance): odd_value(chance)}, claims)),
            ]
        )  # fmt: skip
        return self._asserted("must not", why, party, forged)

    def assertion_claims(self, chance: Chance, tag: str) -> Case:
        party, url = self._active(chance), self.world.url
        now = int(time.time())
        bad: dict[str, list[Any]] = {
            "iss": [..., "recia!", "arnia", 1, None, [party.operator], odd_text(chance) + "!"],
            "sub": [..., "arnia", party.operator + " ", 1, None, odd_value(chance)],
            "aud": [..., [], [url, "https://x.example"], [url, url], f"{url}/", "https://x.example", self.world.endpoint, None, {url: 1}, odd_text(chance)],
            "exp": [..., now - 120, now + 3_600, 0, -1, 10**400, float("inf"), float("nan"), True, str(now + 60), None, [now + 60]],
            "iat": [now + 600, "now", True, None, [], float("inf"), float("nan"), -1, 10**400],
            "nbf": [now + 600, "now", True, None, float("inf"), 10**400],
            "jti": [..., "", "x", "x" * 256, 12345678, None, ["x" * 10]],
        }  # fmt: skip
        name = any_of(chance, list(bad))
        value = any_of(chance, bad[name])
        if chance.random() < 0.1:
            body = any_of(chance, [b"", b"[]", b"null", b"1", b'"x"', b"[" * 3_000, chance.randbytes(50)])
            return self._asserted("must not", "no object", party, party.key.jws(self._header(party), body))
        claims = party.claims(url, **{"jti": tag, name: value})
        return self._asserted("must not", name, party, party.key.jws(self._header(party), claims))

    def assertion_damaged(self, chance: Chance, tag: str) -> Case:
        party = self._active(chance)
        good = party.assertion(self.world.url, jti=tag)
        if chance.random() < 0.5:
            parts = [bytearray(unb64(each)) for each in good.split(".")]
            which = any_of(chance, parts)
            which[chance.randrange(len(which))] ^= 1 << chance.randrange(8)
            return self._asserted("must not", "a bit", party, ".".join(b64(bytes(each)) for each in parts))
        forged = damaged(chance, good.encode()).decode("latin-1")
        verdict: Verdict = "may" if same_jws(forged, good) else "must not"
        return self._asserted(verdict, "text", party, forged)

    def assertion_of_another(self, chance: Chance, tag: str) -> Case:
        world, url = self.world, self.world.url
        one, other = world.peers["megalis"], world.peers["recia"]
        cut_off = world.peers[chance.choice(["pending", "suspended", "left"])]
        form: dict[str, str] = {}
        why, party, forged = any_of(
            chance,
            [
                ("signed by another", one, one.assertion(url, by=other.key, jti=tag)),
                ("signed by another, and says so", one, one.assertion(url, by=other.key, header={"kid": other.key.kid}, jti=tag)),
                ("signed with what tokens are bound to", one, one.assertion(url, by=one.prover, jti=tag)),
                ("in another's name", other, other.assertion(url, iss="megalis", sub="megalis", jti=tag)),
                ("of who is no peer", world.stranger, world.stranger.assertion(url, jti=tag)),
                ("of who is no active peer", cut_off, cut_off.assertion(url, jti=tag)),
                ("of this node", one, world.node.keyring.assertion(world.node.operator, url)),
                ("by this node", one, world.node.keyring.sign(one.claims(url, jti=tag), typ=CLIENT_JWT)),
                ("an access token", one, world.tokens[chance.choice(["all", "megalis"])]),
                ("for another node", one, one.assertion("https://recia.example", jti=tag)),
                ("beside another's id", one, one.assertion(url, jti=tag)),
                ("of another kind", one, one.assertion(url, jti=tag)),
            ]
        )  # fmt: skip
        if why == "beside another's id":
            form["client_id"] = any_of(chance, ["recia", "client-all", "", "MEGALIS"])
        if why == "of another kind":
            form["client_assertion_type"] = any_of(
                chance,
                ["", "urn:x", ASSERTION.upper(), "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"],
            )
        return self._asserted("must not", why, party, forged, **form)

    # Proofs

    def _bad_proofs(
        self, chance: Chance, party: Party, method: str, url: str, token: str | None, tag: str
    ) -> tuple[str, list[str]]:
        """What is wrong, and the ``DPoP`` headers."""
        now, thief = int(time.time()), self.world.stranger.prover

        def made(header: dict[str, Any] | None = None, by: Key | None = None, **changes: Any) -> str:
            return party.proof(method, url, token, header=header, by=by, **{"jti": tag, **changes})

        bare, odd = party.prover.bare, odd_value(chance)
        head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": bare}
        claims = proof_claims(method, url, token, jti=tag)
        bad_claims: dict[str, list[Any]] = {
            "htm": ["PATCH", method.lower(), ..., 1, None, odd], "htu": ["https://x.example/", f"{url}/", f"{url}x", ..., 1, None, [url], odd],
            "iat": [now - 300, now + 300, 0, -1, ..., True, str(now), None, float("inf"), float("nan"), 10**400, [now]],
            "jti": ["", "x", "x" * 256, ..., 1, None, [tag]],
        }  # fmt: skip
        if token is not None:
            bad_claims["ath"] = ["x", "", ..., None, 1, token, odd]
        name = any_of(chance, list(bad_claims))
        good = made()
        bit = [bytearray(unb64(each)) for each in good.split(".")]
        which = bit[chance.randrange(1, 3)]
        which[chance.randrange(len(which))] ^= 1 << chance.randrange(8)
        why, proofs = any_of(
            chance,
            [
                *[(name, [made(**{name: chance.choice(bad_claims[name])})])] * 8,
                ("none", []), ("two", [made(jti=f"{tag}-a"), made(jti=f"{tag}-b")]), ("empty", [""]), ("two empty", ["", ""]),
                ("two in one", [f"{made(jti=f'{tag}-a')}, {made(jti=f'{tag}-b')}"]),
                ("by another", [made(by=thief)]), ("private", [made(header={"jwk": {**bare, "d": party.prover.d}})]),
                ("symmetric", [maced({**head, "alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}, claims, bytes(3))]),
                ("HMAC", [maced({**head, "alg": "HS256"}, claims, json.dumps(bare).encode())]),
                ("unsigned", [unsigned({**head, "alg": "none"}, claims)]),
                ("typ", [made(header={"typ": chance.choice(["JWT", "at+jwt", ..., "", 1, None])})]),
                ("alg", [made(header={"alg": chance.choice(["ES384", "none", "", 1, None, ...])})]),
                ("jwk", [made(header={"jwk": chance.choice([..., {}, [], "x", 1, None, {**bare, "kty": "RSA"}, {**bare, "x": "AA"}, {**bare, "crv": "P-384"}, odd])})]),
                ("garbage", [chance.choice(["x", "a.b.c", "....", chance.randbytes(30).hex()])]),
                ("long", ["x" * 9_000]), ("a bit", [".".join(b64(bytes(each)) for each in bit)]),
                ("deep", [f"{part(b'[' * 3_000)}.{part(b'[' * 3_000)}.AA"]),
                ("an assertion", [party.assertion(self.world.url, jti=tag)]),
            ]
        )  # fmt: skip
        return why, proofs

    def token_proof(self, chance: Chance, tag: str) -> Case:
        party = self._active(chance)
        why, proofs = self._bad_proofs(chance, party, "POST", self.world.endpoint, None, tag)
        return self._asserted("must not", why, party, party.assertion(self.world.url, jti=tag), proofs=proofs)

    # Joining

    def _join(self, verdict: Verdict, kind: str, party: Party, body: Any, secret: str, **said: Any) -> Case:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [JSON, (b"authorization", b"Bearer " + headed(secret.encode("utf-8", "replace")))]
        return Case(
            kind,
            verdict,
            "POST",
            "/v1/join",
            headers,
            raw,
            secrets=[secret],
            good=lambda s: s.status == 201,
            **said,
        )

    def _newcomer(self, tag: str) -> Party:
        party = Party(f"new-{tag}", key=Key(f"{self.world.seed} {tag}"))
        party.url = f"https://{party.operator}.example"
        return party

    def join_valid(self, chance: Chance, tag: str) -> Case:
        party, secret = self._newcomer(tag), f"invitation-{tag}-{'v' * 20}"
        changes = any_of(chance, [{}, {"client_name": "Été"}, {"grant_types": []}])
        return self._join(
            "must", "", party, party.registration(self.world.url, secret, **changes), secret,
            before=lambda: self.world.invite(secret), after=lambda: self.world.forget(party.operator),
        )  # fmt: skip

    def join_wrong(self, chance: Chance, tag: str) -> Case:
        """Without an invitation that holds, or in a name that is taken."""
        party = self._newcomer(tag)
        why = any_of(
            chance, ["unknown", "used", "expired", "taken", "own", "taken URL", "a token", "loopback"]
        )
        secret = f"invitation-{tag}-{'w' * 20}"
        before: Callable[[], Coroutine[Any, Any, None]] | None = None
        if why in self.world.spent:
            secret = self.world.spent[why]
        elif why == "a token":
            secret = self.world.tokens["all"]
        elif why != "unknown":
            before = lambda: self.world.invite(secret)  # noqa: E731
        gone: Callable[[], Coroutine[Any, Any, str | None]] | None = lambda: self.world.has(f"new-{tag}")  # noqa: E731
        if why == "taken":
            party.operator, gone = any_of(chance, ["megalis", "recia", "pending", "suspended", "left"]), None
        elif why == "own":
            party.operator, gone = self.world.node.operator, None
        elif why == "taken URL":
            party.url = any_of(
                chance, [self.world.peers["megalis"].url, self.world.url, self.world.peers["left"].url + "/"]
            )
        elif why == "loopback":
            party.url = any_of(
                chance,
                [
                    "https://127.0.0.1",
                    "https://169.254.169.254",
                    "http://10.0.0.1",
                    "https://[::1]",
                    "ftp://x.example",
                    "x",
                ],
            )
        return self._join(
            "must not",
            why,
            party,
            party.registration(self.world.url, secret),
            secret,
            before=before,
            after=gone,
        )

    def join_statement(self, chance: Chance, tag: str) -> Case:
        """An invitation that holds, and no proof that the keys are its own."""
        party, secret, stranger = self._newcomer(tag), f"invitation-{tag}-{'s' * 20}", self.world.stranger
        victim, url, now = self.world.peers["megalis"], self.world.url, int(time.time())
        header = {"alg": "ES256", "typ": "federation-registration+jwt", "kid": victim.key.kid}
        claims = json.loads(unb64(party.statement(url, secret).split(".")[1]))
        named = {"keys": [{**party.key.public, "kid": victim.key.kid}, {**victim.key.public, "kid": "x"}]}
        odd = odd_value(chance)
        why, changes = any_of(
            chance,
            [
                ("by another", {"software_statement": party.statement(url, secret, by=stranger.key)}),
                ("for another node", {"software_statement": party.statement("https://x.example", secret)}),
                ("for another invitation", {"software_statement": party.statement(url, "x")}),
                ("for another URL", {"software_statement": party.statement(url, secret, url="https://x.example")}),
                ("expired", {"software_statement": party.statement(url, secret, exp=chance.choice([now - 60, now + 10**6, ..., None, "x", True, 10**400]))}),
                ("by another operator", {"software_statement": party.statement(url, secret, iss="megalis")}),
                ("odd claims", {"software_statement": party.statement(url, secret, **any_of(chance, [{name: [odd]} for name in ("iss", "aud", "url", "invitation", "exp")]))}),
                ("another's keys", {"jwks": victim.jwks}), ("one key under another's name", {"jwks": named, "software_statement": party.key.jws(header, claims)}),
                ("unsigned", {"software_statement": unsigned({**header, "alg": "none", "kid": party.key.kid}, claims)}),
                ("odd keys", {"jwks": {"keys": chance.choice([[], [odd], odd, {}, [{}], [{**party.key.public, "x": "AA"}]])}}),
                ("odd statement", {"software_statement": odd}), ("odd operator", {"operator": odd}), ("odd jwks", {"jwks": [odd]}),
                ("another method", {"token_endpoint_auth_method": chance.choice(["none", "client_secret_basic", "x"])}),
            ]
        )  # fmt: skip
        body = party.registration(url, secret, **changes)
        return self._join(
            "must not", why, party, body, secret,
            before=lambda: self.world.invite(secret), after=lambda: self.world.has(party.operator),
        )  # fmt: skip

    def join_damaged(self, chance: Chance, tag: str) -> Case:
        """Damaged bytes, with an invitation that there is not."""
        party, secret = self._newcomer(tag), f"invitation-{tag}-{'d' * 20}"
        body = json.dumps(party.registration(self.world.url, secret)).encode()
        body = damaged(chance, body) if chance.random() < 0.7 else json.dumps(odd_value(chance)).encode()
        return self._join("must not", "", party, body, secret, after=lambda: self.world.has(party.operator))

    # Revocation and introspection

    def _about(
        self, verdict: Verdict, kind: str, verb: str, client: str, token: str, good: Any, **said: Any
    ) -> Case:
        name, secret, _ = self.world.clients[client]
        headers = [FORM, *said.pop("headers", self._basic(name, secret))]
        body = urlencode({"token": token, **said.pop("form", {})}, errors="replace").encode()
        secrets = [secret, token.rpartition(".")[2]]
        return Case(
            kind, verdict, "POST", f"/oauth2/{verb}", headers, body, secrets=secrets, good=good, **said
        )

    def revoke_valid(self, chance: Chance, _: str) -> Case:
        client = any_of(chance, ["all", "reader"])
        token = self.world.fresh(client)

        async def is_gone() -> str | None:
            async with self.world.node.store.read() as tx:
                gone = await tx.tokens.is_revoked(hashlib.sha256(token.encode()).digest())
            return None if gone else "the token was not revoked"

        return self._about("must", "", "revoke", client, token, lambda s: s.status == 200, after=is_gone)

    def introspect_valid(self, chance: Chance, _: str) -> Case:
        client, token = any_of(
            chance, [("all", "all"), ("reader", "reader"), ("admin", "reader"), ("admin", "megalis")]
        )
        return self._about("must", "", "introspect", client, self.world.tokens[token], is_active)

    def about_anothers(self, chance: Chance, tag: str) -> Case:
        """What is no token of the client's own is neither told nor revoked: the next cases still use it."""
        verb = any_of(chance, ["revoke", "introspect"])
        token = any_of(
            chance,
            [
                self.world.tokens[chance.choice(["all", "admin", "megalis", "recia"])], tag, "a.b.c", odd_text(chance) or "x",
                self.world.tokens["reader"] + "x", damaged(chance, self.world.tokens["all"].encode()).decode("latin-1") or "x",
            ]
        )  # fmt: skip
        good = is_active if verb == "introspect" else (lambda said: bool(said.body) and said.status < 300)
        return self._about("must not", verb, verb, "reader", token, good)

    def about_wrong(self, chance: Chance, tag: str) -> Case:
        verb = any_of(chance, ["revoke", "introspect"])
        name, secret, _ = self.world.clients["reader"]
        wrong = any_of(
            chance,
            [
                [], self._basic(name, f"wrong-{tag}"), self._basic(*self.world.clients["revoked"][:2]), self._basic("", ""),
                [(b"authorization", f"Bearer {self.world.tokens['reader']}".encode())],
                [(b"authorization", headed(chance.randbytes(30)))], self._basic(name, secret)[:0] + self._basic(secret, name),
            ]
        )  # fmt: skip
        return self._about(
            "must not",
            verb,
            verb,
            "reader",
            self.world.tokens["reader"],
            lambda said: said.status < 300,
            headers=wrong,
        )

    # Resources

    OWN = (
        "/v1/solutions",
        "/v1/solutions/arnia/red",
        "/v1/solutions/arnia/green",
        "/v1/changes",
        "/v1/peers",
        "/v1/feeds",
    )
    PEERS = (
        "/v1/solutions",
        "/v1/solutions/arnia/green",
        "/v1/feeds",
        "/v1/feeds/arnia/federation/changes",
        "/v1/feeds/arnia/public/changes",
    )

    def _resource(
        self,
        verdict: Verdict,
        kind: str,
        path: str,
        headers: Headers,
        *,
        method: str = "GET",
        sees: Iterable[str] = (),
        **said: Any,
    ) -> Case:
        secrets = [
            each
            for _, value in headers
            for each in value.decode("latin-1").replace(",", " ").replace(".", " ").split()[-1:]
        ]
        return Case(kind, verdict, method, path, headers, secrets=secrets, sees=sees, **said)

    @staticmethod
    def _shown(scheme: str, token: str, *proofs: str) -> Headers:
        headers = [(b"authorization", headed(f"{scheme} {token}".encode("utf-8", "replace")))]
        return headers + [(b"dpop", headed(proof.encode("utf-8", "replace"))) for proof in proofs]

    def bearer_valid(self, chance: Chance, _: str) -> Case:
        path = any_of(chance, self.OWN)
        scheme = any_of(chance, ["Bearer", "bearer", "BEARER"])
        return self._resource("must", "", path, self._shown(scheme, self.world.tokens["all"]), sees=CANARIES)

    def bound_valid(self, chance: Chance, tag: str) -> Case:
        party = self._active(chance)
        path, token = any_of(chance, self.PEERS), self.world.tokens[party.operator]
        url = self.world.url + path
        changes = any_of(
            chance,
            [
                {},
                {},
                {"htu": f"{url}?x=1"},
                {"htu": f"{url}#x"},
                {"nonce": "x"},
                {"iat": int(time.time()) - 40},
            ],
        )
        sees = {"GREEN", "AMBER"} if party.operator == "megalis" else {"GREEN"}
        proof = party.proof("GET", url, token, **{"jti": tag, **changes})
        return self._resource(
            "must", "", path, self._shown(chance.choice(["DPoP", "dpop"]), token, proof), sees=sees
        )

    def authorization_mangled(self, chance: Chance, _: str) -> Case:
        token = self.world.tokens["all"]
        value = headed(
            chance.choice(
                [
                    damaged(chance, b"Bearer " + token.encode()), b"Bearer", b"", token.encode(), b"Bearer  " + token.encode() + b"x",
                    b"Basic " + token.encode(), b"Bearer " + chance.randbytes(40), b"Bearer " + odd_text(chance).encode("utf-8", "replace"),
                    b"Bearer " + b"x" * 9_000, b"Bearer " + token.encode() + b" " + token.encode(), b"Bearer," + token.encode(),
                    b"Negotiate x", chance.randbytes(60), b"Bearer " + self.world.clients["all"][1].encode(),
                ]
            )
        )  # fmt: skip
        scheme, _, rest = value.decode("latin-1").partition(" ")
        holds = scheme.lower() == "bearer" and same_jws(rest, token)
        path = any_of(chance, self.OWN)
        return self._resource(
            "may" if holds else "must not",
            "",
            path,
            [(b"authorization", value)],
            sees=CANARIES if holds else (),
        )

    def token_forged(self, chance: Chance, _: str) -> Case:
        world = self.world
        name = any_of(chance, ["all", "megalis"])
        token = world.tokens[name]
        head, claims = (json.loads(unb64(each)) for each in token.split(".")[:2])
        signature, now = token.rpartition(".")[2], int(time.time())
        key, public = world.stranger.key, world.node.keyring.public()["keys"][0]
        greedy = {
            **claims,
            "scope": " ".join(SCOPES),
            "operator": world.node.operator,
            "client_id": "client-all",
        }
        sign = world.node.keyring.sign
        why, forged = any_of(
            chance,
            [
                ("by a stranger", key.jws(head, claims)), ("by a stranger that shows its key", key.jws({**head, "jwk": key.public, "kid": key.kid}, claims)),
                ("unsigned", unsigned({**head, "alg": chance.choice(["none", "None", ""])}, claims)),
                ("HMAC", maced({**head, "alg": "HS256"}, claims, chance.choice([json.dumps(public).encode(), unb64(public["x"]), b""]))),
                ("claims exchanged", f"{part(head)}.{part(greedy)}.{signature}"), ("header exchanged", f"{part({**head, 'alg': 'none'})}.{part(claims)}.{signature}"),
                ("by a peer", world.peers["megalis"].key.jws({**head, "kid": world.peers["megalis"].key.kid}, claims)),
                ("of another type", sign(claims, typ=chance.choice(["JWT", CLIENT_JWT, "dpop+jwt", "federation-welcome+jwt", "federation-checkpoint+jwt"]))),
                ("expired", sign({**claims, "iat": now - 400, "exp": now - 1}, typ="at+jwt")), ("for another", sign({**claims, "aud": "https://x.example"}, typ="at+jwt")),
                ("of another issuer", sign({**claims, "iss": "https://x.example"}, typ="at+jwt")),
                ("for several", sign({**claims, "aud": [world.url, "https://x.example"]}, typ="at+jwt")),
                ("odd claims", sign(changed(claims, {chance.choice(["exp", "iat", "client_id", "operator", "scope"]): chance.choice([..., None, ["x"], {"x": 1}])}), typ="at+jwt")),
                ("of a revoked client", world.tokens["revoked"]), ("of who is cut off", world.tokens[chance.choice(["pending", "suspended", "left"])]),
                ("unbound for a peer", sign(changed(world_claims(world, "megalis"), {"cnf": ...}), typ="at+jwt")),
                ("bound for a client", sign({**world_claims(world, "all"), "cnf": {"jkt": key.kid}}, typ="at+jwt")),
                ("an assertion", world.peers["megalis"].assertion(world.url)),
            ]
        )  # fmt: skip
        path = any_of(chance, self.PEERS)
        bound = why == "of who is cut off" or "cnf" in claims
        party = world.peers["megalis"] if name == "megalis" else world.stranger
        if why == "of who is cut off":
            party = next(each for each in world.peers.values() if world.tokens[each.operator] == forged)
        proofs = [party.proof("GET", world.url + path, forged)] if bound else []
        return self._resource(
            "must not", why, path, self._shown("DPoP" if bound else "Bearer", forged, *proofs)
        )

    def token_damaged(self, chance: Chance, _: str) -> Case:
        party = self.world.peers["megalis"]
        good = self.world.tokens[party.operator]
        parts = [bytearray(unb64(each)) for each in good.split(".")]
        which = any_of(chance, parts)
        which[chance.randrange(len(which))] ^= 1 << chance.randrange(8)
        forged = ".".join(b64(bytes(each)) for each in parts)
        path = any_of(chance, self.PEERS)
        proof = party.proof("GET", self.world.url + path, chance.choice([forged, good]))
        return self._resource("must not", "", path, self._shown("DPoP", forged, proof))

    def bound_proof(self, chance: Chance, tag: str) -> Case:
        party = self.world.peers["megalis"]
        path, token = any_of(chance, self.PEERS), self.world.tokens["megalis"]
        why, proofs = self._bad_proofs(chance, party, "GET", self.world.url + path, token, tag)
        if chance.random() < 0.15:
            thief = self.world.stranger.prover
            why = "of another key"
            proofs = [party.proof("GET", self.world.url + path, token, by=thief, header={"jwk": thief.bare})]
        return self._resource("must not", why, path, self._shown("DPoP", token, *proofs))

    def scheme_swapped(self, chance: Chance, tag: str) -> Case:
        party = self.world.peers["megalis"]
        path = any_of(chance, self.PEERS)
        bound = chance.random() < 0.5
        token = self.world.tokens["megalis" if bound else "all"]
        proof = party.proof("GET", self.world.url + path, token, jti=tag)
        scheme = any_of(
            chance, ["Bearer", "Basic", "DPoP-", "bearer"] if bound else ["DPoP", "dpop", "Basic", "MAC"]
        )
        proofs = [proof] if chance.random() < 0.7 else []
        return self._resource(
            "must not", "bound" if bound else "bearer", path, self._shown(scheme, token, *proofs)
        )

    def right_missing(self, chance: Chance, tag: str) -> Case:
        """A token that holds, for what it does not reach."""
        party, peer = self.world.peers["megalis"], chance.random() < 0.6
        reads = ["/v1/changes", "/v1/peers", "/metrics", "/v1/solutions/arnia/red"]
        writes = [
            ("PUT", "/v1/solutions/arnia/x"),
            ("DELETE", "/v1/solutions/arnia/green"),
            ("POST", "/v1/peers/recia/suspend"),
            ("POST", "/v1/peers/recia/leave"),
        ]
        method, path = any_of(chance, [("GET", chance.choice(reads)), *writes])
        if not peer and path in ("/v1/peers", "/v1/solutions/arnia/red"):
            path, method = "/v1/changes", "GET"
        token = self.world.tokens["megalis" if peer else "reader"]
        proofs = [party.proof(method, self.world.url + path, token, jti=tag)] if peer else []
        headers = self._shown("DPoP" if peer else "Bearer", token, *proofs)
        case = self._resource("must not", "peer" if peer else "reader", path, headers, method=method)
        if method == "PUT":
            case.headers.append(JSON)
            case.body = b"{}"
        return case

    def anonymous(self, chance: Chance, _: str) -> Case:
        """Without a token what is CLEAR is shown, and nothing else."""
        path = any_of(
            chance,
            ["/v1/solutions", "/v1/feeds", "/v1/feeds/arnia/public/changes", "/v1/solutions/arnia/clear"],
        )
        return self._resource("must", "", path, [])


def world_claims(world: World, name: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(unb64(world.tokens[name].split(".")[1]))
    return claims


def is_token(said: Said) -> bool:
    return said.status == 200 or b"access_token" in said.body


def is_active(said: Said) -> bool:
    found = said.json
    return isinstance(found, dict) and found.get("active") is True


# The oracle


def faults(case: Case, said: Said) -> list[str]:
    """What is wrong with an answer."""
    found = []
    if said.status >= 500 or said.status < 200:
        found.append(f"answered {said.status}: {said.body[:200]!r}")
    good = case.good(said)
    if case.verdict == "must" and not good:
        found.append(f"authorised, and answered {said.status}: {said.body[:200]!r}")
    if case.verdict == "must not" and good:
        found.append(f"not authorised, and answered {said.status}: {said.body[:200]!r}")
    text = said.body + repr(said.headers).encode()
    found += [
        f"shows {tlp}" for tlp, canary in CANARIES.items() if tlp not in case.sees and canary.encode() in text
    ]
    told = case.secrets if case.verdict != "must" or b"access_token" not in said.body else []
    found += [f"repeats {secret!r}" for secret in told if secret.encode() in text]
    if 400 <= said.status < 500 and (wrong := shape(case, said)):
        found.append(wrong)
    return found


def shape(case: Case, said: Said) -> str | None:
    """What is wrong with the form of a refusal."""
    media, told = said.headers.get("content-type", ""), said.json
    if media == "application/problem+json":
        if not isinstance(told, dict) or told.get("status") != said.status or not told.get("title"):
            return f"is no problem of RFC 9457: {said.body[:200]!r}"
        # Before the form of a token request is looked at, the guard has its say.
        if case.path.startswith("/oauth2/") and said.status in (401,):
            return "is not the answer of RFC 6749"
        return None
    if not case.path.startswith("/oauth2/"):
        return f"is refused with {media}"
    if (
        not isinstance(told, dict)
        or told.get("error") not in OAUTH_ERRORS
        or told.keys() - {"error", "error_description"}
    ):
        return f"is no error of RFC 6749: {said.body[:200]!r}"
    description = told.get("error_description", "")
    if any(
        not (char in "\x20\x21" or "\x23" <= char <= "\x5b" or "\x5d" <= char <= "\x7e")
        for char in description
    ):
        return f"has a description that RFC 6749 does not allow: {description!r}"
    if said.headers.get("cache-control") != "no-store":
        return "may be kept in a cache"
    if (said.status == 401) != (told["error"] == "invalid_client"):
        return f"is {said.status} for {told['error']}"
    if said.status == 401 and not said.headers.get("www-authenticate", "").startswith("Basic "):
        return "does not say how to authenticate"
    return None


class Run:
    """Cases that were tried, and what was wrong."""

    def __init__(self, world: World, wire: Wire, log: Logged) -> None:
        self.world, self.wire, self.log = world, wire, log
        self.cases = Cases(world)
        self.seen: Counter[tuple[str, int]] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.violations: list[tuple[int, str, str]] = []

    async def one(self, index: int) -> tuple[Case, Said]:
        case = self.cases.case(index)
        if case.before is not None:
            await case.before()
        said = await self.wire.send(case)
        found = faults(case, said)
        if case.after is not None and (wrong := await case.after()):
            found.append(wrong)
        self.violations += [(index, case.kind, fault) for fault in found]
        self.seen[case.kind.split(":")[0], said.status] += 1
        self.verdicts[case.verdict] += 1
        return case, said

    async def many(self, indexes: range, *, at_once: int = 1, stop_at: int = 20) -> None:
        """Try these, and look at the logs from time to time."""
        for start in range(indexes.start, indexes.stop, 100):
            self.world.renew()
            batch = range(start, min(start + 100, indexes.stop))
            coming = iter(batch)
            tried: list[Case] = []

            async def worker(coming: Any = coming, tried: list[Case] = tried) -> None:
                for index in coming:
                    tried.append((await self.one(index))[0])

            await asyncio.gather(*(worker() for _ in range(at_once)))
            self._look_at_logs(batch, tried)
            if len(self.violations) >= stop_at:
                return

    def _look_at_logs(self, batch: range, tried: list[Case]) -> None:
        text = "\n".join(self.log.lines)
        self.log.lines.clear()
        secrets = self.world.secrets.union(*(case.secrets for case in tried))
        if any(secret in text for secret in secrets):
            which = [case.kind for case in tried if any(secret in text for secret in case.secrets)]
            self.violations.append(
                (batch.start, ", ".join(which) or "any", f"a secret is in the logs, at one of {batch}")
            )

    def summary(self) -> str:
        """By kind of case and status."""
        kinds = sorted({kind for kind, _ in self.seen})
        lines = []
        for kind in kinds:
            by_status = sorted((status, count) for (name, status), count in self.seen.items() if name == kind)
            lines.append(f"  {kind:24}" + "  ".join(f"{status}: {count}" for status, count in by_status))
        total = sum(self.verdicts.values())
        lines.append(
            f"  {total} cases: "
            + ", ".join(f"{count} {verdict}" for verdict, count in sorted(self.verdicts.items()))
        )
        return "\n".join(lines)


async def attack(cases: int, seed: int, only: int | None) -> int:
    """Try so many cases against a node behind a real HTTP server; what ``make attack`` does."""
    with tempfile.TemporaryDirectory(prefix="federation-attack-") as directory, logged() as log:
        async with server.running(Path(directory), exclusive=True) as dsn:
            await schema.migrate(dsn, "arnia")
            async with running("arnia", dsn) as target:
                world = World(target.node, seed)
                await world.make()
                wire = OverTcp(target.at)
                run = Run(world, wire, log)
                began = time.monotonic()
                if only is not None:
                    case, said = await run.one(only)
                    print(f"{case.kind} ({case.verdict})\n{case.method} {case.path}")
                    for name, value in case.headers:
                        print(f"{name.decode()}: {value.decode('latin-1')}")
                    print(
                        f"\n{case.body.decode('latin-1')}\n\n{said.status} {said.headers}\n{said.body.decode('latin-1')}"
                    )
                else:
                    step = max(cases // 20, 100)
                    for start in range(0, cases, step):
                        await run.many(range(start, min(start + step, cases)), at_once=8)
                        done, took = sum(run.verdicts.values()), time.monotonic() - began
                        print(
                            f"{done:>9} of {cases}, {done / took:.0f}/s, {len(run.violations)} violations",
                            flush=True,
                        )
                        if len(run.violations) >= 20:
                            break
                    print(run.summary())
                await wire.close()
    for index, kind, fault in run.violations:
        print(f"VIOLATION seed {seed} case {index} ({kind}): {fault}")
    return 1 if run.violations else 0


def main() -> None:
    parser = argparse.ArgumentParser(description="A seeded fuzz of OAuth against a node that serves.")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="try this one only, and show it")
    said = parser.parse_args()
    sys.exit(asyncio.run(attack(said.cases, said.seed, said.case)))


if __name__ == "__main__":
    main()
