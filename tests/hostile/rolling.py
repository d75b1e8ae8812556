"""Rolling restarts behind Caddy: two processes restart in turn while clients write and strangers send bodies.

    12 writers             publish and revise records of their own, over one connection and over new ones
    3 anonymous senders    bodies of 70 kB to 1.5 MB without a token; one uses HTTP/2 where curl is there
    three times            SIGTERM to one process, wait, start it again, wait until it is ready and Caddy
                           has noticed; then the other

Everything goes through Caddy with the project's ``Caddyfile``. No request of a writer may fail, each body of
known length must get its refusal, and what was acknowledged must be there in the end. Refusals of bodies in
chunks are counted: a server in Go, as Caddy is, may end a connection after chunks that nobody read before
the sender has its answer, or without having announced it, which harms that sender alone.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2

from federation.postgres import server
from federation.store import schema
from tests.domain.builders import a_solution
from tests.hostile.caddy import Proxy, program, proxy
from tests.hostile.crowd import serving
from tests.nodes import a_client, a_node, free_port

WRITERS = 12
SENDERS = 3
ROUNDS = 3
ADDRESS = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
"""Of all of them, as behind one NAT: an address that is not the proxy's where the system has another."""
PAUSE_SECONDS = 0.15
"""Between two turns of a writer or sender."""
REVISIONS = 5
"""Of each record."""
TURNS_PER_TOKEN = 25
TIMEOUT_SECONDS = 60.0
SIZES = (70_000, 1_500_000)
"""Bytes of an anonymous body: those above 1 MiB are too large as well."""
REFUSALS = ("401", "413", "429")
NOTICE_SECONDS = 3.0
"""Health interval and timeout of the ``Caddyfile``: by then Caddy knows that a process is ready."""


class Writer:
    """One client, which publishes records of its own and notes what was acknowledged."""

    def __init__(self, number: int, behind: Proxy, credentials: tuple[str, str]) -> None:
        self.number = number
        self.requests = 0
        self.failures: list[str] = []
        self.slowest = 0.0
        self.attempted: dict[str, int] = {}
        """The number that was last sent, by key of the record."""
        self.acknowledged: dict[str, int] = {}
        self._behind = behind
        self._trust = behind.trust()
        self._credentials = credentials
        self._headers: dict[str, str] = {}

    async def write(self, stop: asyncio.Event) -> None:
        """Publish until it is time to stop."""
        async with self._connection() as kept:
            turn = 0
            while not stop.is_set():
                if turn % TURNS_PER_TOKEN == 0 or not self._headers:
                    await self._fetch_token()
                await self._publish(kept, 2 * turn)
                async with self._connection() as new:
                    await self._publish(new, 2 * turn + 1)
                turn += 1
                await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))

    async def compare(self) -> list[str]:
        """The records that do not have what was acknowledged, or something later that was sent."""
        wrong = []
        async with self._connection() as client:
            for key, least in self.acknowledged.items():
                answer = await client.get(f"/v1/solutions/arnia/{key}", headers=self._headers)
                name = answer.json()["content"]["name"] if answer.status_code == 200 else ""
                number = int(name.rpartition(" ")[2] or -1)
                if not least <= number <= self.attempted[key]:
                    wrong.append(f"{key}: {answer.status_code}, number {number}; {least} was acknowledged")
        return wrong

    def _connection(self) -> httpx2.AsyncClient:
        return connection(self._behind, self._trust)

    async def _fetch_token(self) -> None:
        async with self._connection() as client:
            form = {"grant_type": "client_credentials"}
            answer = await self._expect_success(
                client.post("/oauth2/token", data=form, auth=self._credentials)
            )
        if answer is not None:
            self._headers = {"authorization": f"Bearer {answer.json()['access_token']}"}

    async def _publish(self, client: httpx2.AsyncClient, number: int) -> None:
        key = f"w{self.number}-{number // REVISIONS}"
        body = {"content": a_solution(name=f"Record {number}")}
        self.attempted[key] = number
        put = client.put(f"/v1/solutions/arnia/{key}", json=body, headers=self._headers)
        if await self._expect_success(put) is not None:
            self.acknowledged[key] = number

    async def _expect_success(self, request: Awaitable[httpx2.Response]) -> httpx2.Response | None:
        self.requests += 1
        began = time.monotonic()
        try:
            answer = await request
        except httpx2.HTTPError as error:
            self._fail(f"{type(error).__name__}: {error}")
            return None
        self.slowest = max(self.slowest, time.monotonic() - began)
        if answer.is_success:
            return answer
        self._fail(f"{answer.status_code}: {answer.text[:200]}")
        return None

    def _fail(self, reason: str) -> None:
        self.failures.append(f"{time.strftime('%H:%M:%S')} writer {self.number}: {reason}")


