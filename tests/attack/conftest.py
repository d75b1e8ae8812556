"""What every attack is made on, and what must hold of each: no answer of 5xx, and no secret in a log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.attack.forged_tokens import Key, Party
from tests.attack.target_node import Logged, Running, logged, running
from tests.conftest import Databases, emptied

Secrets = set[str]


@pytest.fixture
def secrets_shown() -> Secrets:
    """What no log may hold; tests add to it."""
    return set()


@pytest.fixture
def log() -> Iterator[Logged]:
    with logged() as handler:
        yield handler


@pytest.fixture(autouse=True)
def nothing_breaks_or_leaks(
    log: Logged, secrets_shown: Secrets, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Whatever a test does: no 5xx but those it names (``log.named``), no secret in a log, and
    something goes well."""
    made = Key.jws

    def noted(self: Key, header: object, claims: object) -> str:
        """Signed by a key of a test: nobody but the node it is for may read it."""
        token = made(self, header, claims)
        secrets_shown.update((token, token.rpartition(".")[2], self.d))
        return token

    monkeypatch.setattr(Key, "jws", noted)
    yield
    assert [line for line in log.failed if not log.named or log.named not in line] == []
    text = "\n".join(log.lines)
    if '"serving"' in text:
        assert log.answered, "the node does log here, or nothing could be found"
    assert not log.only_refusals, "every negative has its positive: a node that refuses all is not secure"
    assert [secret for secret in secrets_shown if secret in text] == []


@pytest.fixture
async def target(dsn: str, log: Logged, secrets_shown: Secrets) -> AsyncIterator[Running]:
    """Arnia, serving."""
    async with running("arnia", dsn) as node:
        secrets_shown.update(str(key.as_dict(private=True)["d"]) for key in node.node.keyring._keys.values())
        yield node


@pytest.fixture
async def second(target: Running, dsn: str) -> AsyncIterator[Running]:
    """Another process of arnia's node, on the same database."""
    async with running("arnia", dsn, url=target.url) as node:
        yield node


@pytest.fixture
async def other(databases: Databases, log: Logged) -> AsyncIterator[Running]:
    """Megalis, serving."""
    async with running("megalis", await emptied(await databases("megalis"))) as node:
        yield node


@pytest.fixture
async def megalis(target: Running) -> Party:
    """A peer of arnia's."""
    return await target.knows(Party("megalis"))


@pytest.fixture
async def recia(target: Running) -> Party:
    """Another peer of arnia's."""
    return await target.knows(Party("recia"))
