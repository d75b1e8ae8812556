"""A registration must not make the node call where its administrator has not allowed.

The forms of addresses, rebinding, redirects and bounds of the client itself: ``tests/sync/test_outbound.py``.
"""

from __future__ import annotations

import json

import pytest

from federation.domain.errors import Unreachable
from federation.node import peers
from tests.attack.conftest import Secrets
from tests.attack.forged_tokens import Party
from tests.attack.target_node import Running
from tests.attack.test_joining import invited, joined
from tests.attack.test_tokens import denied, refused
from tests.sync.peers import Tiny, reply, tiny

ADDRESSES = """
https://127.0.0.1 https://10.0.0.3 https://192.168.1.1 https://172.16.0.1 https://100.64.0.1 https://0.0.0.0
https://169.254.169.254 https://100.100.100.200 https://168.63.129.16 https://224.0.0.1 https://255.255.255.255
https://[::1] https://[::] https://[::ffff:127.0.0.1] https://[::ffff:169.254.169.254] https://[fd00:ec2::254]
https://[fe80::1] https://[64:ff9b::7f00:1] https://[2002:7f00:1::] https://[fec0::1]
http://127.0.0.1 http://[::1] http://93.184.215.14 http://node.example ftp://node.example file:///etc/passwd
gopher://node.example https:///x https:// https://a@node.example https://a:b@node.example javascript:alert(1)
https://node.example?x=1 https://node.example#x https://node.example\\@127.0.0.1 node.example
""".split()


@pytest.mark.parametrize("private", [False, True])
async def test_an_address_that_may_not_be_called_does_not_become_a_peers(
    target: Running, secrets_shown: Secrets, private: bool
) -> None:
    secret = await invited(target, secrets_shown, private=private)
    statuses = {}
    for url in ADDRESSES:
        answer = await joined(target, Party("megalis", url=url), secret)
        statuses[url] = answer.status_code
        if answer.status_code == 201:
            await peers.forget(target.node, "megalis")
            secret = await invited(target, secrets_shown, private=private)
        else:
            refused(answer, 400)
    taken = {url for url, status in statuses.items() if status == 201}
    if not private:
        assert taken == set()
    else:
        assert "https://10.0.0.3" in taken
        assert not any(url.startswith(("ftp", "file", "gopher", "javascript")) for url in taken)
        assert not taken & {"http://93.184.215.14", "http://node.example", "https://a:b@node.example"}
    assert (await joined(target, Party("megalis", url="https://node.example"), secret)).status_code == 201


def described(server: Tiny, party: Party) -> None:
    said = {"operator": party.operator, "name": "x", "url": party.url, "jwks_uri": f"{party.url}/jwks"}
    server.answers["/.well-known/federation"] = reply(json.dumps(said).encode())
    server.answers["/jwks"] = reply(json.dumps(party.jwks).encode())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_nothing_private_is_called_for_whom_it_was_not_allowed(
    target: Running, secrets_shown: Secrets, host: str
) -> None:
    """Neither when it registers, nor when it is activated, nor when it shows a new key."""
    async with tiny() as server:
        party = Party("megalis", url=server.url.replace("127.0.0.1", host))
        described(server, party)
        answer = await joined(target, party, await invited(target, secrets_shown, private=False))
        assert answer.status_code in (201, 400)
        await target.knows(party, "pending", private=False)
        with pytest.raises(Unreachable):
            await peers.activate(target.node, "megalis")
        await target.knows(party, "active", private=False)
        denied(await target.token_answer(party, party.assertion(target.url, header={"kid": "unknown"})))
        assert (await target.token_answer(party)).status_code == 200
        assert server.asked == []
        # The same peer, as an administrator allowed it.
        await target.knows(party, "pending", private=True)
        assert (await peers.activate(target.node, "megalis")).state == "active"
        assert server.asked != []


@pytest.mark.parametrize(
    "spelled", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "LOCALHOST"]
)
async def test_an_address_in_another_spelling_is_not_called_either(target: Running, spelled: str) -> None:
    async with tiny() as server:
        for scheme in ("http", "https"):
            party = Party("megalis", url=server.url.replace("127.0.0.1", spelled).replace("http", scheme))
            described(server, party)
            await target.knows(party, "pending", private=False)
            with pytest.raises(Unreachable):
                await peers.activate(target.node, "megalis")
        assert server.asked == []


async def test_a_redirect_leads_nowhere(target: Running) -> None:
    async with tiny() as server, tiny() as inside:
        party = await target.knows(Party("megalis", url=server.url), "pending")
        for status in (301, 302, 303, 307, 308):
            server.answers["/.well-known/federation"] = reply(status=status, location=f"{inside.url}/secret")
            with pytest.raises(Unreachable):
                await peers.activate(target.node, "megalis")
        described(server, party)
        for status in (302, 307):
            server.answers["/jwks"] = reply(status=status, location=f"{inside.url}/secret")
            with pytest.raises(Unreachable):
                await peers.activate(target.node, "megalis")
        assert inside.asked == []
        described(server, party)
        assert (await peers.activate(target.node, "megalis")).state == "active"