def connection(behind: Proxy, trust: ssl.SSLContext) -> httpx2.AsyncClient:
    """A client of the node behind the proxy."""
    transport = httpx2.AsyncHTTPTransport(verify=trust, local_address=ADDRESS)
    return httpx2.AsyncClient(base_url=behind.url, transport=transport, timeout=TIMEOUT_SECONDS)


class Sender:
    """Somebody without a token, who sends large bodies; counts the answers."""

    def __init__(self, behind: Proxy, kind: str) -> None:
        self.kind = kind
        self.answers: Counter[str] = Counter()
        """By status, or by the error where none arrived."""
        self._behind = behind
        self._trust = behind.trust()
        self._kept = connection(behind, self._trust)

    @property
    def arrived(self) -> int:
        """Bodies that got the answer that they should get."""
        return sum(self.answers[status] for status in REFUSALS)

    @property
    def share(self) -> float:
        """The part of its bodies that were answered."""
        return self.arrived / max(self.answers.total(), 1)

    async def send(self, stop: asyncio.Event) -> None:
        """Send bodies until it is time to stop."""
        while not stop.is_set():
            body = b"x" * random.randrange(*SIZES)
            self.answers[await (self._by_curl(body) if self.kind == "HTTP/2" else self._by_http_1(body))] += 1
            await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))
        await self._kept.aclose()

    async def _by_http_1(self, body: bytes) -> str:
        """Over one connection; chunks over new ones, since Caddy may have ended the former."""
        if self.kind == "length":
            return await _status_of(self._kept, body)
        async with connection(self._behind, self._trust) as new:
            return await _status_of(new, in_pieces(body))

    async def _by_curl(self, body: bytes) -> str:
        process = await asyncio.create_subprocess_exec(
            "curl", "--silent", "--http2", "--cacert", str(self._behind.authority), "--interface", ADDRESS,
            "--noproxy", "*", "--max-time", str(TIMEOUT_SECONDS), "--data-binary", "@-",
            "--header", "content-type: application/json", "--output", "/dev/null",
            "--write-out", "%{http_code}", f"{self._behind.url}/v1/solutions",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        status, _ = await process.communicate(body)
        if process.returncode:
            return f"curl {process.returncode}, status {status.decode()}"
        return status.decode()


async def _status_of(client: httpx2.AsyncClient, content: bytes | AsyncIterator[bytes]) -> str:
    """The status of a refusal, or the error where none arrived."""
    try:
        answer = await client.post(
            "/v1/solutions", content=content, headers={"content-type": "application/json"}
        )
    except httpx2.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return str(answer.status_code)


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    """The body, for sending in chunks."""
    for start in range(0, len(body), 16_384):
        yield body[start : start + 16_384]


class Processes:
    """The two processes of the node; each can be restarted at its port."""

    def __init__(self, dsn: str, directory: Path, url: str) -> None:
        self.ports = free_port(), free_port()
        self._dsn, self._directory = dsn, directory
        self._settings = {"FEDERATION_URL": url, "FEDERATION_PROXIES": "127.0.0.1"}
        self._running: dict[int, AsyncExitStack] = {}

    async def start(self, port: int) -> None:
        """Start a process, and wait until it is ready."""
        stack = self._running[port] = AsyncExitStack()
        name = f"node-{port}"
        started = serving(self._dsn, self._directory, name, port=port, settings=self._settings)
        await stack.enter_async_context(started)

    async def stop(self, port: int) -> None:
        """Send SIGTERM to a process, and wait for its end."""
        await self._running.pop(port).aclose()

    async def restart(self, rounds: int) -> None:
        """Restart one process after the other, each when Caddy sends the former requests again."""
        for number in range(rounds):
            for port in self.ports:
                began = time.monotonic()
                await self.stop(port)
                stopped = time.monotonic()
                await self.start(port)
                print(
                    f"restart {number + 1} of {port}: ended after {stopped - began:.1f} s,"
                    f" ready again after {time.monotonic() - stopped:.1f} s",
                    flush=True,
                )
                await asyncio.sleep(NOTICE_SECONDS)

    async def __aenter__(self) -> Processes:
        try:
            for port in self.ports:
                await self.start(port)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*map(self.stop, list(self._running)))


