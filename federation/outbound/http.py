"""The one way out: the transport under every call to another node.

A client calls one origin and no other. The name is resolved here, every address it resolves to is checked,
and the connection goes to an address that was checked: that the name means something else a moment later
(DNS rebinding) changes nothing. TLS is for the name all the same.

No redirects, no proxies or certificates of the environment, no cookies, nothing compressed, and as many
bytes in as much time as were agreed. The bounds lie under the HTTP client, so that whatever uses it,
Authlib too, is held by them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import httpcore2
import httpx2

from federation.domain.messages import Message
from federation.outbound.addresses import is_never_called, is_public

CONNECT = 10.0
"""Seconds to resolve a name, to connect to one of its addresses, and for TLS: each."""
TRIED = 8
"""Addresses of a name that are tried, at most: a name must not make us knock at a thousand doors."""
MAX_SILENT_SECONDS = 30.0
"""Seconds without a byte after which an answer is given up."""
DEADLINE = 60.0
"""Seconds for a whole answer, or for the headers of a stream. The extension ``federation.wait`` of a request
adds the seconds that its answer was asked to wait for."""
SMALL_BYTES = 1_048_576
"""Bytes of an answer that is not a stream of entries, at most."""
STREAM_BYTES = 8 * 1_073_741_824
"""Bytes of a stream of entries, at most. Its reader bounds the time (``sync/peer_follower``)."""
STREAM = {"federation.stream": True}
"""Extension of a request whose answer is a stream: its reader bounds each line and the time."""
BYTES = "federation.bytes"
"""Extension of a request: the bytes that its answer may have at most, in place of ``SMALL_BYTES``."""
PIECES = 256
"""Pieces of an answer that are read before others have their turn."""
PIECE_BYTES = 512
"""Bytes that a piece counts for, at least: a million chunks of one byte cost 13 s of a core."""

# The headers of an answer are bounded by httpcore2: h11 gives up an incomplete event beyond 100 KiB (read by
# 64 KiB, so at most 164 KiB). Informational answers, chunk extensions and trailers count for no body; each is
# held to the same size, and all of them together to the deadline.

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


_LOOPBACK = ("127.0.0.1", "::1")

# A thread waits in the C library for each name. Slow names may use up these, not the threads of others.
_threads = ThreadPoolExecutor(16, thread_name_prefix="resolve")

Resolve = Callable[[str, int], Awaitable[list[str]]]


class TransferFailed(httpx2.TransportError):
    """The call is not made, or its answer not read any further; the message tells an administrator why."""

    outage = False
    """True where nobody answered; else the call or the answer is refused here."""

    def __init__(self, template: str, **values: Any) -> None:
        self.message = Message(template, values)
        super().__init__(str(self.message))


class NoAnswer(TransferFailed):
    """Nobody answered, or not in time."""

    outage = True


@cache
def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    """The authorities of the system, and those of a file. Once in a process: it takes 25 ms and 0.9 MB."""
    context = httpx2.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


_ca_file: Path | None = None


def trust_authorities(ca_file: Path | None) -> None:
    """Accept certificates of the authorities in this file (PEM), too, in every client made from now on.

    The file was checked with the settings (``settings.environment.read``).
    """
    global _ca_file
    _ca_file = ca_file


def settings(base: str, *, private: bool) -> dict[str, Any]:
    """The settings of every HTTP client of this node, for the origin of ``base`` alone.

    Raises TransferFailed where that is none. With ``private``, also at addresses that not everybody can call.
    """
    return {
        "transport": Outbound(base, private=private),
        "follow_redirects": False,
        "trust_env": False,
        "timeout": httpx2.Timeout(MAX_SILENT_SECONDS, connect=CONNECT),
        "headers": {"accept-encoding": "identity"},
    }


def origin_of(url: str | httpx2.URL) -> tuple[str, str, int]:
    """Scheme, host (in ASCII) and port that a URL calls. Raises TransferFailed.

    It is read by the HTTP client's own parser, so that what is checked is what is called. What two readers
    may understand differently is refused; unusual spellings of an address are left to the resolver, whose
    answer is checked.
    """
    try:
        parts = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise TransferFailed("the URL cannot be read: {reason}", reason=str(error)[:200]) from None
    host = parts.raw_host.decode("ascii")
    port = _PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    if parts.scheme not in _PORTS:
        raise TransferFailed("the URL of {host} is neither https nor http", host=host or Message("no host"))
    if parts.userinfo:
        raise TransferFailed("the URL of {host} has a user name in it", host=host)
    if not (_NAME.fullmatch(host) or (":" in host and "%" not in host)) or not 0 < port < 65_536:
        raise TransferFailed(
            "{host}, port {port}, is not where a node can be", host=host or Message("no host"), port=port
        )
    return parts.scheme, host, port


async def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a name in the resolver's order, with the zone of those that have one.

    Names under ``localhost`` are this machine, and no server is asked for them (RFC 6761, 6.3).
    """
    if host.endswith(".localhost"):
        return list(_LOOPBACK)
    infos: list[Any] = await asyncio.get_running_loop().run_in_executor(
        _threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )
    places = [place for *_, place in infos]
    return list(dict.fromkeys(f"{p[0]}%{p[3]}" if len(p) == 4 and p[3] else p[0] for p in places))


