"""Keys are changed and peers are suspended while everybody goes on asking: nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import httpx2
import pytest

from federation.domain.errors import Conflict, Unauthenticated, Unreachable
from federation.node import key_rotation, peers
from federation.node.keys import trusted_keys, verify_jwt
from federation.node.node import Node
from federation.node.notifier import ChangeNotifier
from federation.sync.peer_client import PeerSource
from tests.conftest import Databases, emptied
from tests.domain.builders import a_solution
from tests.nodes import a_node, a_token, introduce, peer_of, publish, served
from tests.waiting import until, within_a_second


class Traffic:
    """Requests one after the other until the block ends; what was answered, and what went wrong."""

    def __init__(self) -> None:
        self.streams = 0
        self.answered: dict[str, int] = {}
        self.failed: list[str] = []

    @asynccontextmanager
    async def of(self, **asking: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        async def go_on(name: str, ask: Callable[[], Awaitable[None]]) -> None:
            while True:
                try:
                    await ask()
                    self.answered[name] = self.answered.get(name, 0) + 1
                except (Unreachable, AssertionError, httpx2.HTTPError) as error:
                    self.failed.append(f"{name}: {error}")
                await asyncio.sleep(0.01)

        self.streams = len(asking)
        tasks = [asyncio.create_task(go_on(name, ask)) for name, ask in asking.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def goes_on(self, times: int) -> None:
        """Wait until each of them has been answered so many times more, or one of them was not."""
        before = dict(self.answered)

        async def gone_on() -> bool:
            more = [count - before.get(name, 0) for name, count in self.answered.items()]
            return bool(self.failed) or (len(more) == self.streams and min(more) >= times)

        await until(gone_on)


def new_token_each_time(reader: Node, origin: Node) -> Callable[[], Awaitable[None]]:
    """A peer that authenticates anew for each request: every key it signs with is seen."""

    async def ask() -> None:
        source = PeerSource(reader.operator, peer_of(origin), reader.keyring)
        try:
            assert await source.heads() is not None
        finally:
            await source.close()

    return ask


def one_token(reader: Node, origin: Node, stack: AsyncExitStack) -> Callable[[], Awaitable[None]]:
    """A peer that goes on with the token it has."""
    source = PeerSource(reader.operator, peer_of(origin), reader.keyring)
    stack.push_async_callback(source.close)

    async def ask() -> None:
        assert await source.heads() is not None

    return ask


@pytest.fixture
async def nodes(databases: Databases) -> AsyncIterator[dict[str, Node]]:
    """Arnia (two processes on one database), megalis and recia, peers of one another."""
    found: dict[str, Node] = {}
    async with AsyncExitStack() as stack:
        for operator in ("arnia", "megalis", "recia"):
            dsn = await emptied(await databases(operator))
            url = await stack.enter_async_context(served(operator, dsn, sync=False, limits=False))
            found[operator] = await stack.enter_async_context(a_node(operator, dsn, url=url))
        await introduce(*found.values())
        yield found


async def test_ten_rotations_under_traffic_fail_no_request(
    nodes: dict[str, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In life there are ten minutes before a new key signs, and every process sees it in half a second.
    # Here it is half a second, and they look ten times in it.
    monkeypatch.setattr(ChangeNotifier, "IDLE_POLL_SECONDS", 0.05)
    monkeypatch.setattr(key_rotation, "MIN_KEY_READ_INTERVAL", timedelta(seconds=0.05))
    arnia, megalis = nodes["arnia"], nodes["megalis"]
    traffic = Traffic()
    kids, not_used_yet = [arnia.keyring.kid], 0
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=arnia.url, trust_env=False))
        credentials = await a_token(arnia, http, "solutions.read")

        async def own_client() -> None:
            assert (await http.get("/v1/solutions", headers=credentials)).status_code == 200

        async with traffic.of(
            own_client=own_client,
            arnia_anew=new_token_each_time(arnia, megalis),
            arnia_on=one_token(arnia, megalis, stack),
            megalis_anew=new_token_each_time(megalis, arnia),
            megalis_on=one_token(megalis, arnia, stack),
        ):
            for _ in range(10):
                key = await key_rotation.rotate(arnia, after=timedelta(seconds=0.5))
                kids.append(key.jwk["kid"])
                assert key.jwk["kid"] in {k["kid"] for k in arnia.keyring.public()["keys"]}, "published first"
                if arnia.keyring.kid == kids[-2]:  # its time may have come already, on a busy machine
                    not_used_yet += 1

                async def signs(kid: str = kids[-1]) -> bool:
                    return arnia.keyring.kid == kid

                await until(signs)

                async def followed_by_megalis(kid: str = kids[-1]) -> bool:
                    async with megalis.store.read() as tx:
                        seen = await tx.peers.find("arnia")
                    return seen is not None and kid in seen.kids

                await until(followed_by_megalis)
                await traffic.goes_on(2)
    assert traffic.failed == []
    assert not_used_yet >= 5
    assert len(traffic.answered) == 5
    assert all(count >= 20 for count in traffic.answered.values()), traffic.answered
    assert len(set(kids)) == 11


async def test_a_key_is_retired_when_nothing_rests_on_it_any_more(arnia: Node) -> None:
    first = arnia.keyring.kid
    await key_rotation.rotate(arnia, after=timedelta(seconds=0))
    now = arnia.clock
    assert await key_rotation.retire_keys(arnia) == 0
    arnia.clock = lambda: now() + key_rotation.KEEP_AFTER_USE - timedelta(seconds=5)
    assert await key_rotation.retire_keys(arnia) == 0
    arnia.clock = lambda: now() + key_rotation.KEEP_AFTER_USE + timedelta(seconds=5)
    assert await key_rotation.retire_keys(arnia) == 1
    async with arnia.store.read() as tx:
        keys = await tx.keys.all()
    assert [(key.retired, "d" in key.jwk) for key in keys] == [(False, True), (True, False)]
    arnia.keyring.reload(keys)
    assert first not in {key["kid"] for key in arnia.keyring.public()["keys"]}
    assert first in {key["kid"] for key in arnia.keyring.history()["keys"]}
    # Who knows only the first key still finds the one that signs now.
    told = arnia.keyring.public()
    assert {key["kid"] for key in trusted_keys({first}, told, "arnia")["keys"]} == {arnia.keyring.kid}


async def test_a_replaced_key_is_followed_by_nobody_and_nothing_it_signed_holds(arnia: Node) -> None:
    first = arnia.keyring.kid
    token = arnia.keyring.sign({"iss": "arnia"}, typ="at+jwt")
    assert verify_jwt(token, arnia.keyring.public(), frozenset({"at+jwt"}))
    made = await key_rotation.replace_key(arnia)
    assert arnia.keyring.kid == made.jwk["kid"] != first
    with pytest.raises(Unauthenticated):
        verify_jwt(token, arnia.keyring.public(), frozenset({"at+jwt"}))
    with pytest.raises(Unauthenticated):
        trusted_keys({first}, arnia.keyring.public(), "arnia")
    assert trusted_keys({made.jwk["kid"]}, arnia.keyring.public(), "arnia")


async def test_a_rotation_waits_for_the_one_before(arnia: Node) -> None:
    await key_rotation.rotate(arnia, after=timedelta(seconds=60))
    with pytest.raises(Conflict, match="does not sign yet"):
        await key_rotation.rotate(arnia)


async def test_ten_suspensions_under_traffic_touch_nobody_else(
    nodes: dict[str, Node], databases: Databases
) -> None:
    arnia, megalis, recia = nodes["arnia"], nodes["megalis"], nodes["recia"]
    await publish(arnia, "solution", "one", a_solution(), tlp="GREEN")
    traffic = Traffic()
    async with AsyncExitStack() as stack:
        second = await stack.enter_async_context(
            served("arnia", await databases("arnia"), sync=False, known_as=arnia.url)
        )
        http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))
        token = PeerSource("megalis", peer_of(arnia), megalis.keyring)
        stack.push_async_callback(token.close)
        assert await token.heads() is not None

        async def status(where: str) -> int:
            access = token._client.token["access_token"]
            proof = token._prover.proof("GET", f"{arnia.url}/v1/feeds", access)
            headers = {"authorization": f"DPoP {access}", "dpop": proof}
            return (await http.get(f"{where}/v1/feeds", headers=headers)).status_code

        async with traffic.of(
            recia_anew=new_token_each_time(recia, arnia), recia_on=one_token(recia, arnia, stack)
        ):
            for _ in range(10):
                assert [await status(where) for where in (arnia.url, second)] == [200, 200]
                await peers.suspend(arnia, "megalis")

                async def refused() -> bool:
                    return [await status(where) for where in (arnia.url, second)] == [401, 401]

                await within_a_second(arnia, refused)
                with pytest.raises(Unreachable):
                    await new_token_each_time(megalis, arnia)()
                await peers.resume(arnia, "megalis")

                async def answered() -> bool:
                    return [await status(where) for where in (arnia.url, second)] == [200, 200]

                await until(answered)
                await traffic.goes_on(2)
    assert traffic.failed == []
    assert len(traffic.answered) == 2
    assert all(count >= 20 for count in traffic.answered.values()), traffic.answered