async def run(rounds: int) -> tuple[list[Writer], list[Sender], list[str]]:
    """The writers and senders after so many rolling restarts, and what of the acknowledged is missing."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rolling-")))
        dsn = await stack.enter_async_context(server.running(directory / "postgresql", exclusive=True))
        await schema.migrate(dsn, "arnia")
        async with a_node("arnia", dsn) as node:
            credentials = [await a_client(node, name=f"writer{number}") for number in range(WRITERS)]
        port = free_port()
        processes = await stack.enter_async_context(Processes(dsn, directory, f"https://127.0.0.1:{port}"))
        nodes = [f"127.0.0.1:{number}" for number in processes.ports]
        behind = await stack.enter_async_context(proxy(port, nodes, directory))
        writers = [Writer(number, behind, known) for number, known in enumerate(credentials)]
        kinds = ["length", "chunks", "HTTP/2" if shutil.which("curl") else "length"]
        senders = [Sender(behind, kind) for kind in kinds[:SENDERS]]
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for writer in writers:
                tasks.create_task(writer.write(stop))
            for sender in senders:
                tasks.create_task(sender.send(stop))
            try:
                await asyncio.sleep(1)
                await processes.restart(rounds)
                await asyncio.sleep(1)
            finally:
                stop.set()
        missing = [reason for writer in writers for reason in await writer.compare()]
        if any(writer.failures for writer in writers):
            errors = [line for line in behind.log.read_text().splitlines() if '"level":"error"' in line]
            print(*errors[:5], sep="\n")
    return writers, senders, missing


async def main(rounds: int = ROUNDS) -> bool:
    """Restart under load; print the figures, and return whether every bound held. Raises CaddyMissing."""
    program()
    writers, senders, missing = await run(rounds)
    failures = [failure for writer in writers for failure in writer.failures]
    lost = [sender for sender in senders if sender.share < 1]
    for line in (
        f"{rounds} rolling restarts of two processes, {WRITERS} writers, {len(senders)} anonymous senders",
        f"  requests of valid clients: {sum(writer.requests for writer in writers)},"
        f" failed {len(failures)} (none may), slowest {max(writer.slowest for writer in writers):.2f} s",
        *(f"    {failure}" for failure in failures[:10]),
        "  anonymous bodies (each of known length must be answered):",
        *(f"    {sender.kind}: {sender.share:.1%} answered, {dict(sender.answers)}" for sender in senders),
        f"  records: {sum(len(writer.acknowledged) for writer in writers)} acknowledged,"
        f" missing or older {len(missing)} (none may be)",
        *(f"    {reason}" for reason in missing[:10]),
    ):
        print(line, flush=True)
    return not failures and not missing and all(sender.kind == "chunks" for sender in lost)