class CheckedTransport(httpcore2.AsyncNetworkBackend):
    """Connects to a name: to the addresses that were checked, by address."""

    def __init__(self, resolve: Resolve, network: httpcore2.AsyncNetworkBackend, *, private: bool) -> None:
        self._resolve, self._network, self._private = resolve, network, private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError:
            raise NoAnswer("{host} was not resolved in time", host=host) from None
        except (OSError, ValueError) as error:
            raise NoAnswer("{host} cannot be resolved: {reason}", host=host, reason=str(error)) from None
        for address in addresses:
            self._check(host, address)
        tried = []
        for address in addresses[:TRIED]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectTimeout:
                tried.append(f"{address} (silent)")
            except httpcore2.ConnectError:
                tried.append(f"{address} (refused or unreachable)")
        raise NoAnswer(
            "{host} takes no connection to port {port} at {addresses}",
            host=host, port=port, addresses=", ".join(tried) or Message("any address"),
        )  # fmt: skip

    def _check(self, host: str, address: str) -> None:
        """Raises TransferFailed. One bad address refuses the name: chance would decide which one is used."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            raise TransferFailed(
                "{host} resolves to {address}, which is not an address", host=host, address=address
            ) from None
        if is_never_called(parsed):
            raise TransferFailed(
                "{host} resolves to {address}, where no node is ever called", host=host, address=address
            )
        if not self._private and not is_public(parsed):
            raise TransferFailed(
                "{host} resolves to {address}, which is not a public address; "
                "allow it with --private when you trust it",
                host=host,
                address=address,
            )


class Outbound(httpx2.AsyncHTTPTransport):
    """Sends requests to one origin and bounds their answers."""

    def __init__(
        self,
        base: str,
        *,
        private: bool,
        resolve: Resolve = addresses_of,
        network: httpcore2.AsyncNetworkBackend | None = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._origin = origin_of(base)
        trust = None
        if self._origin[0] == "https":
            trust = verify or _trusted(_ca_file)
            trust.hostname_checks_common_name = False  # RFC 9525: a subject is no host name
        # Not the parent's __init__: it has no parameter for the network.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=trust,
            max_connections=10,
            keepalive_expiry=5.0,
            network_backend=CheckedTransport(resolve, network or httpcore2.AnyIOBackend(), private=private),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        scheme, host, port = origin_of(request.url)
        if (scheme, host, port) != self._origin:
            raise TransferFailed(
                "{url} is not called: it is not where the peer is registered", url=f"{scheme}://{host}:{port}"
            )
        ends = asyncio.get_running_loop().time() + DEADLINE + request.extensions.get("federation.wait", 0.0)
        try:
            async with asyncio.timeout_at(ends):
                response = await super().handle_async_request(request)
        except TimeoutError:
            raise NoAnswer("{host} did not answer in time", host=host) from None
        # The client would keep them, and send them back, as many as the peer can think of.
        response.headers.pop("set-cookie", None)
        streams = response.status_code == 200 and request.extensions.get("federation.stream")
        limit = STREAM_BYTES if streams else int(request.extensions.get(BYTES, SMALL_BYTES))
        try:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise TransferFailed("the answer is compressed, which was not asked for")
            length = response.headers.get("content-length", "0")
            if length.isdigit() and int(length) > limit:
                raise TransferFailed("the answer is longer than {maximum} bytes", maximum=limit)
        except TransferFailed:
            await response.aclose()
            raise
        # The client reads the body from this stream, whole or in pieces.
        response.stream = _Bounded(response.stream, limit, None if streams else ends)
        return response


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, limit: int, ends: float | None) -> None:
        self._stream, self._limit, self._ends = stream, limit, ends

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        pieces = 0
        body = aiter(self._stream)
        while True:
            try:
                # Around each piece and not around the whole: what reads us must not be cancelled by it.
                async with asyncio.timeout_at(self._ends):
                    piece = await anext(body, None)
            except TimeoutError:
                raise NoAnswer("the answer did not come to its end in time") from None
            if piece is None:
                return
            size += len(piece)
            if size > self._limit:
                raise TransferFailed("the answer is longer than {maximum} bytes", maximum=self._limit)
            pieces += 1
            if pieces * PIECE_BYTES > self._limit:
                raise TransferFailed("the answer comes in too many small pieces")
            if pieces % PIECES == 0:
                # A buffer full of the smallest pieces is read without one wait: let others have a turn.
                await asyncio.sleep(0)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
