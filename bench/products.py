"""Peer products on the same records: Kinto on PostgreSQL, and PouchDB Server with CouchDB's protocol.

They are installed into `.bench/`, which git ignores, and are no dependencies. What cannot be installed or
started is said in the output, and the run goes on.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from bench.load import Task, loaded, request
from bench.measuring import Figure, Goal, Series
from bench.records import draft, uploads
from bench.run import Run
from bench.servers import replicating
from bench.sites import answering, ended, free_port, introduce, site, until_verified

HERE = Path(__file__).parent.parent / ".bench"
KINTO, POUCHDB = "kinto[postgresql]==26.5.0", "pouchdb-server@4.2.0"
KINTO_RECORDS, QUICK_KINTO_RECORDS = 1_000, 200
"""Kinto writes some hundred records a second."""
BATCH = 25
"""Requests of one batch that Kinto takes, unless configured otherwise."""
GOAL = Goal(least_ratio=10)

Rates = dict[str, float]
"""Records a second by what was done: write, list, replicate."""


class Missing(Exception):
    """A product cannot be had; the message says why."""


async def measure(run: Run) -> None:
    """All of this part."""
    measured: dict[str, Callable[[Run, Path], Awaitable[Rates]]] = {
        "node": _node, "Kinto on PostgreSQL": _kinto, "PouchDB Server": _pouchdb
    }  # fmt: skip
    found: dict[str, list[Rates]] = {}
    turns = 1 if run.quick else min(run.repetitions, 2)
    for turn in range(1, turns + 1):
        for name, of in measured.items():
            run.tell(f"products: {name}, turn {turn}")
            run.noise.probe()
            try:
                directory = run.directory / f"products-{turn}-{name.split()[0].lower()}"
                found.setdefault(name, []).append(await of(run, directory))
            except (Missing, OSError, AssertionError, httpx2.HTTPError, TimeoutError) as error:
                said = f"{name}: {str(error)[:300] or type(error).__name__}"
                run.tell(f"cannot be measured: {said}")
                run.missing.append(said)
                found.pop(name, None)
                measured = {other: how for other, how in measured.items() if other != name}
    if "node" not in found:
        return
    for work, told in (
        ("write", "write records, in bulk where that is offered"),
        ("list", "list records, pages of 50"),
        ("replicate", "replicate to a second instance"),
    ):
        series = [Series(name, tuple(rates[work] for rates in several)) for name, several in found.items()]
        for other in series[1:]:
            run.add(
                Figure(
                    part="products", work=f"{told}, beside {other.name}", unit="records/s", better="more",
                    node=series[0], beside=(other,), goal=GOAL,
                )
            )  # fmt: skip


async def _listed(run: Run, url: str, path: str, headers: dict[str, str]) -> float:
    """Records a second of pages of 50, asked by eight clients."""
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
    asked = request("GET", path).replace(b"\r\n\r\n", b"\r\n" + lines + b"\r\n", 1)
    report = await loaded(Task(url=url, requests=[asked] * 8, connections=8, seconds=run.seconds))
    return report.rate * 50


# The node


async def _node(run: Run, directory: Path) -> Rates:
    many = max(run.records // 10, 1_000)
    async with AsyncExitStack() as stack:
        arnia = await stack.enter_async_context(site("arnia", directory))
        megalis = await stack.enter_async_context(site("megalis", directory))
        await stack.enter_async_context(arnia.serving())
        written = many / await arnia.upload(uploads("arnia", 0, many))
        headers = {"authorization": f"Bearer {await arnia.token()}"}
        await arnia.until_at_rest()
        listed = await _listed(run, arnia.url, "/v1/deployments?limit=50", headers)
        async with megalis.serving():
            await introduce(arnia, megalis)
        await megalis.empty()
        async with arnia.looking() as there, megalis.looking() as here, megalis.serving(ready=False):
            head = await arnia.head(there)
            while not await here.fetchval("SELECT max(remote_head) FROM feeds WHERE origin = 'arnia'"):
                await asyncio.sleep(0.002)
            began = time.perf_counter()
            await until_verified(arnia, head, here)
            replicated = many / (time.perf_counter() - began)
    return {"write": written, "list": listed, "replicate": replicated}


# Kinto


async def _kinto(run: Run, directory: Path) -> Rates:
    """Two instances with a database each; replicated as its clients do it: by pages and batches."""
    home = await asyncio.to_thread(_install_kinto)
    many = QUICK_KINTO_RECORDS if run.quick else KINTO_RECORDS
    headers = {"authorization": f"Basic {base64.b64encode(b'bench:bench').decode()}"}
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(replicating(directory))
        one, two = [
            await stack.enter_async_context(_kinto_serving(home, dsn, directory.parent, f"kinto{n}"))
            for n in (1, 2)
        ]
        async with httpx2.AsyncClient(trust_env=False, timeout=120, headers=headers) as client:
            for url in (one, two):
                for path in ("/v1/buckets/bench", "/v1/buckets/bench/collections/deployments"):
                    (await client.put(f"{url}{path}")).raise_for_status()
            drafts = [draft("arnia", number) for number in range(many)]
            began = time.perf_counter()
            await _kinto_written(client, one, [{"id": one["key"].lower(), **one} for one in drafts])
            written = many / (time.perf_counter() - began)
            path = "/v1/buckets/bench/collections/deployments/records"
            listed = await _listed(run, one, f"{path}?_limit=50", headers)
            began = time.perf_counter()
            following: str | None = f"{one}{path}?_limit=1000&_sort=last_modified"
            copied = 0
            while following:
                answer = await client.get(following)
                answer.raise_for_status()
                records = answer.json()["data"]
                await _kinto_written(client, two, records)
                copied += len(records)
                following = answer.headers.get("next-page")
            assert copied == many, f"{copied} of {many} records were copied"
            replicated = many / (time.perf_counter() - began)
    return {"write": written, "list": listed, "replicate": replicated}


async def _kinto_written(client: httpx2.AsyncClient, url: str, records: list[dict[str, Any]]) -> None:
    for start in range(0, len(records), BATCH):
        requests = [
            {
                "method": "PUT",
                "path": f"/buckets/bench/collections/deployments/records/{one['id']}",
                "body": {"data": {name: value for name, value in one.items() if name != "last_modified"}},
            }
            for one in records[start : start + BATCH]
        ]
        answer = await client.post(f"{url}/v1/batch", json={"requests": requests})
        answer.raise_for_status()
        refused = [one for one in answer.json()["responses"] if one["status"] >= 400]
        assert not refused, f"Kinto refused a record: {refused[0]}"


def _install_kinto() -> Path:
    home = HERE / "kinto"
    if not (home / "installed").exists():
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", KINTO])
        (home / "installed").touch()
    return home


@asynccontextmanager
async def _kinto_serving(home: Path, dsn: str, directory: Path, name: str) -> AsyncIterator[str]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    place = dsn.partition("?")[2]
    url = f"postgresql://postgres@/{name}?{place}"
    port = free_port()
    ini = directory / f"{name}-{port}.ini"
    backends = "".join(
        f"kinto.{part}_backend = kinto.core.{part}.postgresql\nkinto.{part}_url = {url}\n"
        for part in ("storage", "cache", "permission")
    )
    settings = (
        "[app:main]\nuse = egg:kinto\nkinto.userid_hmac_secret = bench\nkinto.version_json_path = none\n"
        "multiauth.policies = basicauth\nkinto.bucket_create_principals = system.Authenticated\n"
        f"kinto.paginate_by = 1000\n{backends}"
        f"[server:main]\nuse = egg:waitress#main\nhost = 127.0.0.1\nport = {port}\nthreads = 8\n"
    )
    await asyncio.to_thread(ini.write_text, settings)
    await asyncio.to_thread(_run, [str(home / "bin/kinto"), "migrate", "--ini", str(ini)])
    log = directory / f"{name}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            str(home / "bin/kinto"), "start", "--ini", str(ini), "--port", str(port),
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        await answering(f"http://127.0.0.1:{port}/v1/", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        await ended(process)


# PouchDB Server


async def _pouchdb(run: Run, directory: Path) -> Rates:
    """Two instances on LevelDB; replicated by the protocol they have for it."""
    home = await asyncio.to_thread(_install_pouchdb)
    many = 1_000 if run.quick else 10_000
    async with (
        _pouchdb_serving(home, directory / "one") as one,
        _pouchdb_serving(home, directory / "two") as two,
        httpx2.AsyncClient(trust_env=False, timeout=600) as client,
    ):
        for url in (one, two):
            (await client.put(f"{url}/bench")).raise_for_status()
        documents = [{"_id": one["key"], **one} for one in (draft("arnia", n) for n in range(many))]
        began = time.perf_counter()
        for start in range(0, many, 1_000):
            body = {"docs": documents[start : start + 1_000]}
            (await client.post(f"{one}/bench/_bulk_docs", json=body)).raise_for_status()
        written = many / (time.perf_counter() - began)
        listed = await _listed(run, one, "/bench/_all_docs?include_docs=true&limit=50", {})
        began = time.perf_counter()
        answer = await client.post(
            f"{one}/_replicate", json={"source": f"{one}/bench", "target": f"{two}/bench"}
        )
        answer.raise_for_status()
        held = (await client.get(f"{two}/bench")).json()["doc_count"]
        assert held == many, f"{held} of {many} documents were replicated"
        replicated = many / (time.perf_counter() - began)
    return {"write": written, "list": listed, "replicate": replicated}


def _install_pouchdb() -> Path:
    home = HERE / "pouchdb"
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm is not installed")
    if not (home / "installed").exists():
        home.mkdir(parents=True, exist_ok=True)
        _run([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), POUCHDB])
        (home / "installed").touch()
    return home


@asynccontextmanager
async def _pouchdb_serving(home: Path, directory: Path) -> AsyncIterator[str]:
    await asyncio.to_thread(directory.mkdir, parents=True)
    port = free_port()
    log = directory / "log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            str(home / "node_modules/.bin/pouchdb-server"),
            "--host", "127.0.0.1", "--port", str(port), "--dir", str(directory), "--no-stdout-logs",
            cwd=directory, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        await answering(f"http://127.0.0.1:{port}/", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        await ended(process)


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or getattr(error, "stdout", None) or b""
        raise Missing(
            f"{Path(command[0]).name} {command[1]} failed: {said.decode(errors='replace')[-300:]}"
        ) from error
