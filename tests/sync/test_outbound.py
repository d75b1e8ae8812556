"""The one way out: whom it calls, at which address, and how much of an answer it takes.

Each refusal has a twin that is let through: a client that refused everything would pass the rest.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

import httpcore2
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from federation.outbound import http
from federation.outbound.addresses import is_public
from federation.outbound.http import Outbound, TransferFailed, addresses_of, origin_of
from tests.sync.peers import Answer, Tiny, reply, tiny
from tests.waiting import MAX_WAIT_SECONDS

NAME = "node.example"
PUBLIC = "93.184.215.14"
OTHER = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
DEADLINE = 2.0
"""Seconds of a deadline that no such machine misses before the connection is made."""


class Names:
    """A resolver that says what the test wants: one answer after the other, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Wire(httpcore2.AsyncNetworkBackend):
    """The network: notes where it was told to connect to, and leads all that is not dead to this machine."""

    def __init__(self, *dead: str) -> None:
        self.dead = dead
        self.called: list[str] = []
        self.sockets: list[Any] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.called.append(host)
        if host in self.dead:
            raise httpcore2.ConnectError("dead")
        stream = await httpcore2.AnyIOBackend().connect_tcp("127.0.0.1", port, timeout)
        self.sockets.append(stream.get_extra_info("socket"))
        return stream

    async def closed(self) -> None:
        """Returns when every connection that was made is closed; raises TimeoutError if one is left open."""
        assert self.sockets, "no connection was made: nothing is shown"
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while any(one.fileno() != -1 for one in self.sockets):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def client(
    base: str,
    *says: list[str],
    private: bool = False,
    names: Any = None,
    wire: Wire | None = None,
    verify: ssl.SSLContext | None = None,
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client as ``settings`` makes it, with the names and the network of the test."""
    made = http.settings(base, private=private)
    made["transport"] = Outbound(
        base,
        private=private,
        resolve=names or Names(*(says or ([PUBLIC],))),
        network=wire or Wire(),
        verify=verify,
    )
    async with httpx2.AsyncClient(**made) as one:
        yield one


def at(peer: Tiny, name: str = NAME) -> str:
    return f"http://{name}:{peer.url.rsplit(':', 1)[1]}"


@asynccontextmanager
async def saying(answer: Answer) -> AsyncIterator[Tiny]:
    async with tiny() as peer:
        peer.answers["/"] = answer
        yield peer


OK = reply(b'{"ok":true}')


# --- whom it calls -------------------------------------------------------------------------------------

NOT_PUBLIC = """
127.0.0.1 127.255.255.254 0.0.0.1 10.0.0.3 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255
192.0.0.1 192.0.2.1 198.51.100.7 203.0.113.9 198.18.0.1 198.19.255.255 192.88.99.1 240.0.0.1
::1 ::ffff:127.0.0.1 ::ffff:10.0.0.3 ::ffff:93.184.215.14 ::127.0.0.1 ::10.0.0.3 ::ffff:0:10.0.0.3
2002:7f00:1:: 2002:a00:3:: 2002:5db8:d70e:: 2001:0:5db8:d70e::f5ff:fffc 2001:20::1 2001:2::1
64:ff9b::7f00:1 64:ff9b::10.0.0.3 64:ff9b:1::10.0.0.3 64:ff9b:1::5db8:d70e
fc00::1 fd12:3456:789a::1 fec0::1 2001:db8::1 3fff::1 100::1 5f00::1 4000::1
0.255.255.255 10.255.255.255 192.0.0.255 192.0.2.255 192.88.99.255 192.168.255.255 198.51.100.255
203.0.113.255 255.255.255.254 2001:1ff::1 2001:db8:ffff::1 2002:c0a8:1:: 3fff:fff::1
""".split()

NEVER = """
0.0.0.0 :: ::ffff:0.0.0.0 224.0.0.1 239.255.255.255 ff02::1 ff0e::1 255.255.255.255
169.254.169.254 169.254.170.2 169.254.0.1 ::ffff:169.254.169.254 ::169.254.169.254 ::ffff:0:169.254.169.254
2002:a9fe:a9fe:: 2001:0:a9fe:a9fe::1 2001:0:5db8:d70e::5601:5601 64:ff9b::169.254.169.254
64:ff9b:1::169.254.169.254 64:ff9b:1:a9fe:a9:fe00::
64:ff9b:1:a9fe:1:200:: 64:ff9b:1:a9:fe:a9fe:: 64:ff9b:1:0:a9:fea9:fe00:0
fd00:ec2::254 fd00:ec2::23 fd00:ec2:ffff::1 febf::1 ffff::1 fd20:ce::254 fd00:c1::a9fe:a9fe
100.100.100.200 168.63.129.16
fe80::1 fe80::a9fe:a9fe fe80::1%1 fe80::1%eth0 2606:4700::1111%1 fd12::1%2
""".split()

ANYBODY = """
93.184.215.14 8.8.8.8 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 198.17.255.255 198.20.0.0
192.0.3.0 192.88.98.1 192.169.0.0 198.51.101.0 203.0.112.255 168.63.129.17 2001:db9::1 2003::1 3fff:1000::1
223.255.255.255 2606:2800:21f:cb07:6820:80da:af6b:8b2c 2001:4860:4860::8888 2a00:1450::1 2001:200::1
64:ff9b::5db8:d70e
""".split()


@pytest.mark.parametrize("address", NOT_PUBLIC + NEVER)
async def test_a_name_that_resolves_to_an_address_that_is_not_public_is_not_called(address: str) -> None:
    wire = Wire()
    async with client(f"http://{NAME}", [address], wire=wire) as one:
        with pytest.raises(TransferFailed) as refusal:
            await one.get(f"http://{NAME}/")
    assert f"{NAME} resolves to {address}" in str(refusal.value)
    assert wire.called == []
    assert not is_public(ip_address(address))
    assert ("--private" in str(refusal.value)) == (address in NOT_PUBLIC), "it says what would allow it"


@pytest.mark.parametrize("address", ANYBODY)
async def test_a_name_that_resolves_to_a_public_address_is_called_there(address: str) -> None:
    wire = Wire()
    async with saying(OK) as peer, client(at(peer), [address], wire=wire) as one:
        assert (await one.get(at(peer))).json() == {"ok": True}
    assert wire.called == [address]
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_private_peer_may_be_at_an_address_that_is_not_public(address: str) -> None:
    wire = Wire()
    async with saying(OK) as peer, client(at(peer), [address], private=True, wire=wire) as one:
        assert (await one.get(at(peer))).status_code == 200
    assert wire.called == [address]


@pytest.mark.parametrize("address", [*NEVER, "nonsense", "127.1", ""])
async def test_nobody_can_allow_multicast_the_unspecified_address_or_a_clouds_own(address: str) -> None:
    wire = Wire()
    async with client(f"http://{NAME}", [address], private=True, wire=wire) as one:
        with pytest.raises(TransferFailed, match=r"no node is ever called|not an address"):
            await one.get(f"http://{NAME}/")
    assert wire.called == []


ODD = """
127.0.0.1 127.1 127.0.1 0x7f.1 0x7f.0.0.1 0x7f000001 0X7F.1 2130706433 017700000001 0177.1 0x7f.0.0.0x1 0
10.3 0xa.3 167772163 0xa9fea9fe 2852039166 169.16689662 127。0。0。1 127．0．0．1 127｡0｡0｡1 localhost
LOCALHOST [::1] [0:0::1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::7f00:1] [::]
[fd00:ec2::254]
""".split()


@pytest.mark.parametrize("host", ODD)
async def test_however_an_address_is_spelled_what_the_resolver_makes_of_it_is_checked(host: str) -> None:
    """These forms go through the parser of URLs and the C library, as they would in earnest."""
    wire = Wire()
    async with client(f"http://{host}:8", names=addresses_of, wire=wire) as one:
        with pytest.raises(TransferFailed, match="resolves to"):
            await one.get(f"http://{host}:8/")
    assert wire.called == []


UNREADABLE = [
    "http://127.0.0.1.", "http://localhost.", "http://node.example.", "http://a..b", "http://１２７.0.0.1",
    "http://①②⑦.⓪.⓪.①", "http://0177.0.0.1", "http://256.1.1.1", "http://%31%32%37.0.0.1",
    "http://127.0.0.1%2f@node.example", "http://user@node.example", "http://user:word@node.example",
    "http://node.example\\@127.0.0.1", "http://127.0.0.1\\@node.example", "http://127.0.0.1\\.node.example",
    "http://node.example:0", "http://node.example:99999", "http://node.example:x", "http://node.example:80:90",
    "http://[fe80::1%25lo]", "http://[fe80::1%lo]", "http://[127.0.0.1]", "http://[", "http://[::1",
    "http://", "http:///x", "http:node.example", "//node.example", "node.example", "", "file:///etc/passwd",
    "ftp://node.example:22", "gopher://127.0.0.1", "http+unix://x", "http://node.example\t", "http://no\nde",
    "http://no de", "http://node.example\x00", "http://x\u200b.y", "http://*.example", "http://a;b",
]  # fmt: skip


@pytest.mark.parametrize("url", UNREADABLE, ids=ascii)
async def test_a_url_that_can_be_read_in_two_ways_is_not_called(url: str) -> None:
    with pytest.raises(TransferFailed):
        origin_of(url)
    with pytest.raises(TransferFailed):
        http.settings(url, private=True)


async def test_the_origin_of_a_url_is_what_is_called() -> None:
    assert origin_of("https://Node.Example/v1?a=b#c") == ("https", NAME, 443)
    assert origin_of("https://node.example:/") == ("https", NAME, 443)
    assert origin_of("http://node.example:8080") == ("http", NAME, 8080)
    assert origin_of("https://bücher.example") == ("https", "xn--bcher-kva.example", 443)
    assert origin_of("http://[::1]:8") == ("http", "::1", 8)
    assert origin_of("http://a_b-c.1.example") == ("http", "a_b-c.1.example", 80)


async def test_a_refusal_does_not_repeat_a_password() -> None:
    with pytest.raises(TransferFailed) as refusal:
        origin_of("https://user:hunter2@node.example")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://other.example:8", "http://node.example:9", "https://node.example:8", "http://node.example",
        "http://node.example.other.example:8", "http://sub.node.example:8", "http://127.0.0.1:8",
        "http://node.example:8@other.example:8", "http://node.example.:8", f"http://{PUBLIC}:8",
    ],
)  # fmt: skip
async def test_only_the_registered_origin_is_called_and_nothing_else_even_resolved(url: str) -> None:
    names, wire = Names([PUBLIC]), Wire()
    async with client("http://node.example:8", names=names, wire=wire, private=True) as one:
        with pytest.raises(TransferFailed):
            await one.get(url)
    assert (names.asked, wire.called) == ([], [])


@pytest.mark.parametrize("way", ["{}", "{}/any/path?q", "{}/http://other.example/"])
async def test_every_path_of_the_registered_origin_is_called(way: str) -> None:
    async with saying(OK) as peer, client(at(peer)) as one:
        assert (await one.get(way.format(at(peer, "NODE.example")))).status_code == 200


# --- at which address ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers", [[PUBLIC, "10.0.0.3"], ["10.0.0.3", PUBLIC], [PUBLIC] * 20 + ["::1"], [OTHER, "169.254.1.1"]]
)
async def test_one_bad_address_among_good_ones_refuses_the_name(answers: list[str]) -> None:
    wire = Wire()
    async with client(f"http://{NAME}", answers, wire=wire) as one:
        with pytest.raises(TransferFailed, match="resolves to"):
            await one.get(f"http://{NAME}/")
    assert wire.called == []


async def test_a_name_that_means_something_else_a_moment_later_changes_nothing() -> None:
    """The resolver would say 127.0.0.1 to whoever asked it a second time."""
    names, wire = Names([PUBLIC], ["127.0.0.1"]), Wire()
    async with saying(OK) as peer, client(at(peer), names=names, wire=wire) as one:
        assert (await one.get(at(peer))).status_code == 200
        assert (names.asked, wire.called) == ([NAME], [PUBLIC])
        # That connection was closed by the peer: the next one is resolved, and checked, again.
        with pytest.raises(TransferFailed, match=r"resolves to 127\.0\.0\.1, which is not a public address"):
            await one.get(at(peer))
    assert wire.called == [PUBLIC]


async def test_a_connection_kept_alive_is_still_to_the_address_that_was_checked() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + b"content-length: 2\r\n\r\n{}")
        writer.close()

    names, wire = Names([PUBLIC], ["127.0.0.1"]), Wire()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://{NAME}:{server.sockets[0].getsockname()[1]}"
    async with server, client(url, names=names, wire=wire) as one:
        assert [(await one.get(url)).status_code for _ in range(2)] == [200, 200]
    assert (names.asked, wire.called) == ([NAME], [PUBLIC])


async def test_the_system_is_given_the_address_and_never_the_name() -> None:
    """Over the network as it is: a second resolution of this name would find nothing."""
    async with saying(OK) as peer:
        transport = Outbound(at(peer, "x.invalid"), private=True, resolve=Names(["127.0.0.1"]))
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as one:
            answer = await one.get(at(peer, "x.invalid"))
            assert answer.status_code == 200


async def test_a_node_on_this_machine_is_called_when_it_is_allowed() -> None:
    """As settings make it, with nothing replaced."""
    async with saying(OK) as peer:
        async with httpx2.AsyncClient(**http.settings(peer.url, private=True)) as one:
            assert (await one.get(peer.url)).status_code == 200
        async with httpx2.AsyncClient(**http.settings(peer.url, private=False)) as one:
            with pytest.raises(TransferFailed, match=r"127\.0\.0\.1, which is not a public address"):
                await one.get(peer.url)
        assert len(peer.asked) == 1


async def test_checked_addresses_are_tried_in_order_until_one_answers() -> None:
    wire = Wire(OTHER, "8.8.8.8")
    async with saying(OK) as peer, client(at(peer), [OTHER, "8.8.8.8", PUBLIC], wire=wire) as one:
        assert (await one.get(at(peer))).status_code == 200
    assert wire.called == [OTHER, "8.8.8.8", PUBLIC]


async def test_a_name_with_a_thousand_addresses_does_not_make_us_try_them_all() -> None:
    many = [f"93.184.{n // 250}.{n % 250}" for n in range(1_000)]
    wire = Wire(*many)
    async with client(f"http://{NAME}", many, wire=wire) as one:
        with pytest.raises(
            TransferFailed, match=r"takes no connection to port 80 at 93\.184\.0\.0 \(refused"
        ):
            await one.get(f"http://{NAME}/")
    assert len(wire.called) == http.TRIED


async def test_a_name_that_is_not_resolved_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT", 0.2)

    async def slow(host: str, port: int) -> list[str]:
        await asyncio.sleep(30)
        return [PUBLIC]

    async with asyncio.timeout(MAX_WAIT_SECONDS), client(f"http://{NAME}", names=slow) as one:
        with pytest.raises(TransferFailed, match=r"node\.example was not resolved in time"):
            await one.get(f"http://{NAME}/")
    label = "a" * 70
    async with client(f"http://{label}.example", names=addresses_of) as one:
        with pytest.raises(TransferFailed, match="cannot be resolved"):
            await one.get(f"http://{label}.example/")
    async with client(f"http://{NAME}", []) as one:
        with pytest.raises(TransferFailed, match="takes no connection to port 80 at any address"):
            await one.get(f"http://{NAME}/")


async def test_the_zone_of_an_address_is_not_lost_on_the_way() -> None:
    assert await addresses_of("fe80::1%1", 80) == ["fe80::1%1"]
    assert await addresses_of("127.0.0.1", 80) == ["127.0.0.1"]
    assert await addresses_of("::1", 80) == ["::1"]


async def test_names_under_localhost_are_this_machine_and_no_resolver_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a resolver is asked")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    assert await addresses_of("arnia.localhost", 80) == ["127.0.0.1", "::1"]
    with pytest.raises(AssertionError, match="a resolver is asked"):
        await addresses_of("arnia.localhost.example", 80)
    wire = Wire()
    async with client("http://arnia.localhost:8", names=addresses_of, wire=wire) as guarded:
        with pytest.raises(TransferFailed, match="which is not a public address"):
            await guarded.get("http://arnia.localhost:8/")
    assert wire.called == []


# --- TLS -----------------------------------------------------------------------------------------------


class Authority:
    """A certification authority for one test."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.pem = room / "ca.pem"
        certificate = self._sign(self.key, self.name, [], ca=True)
        self.pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, key: ec.EllipticCurvePrivateKey, name: x509.Name, names: list[x509.GeneralName], *, ca: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256())

    def server(self, *names: x509.GeneralName) -> ssl.SSLContext:
        """What a server with a certificate for these names uses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        certificate = self._sign(key, subject, list(names), ca=False)
        file = self.room / "server.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def trusted(self) -> ssl.SSLContext:
        """As the transport makes it, with this authority."""
        context = httpx2.create_ssl_context(trust_env=False)
        context.load_verify_locations(self.pem)
        return context


@asynccontextmanager
async def tls(context: ssl.SSLContext) -> AsyncIterator[tuple[str, list[str | None]]]:
    """A server behind TLS: its URL by name, and the names it was called by."""
    called: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: called.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://{NAME}:{server.sockets[0].getsockname()[1]}", called
    finally:
        server.close()
        await asyncio.sleep(0.05)


async def test_tls_is_for_the_name_although_the_connection_is_to_an_address(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    wire = Wire()
    async with (
        tls(ca.server(x509.DNSName(NAME))) as (url, called),
        client(url, wire=wire, verify=ca.trusted()) as one,
    ):
        assert (await one.get(url)).json() == {"ok": True}
    assert (called, wire.called) == ([NAME], [PUBLIC])


async def test_authorities_of_a_file_are_trusted_beside_those_of_the_system(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    async with tls(ca.server(x509.DNSName(NAME))) as (url, _):
        async with client(url) as one:
            with pytest.raises(httpx2.ConnectError, match="certificate verify failed"):
                await one.get(url)
        http.trust_authorities(ca.pem)
        try:
            async with client(url) as one:
                assert (await one.get(url)).json() == {"ok": True}
            context = http._trusted(ca.pem)
        finally:
            http.trust_authorities(None)
    assert len(context.get_ca_certs()) > 1


def test_the_authorities_are_read_once_in_a_process() -> None:
    contexts = {id(Outbound(f"https://n{n}.example", private=False)._pool._ssl_context) for n in range(5)}
    assert len(contexts) == 1


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("other.example"),
        x509.DNSName("*.node.example"),
        x509.IPAddress(ipaddress.ip_address(PUBLIC)),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ],
    ids=["another name", "a name below", "the address", "the real address"],
)
async def test_a_certificate_for_something_else_than_the_name_is_refused(
    tmp_path: Path, name: x509.GeneralName
) -> None:
    ca = Authority(tmp_path)
    wire = Wire()
    async with tls(ca.server(name)) as (url, _), client(url, wire=wire, verify=ca.trusted()) as one:
        with pytest.raises(httpx2.ConnectError, match="certificate verify failed"):
            await one.get(url)
        await wire.closed()


async def test_a_certificate_that_nobody_vouches_for_is_refused_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = Authority(tmp_path)
    (tmp_path / "certs").mkdir()
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(ca.pem))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "certs"))
    async with tls(ca.server(x509.DNSName(NAME))) as (url, _), client(url) as one:
        with pytest.raises(httpx2.ConnectError, match="certificate verify failed"):
            await one.get(url)


async def test_secrets_of_tls_are_not_written_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    ca = Authority(tmp_path)
    async with tls(ca.server(x509.DNSName(NAME))) as (url, _), client(url, verify=ca.trusted()) as one:
        assert (await one.get(url)).status_code == 200
    assert not (tmp_path / "keys").exists()


# --- what it takes from the environment, and what it follows --------------------------------------------


async def test_nothing_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []

    async def note(writer: asyncio.StreamWriter, head: bytes) -> None:
        heads.append(head.lower())
        writer.write(OK)

    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with saying(OK) as proxy, saying(note) as peer:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with client(at(peer)) as one:
            assert (await one.get(at(peer))).status_code == 200
        assert proxy.asked == []
    assert len(heads) == 1
    assert b"authorization" not in heads[0]
    assert b"accept-encoding: identity" in heads[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed_not_even_to_the_same_host(status: int) -> None:
    async with saying(OK) as target:
        for location in (at(target), "/elsewhere", "//other.example/", "http://169.254.169.254/"):
            async with saying(reply(status=status, location=location)) as peer, client(at(peer)) as one:
                assert (await one.get(at(peer))).status_code == status
                assert peer.asked == ["/"]
        assert target.asked == []


async def test_cookies_are_neither_kept_nor_sent_back() -> None:
    heads: list[bytes] = []

    async def note(writer: asyncio.StreamWriter, head: bytes) -> None:
        heads.append(head.lower())
        cookies = b"".join(b"set-cookie: c%d=%s\r\n" % (len(heads) * 100 + n, b"x" * 500) for n in range(50))
        writer.write(b"HTTP/1.1 200 OK\r\n" + cookies + b"connection: close\r\ncontent-length: 2\r\n\r\n{}")

    async with saying(note) as peer, client(at(peer)) as one:
        for _ in range(3):
            await one.get(at(peer))
        assert len(one.cookies) == 0
    assert not any(b"cookie" in head for head in heads)


# --- how much of an answer it takes ---------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


async def refused(answer: Answer, because: str, **said: Any) -> None:
    """The answer is refused, and its connection closed while the client is still there."""
    wire = Wire()

    async def tell(writer: asyncio.StreamWriter, head: bytes) -> None:
        if isinstance(answer, bytes):
            writer.write(answer)
            await writer.drain()
        else:
            await answer(writer, head)
        await asyncio.sleep(30)  # it does not hang up: we do

    async with saying(tell) as peer, client(at(peer), wire=wire) as one:
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            with pytest.raises(httpx2.TransportError, match=because):
                await one.get(at(peer), **said)
        await wire.closed()


def times(piece: bytes, before: bytes = HEAD + b"\r\n", *, pause: float = 0.0) -> Answer:
    """The piece without end."""

    async def endless(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(before)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return endless


@pytest.mark.parametrize(
    "encoding", ["gzip", "GZIP", "x-gzip", "br", "zstd", "deflate", "identity, gzip", "gzip, identity", "?"]
)
async def test_a_compressed_answer_is_not_unpacked(encoding: str) -> None:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(pack.compress(b" " * 1_048_576) for _ in range(32)) + pack.flush()
    head = HEAD + f"content-encoding: {encoding}\r\ncontent-length: {len(bomb)}\r\n\r\n".encode()
    tracemalloc.start()
    try:
        await refused(head + bomb, "compressed")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * 1_048_576


async def test_an_answer_that_says_it_is_not_compressed_is_read() -> None:
    async with saying(reply(b"{}", content_encoding="identity")) as peer, client(at(peer)) as one:
        assert (await one.get(at(peer))).content == b"{}"


async def test_an_answer_as_long_as_agreed_is_read_and_one_byte_more_is_not() -> None:
    body = b" " * http.SMALL_BYTES
    async with saying(reply(body)) as peer, client(at(peer)) as one:
        assert len((await one.get(at(peer))).content) == http.SMALL_BYTES
    await refused(reply(body + b" "), "longer than 1048576")
    await refused(HEAD + b"connection: close\r\n\r\n" + body + b" ", "longer than 1048576")


async def test_a_body_without_end_is_given_up() -> None:
    await refused(times(b"a" * 65_536), "longer than")


async def test_a_body_in_the_smallest_pieces_costs_little() -> None:
    """A million of them would be within the bytes that were agreed, and 13 s of a core."""
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n"
    await refused(times(b"1\r\na\r\n" * 5_000, chunked), "too many small pieces")
    some = b"".join(b"%x\r\n" % 60 + b" " * 60 + b"\r\n" for _ in range(1_000)) + b"0\r\n\r\n"
    async with saying(chunked + some) as peer, client(at(peer)) as one:
        assert len((await one.get(at(peer))).content) == 60_000


LIES: dict[str, tuple[bytes, str]] = {
    "more than comes": (HEAD + b"content-length: 900\r\nconnection: close\r\n\r\n{}", "without sending"),
    "more than agreed": (HEAD + b"content-length: 1048577\r\n\r\n", "longer than"),
    "more than any number": (HEAD + b"content-length: 99999999999999999999\r\n\r\n", "longer than|ength"),
    "below nothing": (HEAD + b"content-length: -1\r\n\r\n{}", "ength"),
    "no number": (HEAD + b"content-length: two\r\n\r\n{}", "ength"),
    "another digit": (HEAD + b"content-length: \xc2\xb2\r\n\r\n{}", "ength|illegal"),
    "two things": (HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}!", "ength"),
    "an unknown coding": (HEAD + b"transfer-encoding: gzip\r\n\r\n{}", "ncoding"),
    "a chunk of no size": (HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}", "chunk"),
    "a chunk of every size": (
        HEAD + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffffffffff\r\n{}",
        "chunk",
    ),
}


@pytest.mark.parametrize(("answer", "because"), LIES.values(), ids=LIES)
async def test_an_answer_that_lies_about_its_length_is_refused(answer: bytes, because: str) -> None:
    async def says(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    await refused(says, because)


async def test_a_body_longer_than_it_says_ends_where_it_says() -> None:
    async with saying(HEAD + b"content-length: 2\r\n\r\n{}" + b"x" * 100) as peer, client(at(peer)) as one:
        assert (await one.get(at(peer))).content == b"{}"


async def test_headers_have_a_size_and_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """h11 gives up at 100 KiB; this holds httpcore2 to it."""
    some = b"".join(b"x-%d: %s\r\n" % (n, b"a" * 1_000) for n in range(50))
    async with (
        saying(HEAD + some + b"connection: close\r\ncontent-length: 2\r\n\r\n{}") as peer,
        client(at(peer)) as one,
    ):
        assert (await one.get(at(peer))).content == b"{}"
    await refused(times(b"a" * 65_536, HEAD + b"x-long: "), "too long")
    await refused(times(b"x: y\r\n" * 1_000, HEAD), "too long")
    await refused(times(b"a" * 65_536, b"HTTP/1.1 200 "), "too long")
    await refused(times(b"a" * 65_536, b""), "too long|illegal")
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n"
    await refused(times(b"a" * 65_536, chunked + b"1;"), "too long")
    await refused(times(b"x: y\r\n" * 1_000, chunked + b"0\r\n"), "too long")
    monkeypatch.setattr(http, "DEADLINE", DEADLINE)
    await refused(times(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, b""), "did not answer in time")


DRIPS = {
    "a byte of a body now and then": times(b" ", pause=0.02),
    "a chunk now and then": times(b"1\r\na\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\n", pause=0.02),
    "a byte of a header now and then": times(b"a", HEAD + b"x: ", pause=0.02),
    "a hint now and then": times(b"HTTP/1.1 103 Early\r\n\r\n", b"", pause=0.02),
    "nothing at all": times(b"", b"", pause=1.0),
    "nothing after the headers": times(b"", pause=1.0),
}


async def test_an_answer_that_drips_is_given_up_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes long before the silence is too long. All at once, to wait for one deadline only."""
    monkeypatch.setattr(http, "DEADLINE", DEADLINE)
    waited = {"extensions": {"federation.wait": 0.3}}
    cases = [(name, answer, said) for name, answer in DRIPS.items() for said in ({}, waited)]
    ended = await asyncio.gather(
        *(refused(answer, "in time", **said) for _, answer, said in cases), return_exceptions=True
    )
    assert [(name, end) for (name, _, _), end in zip(cases, ended, strict=True) if end is not None] == []


async def test_the_wait_that_was_asked_for_is_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "DEADLINE", DEADLINE)

    async def late(writer: asyncio.StreamWriter, _: bytes) -> None:
        await asyncio.sleep(DEADLINE + 0.5)
        writer.write(OK)

    async with saying(late) as peer, client(at(peer)) as one, asyncio.TaskGroup() as together:
        together.create_task(refused(late, "did not answer in time"))
        answer = await one.get(at(peer), extensions={"federation.wait": MAX_WAIT_SECONDS})
        assert answer.status_code == 200


async def test_a_connection_that_is_never_made_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses of a name may be silent one after the other."""
    monkeypatch.setattr(http, "DEADLINE", 0.3)

    class Silent(Wire):
        async def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
            self.called.append(host)
            await asyncio.sleep(0.1)
            raise httpcore2.ConnectTimeout("silent")

    wire = Silent()
    async with client(f"http://{NAME}", [PUBLIC, OTHER] * 10, wire=wire) as one:
        with pytest.raises(TransferFailed, match="did not answer in time"):
            await one.get(f"http://{NAME}/")
    assert len(wire.called) <= 4 < http.TRIED


async def test_a_stream_has_its_own_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(HEAD + b"connection: close\r\n\r\n")
        for _turn in range(6):
            writer.write(b"a" * 400_000)
            await writer.drain()
            await asyncio.sleep(DEADLINE / 5)
        writer.close()

    monkeypatch.setattr(http, "DEADLINE", DEADLINE)
    async with saying(slowly) as peer, client(at(peer)) as one:
        async with one.stream("GET", at(peer), extensions=http.STREAM) as answer:
            size = sum([len(piece) async for piece in answer.aiter_raw()])
        assert size == 2_400_000, "more, and for longer, than any other answer"
    monkeypatch.setattr(http, "STREAM_BYTES", 1_000_000)
    await refused(slowly, "longer than 1000000", extensions=http.STREAM)
    length = HEAD + b"content-length: 1000001\r\n\r\n"
    await refused(length, "longer than 1000000", extensions=http.STREAM)
    await refused(times(b"a", HEAD, pause=0.02), "in time", extensions=http.STREAM)


async def test_a_refusal_of_a_stream_is_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "DEADLINE", DEADLINE)
    head = b"HTTP/1.1 500 Sorry\r\n\r\n"
    await refused(times(b"a" * 65_536, head), "longer than 1048576", extensions=http.STREAM)
    await refused(times(b"a", head, pause=0.02), "in time", extensions=http.STREAM)


async def test_a_flood_of_small_things_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "DEADLINE", DEADLINE)
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()  # what this loop has worked meanwhile, whoever else is at work
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - began)

    for flood in (
        times(b"HTTP/1.1 100 \r\n\r\n" * 4_000, b""),
        times(b"1\r\na\r\n" * 10_000, HEAD + b"transfer-encoding: chunked\r\n\r\n"),
    ):
        watching = asyncio.create_task(watch())
        await refused(flood, "in time|too many")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert longest < 1.0, f"everybody else waited {longest:.1f} s"


async def test_a_buffer_full_of_pieces_leaves_the_others_their_turns() -> None:
    class Full(httpx2.AsyncByteStream):
        """Has every piece at hand: no wait between them."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(http.PIECES * 10):
                yield b"a"

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for _ in http._Bounded(Full(), http.STREAM_BYTES, None):
        pass
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert turns >= 10
