"""Catalogues as sources: from a list of repositories, a file, or pages of a catalogue to solutions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.query import Query
from federation.domain.sources.report import RunCounts
from federation.domain.sources.source import SourceSettings
from federation.domain.visibility import itself
from federation.node import imports, records, source_runs, sources
from federation.node.imports import FileImport
from federation.node.node import Node
from tests.domain.test_software_catalogues import PUBLICCODE_YML, as_json, page, software

BY = itself("arnia")
DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared data are not beside the project")


class Files:
    """A web server of this machine with files by path."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.url = ""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).decode().split()[1]
        self.asked.append(path)
        body = self.files.get(path)
        status = 404 if body is None else 200
        body = body or b""
        head = f'HTTP/1.1 {status} X\r\netag: "1"\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n'
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Files]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


@pytest.fixture
async def web() -> AsyncIterator[Files]:
    async with Files().running() as files:
        yield files


async def add(node: Node, kind: str, url: str) -> None:
    await sources.add(node, SourceSettings(name="shelf", kind=kind, url=url, every=600, private=True), by=BY)


async def run(node: Node) -> Any:
    return await source_runs.run_now(node, "shelf", by=BY)


async def solutions(node: Node) -> dict[str, Any]:
    documents, _, _ = await records.collect(node, Query(kind=Solution, limit=500), by=BY)
    decoded = map(msgspec.json.decode, documents)
    return {document["key"]: document for document in decoded}


async def test_a_list_of_a_forge_becomes_solutions_and_again_when_a_file_has_changed(
    arnia: Node, web: Files
) -> None:
    names = [f"{web.url}/g/p{n}/-/raw/main/publiccode.yml" for n in range(3)]
    web.files["/list"] = as_json(names)
    for n in range(2):
        web.files[f"/g/p{n}/-/raw/main/publiccode.yml"] = PUBLICCODE_YML.format(n=n).encode()
    await add(arnia, "publiccode", f"{web.url}/list")
    report = await run(arnia)
    assert (report.outcome, report.counts) == ("done", RunCounts(created=2, rejected=1))
    assert set(await solutions(arnia)) == {"github.com~example~medusa0", "github.com~example~medusa1"}
    web.files["/g/p2/-/raw/main/publiccode.yml"] = PUBLICCODE_YML.format(n=2).encode()
    web.files["/g/p1/-/raw/main/publiccode.yml"] = (
        PUBLICCODE_YML.format(n=1).replace("A short", "Another").encode()
    )
    report = await run(arnia)
    assert report.counts == RunCounts(created=1, revised=1, unchanged=1)
    report = await run(arnia)
    assert report.counts == RunCounts(unchanged=3)
    assert len(web.asked) == 12


async def test_a_single_publiccode_yml_is_a_source_too(arnia: Node, web: Files) -> None:
    web.files["/publiccode.yml"] = PUBLICCODE_YML.format(n=1).encode()
    await add(arnia, "publiccode", f"{web.url}/publiccode.yml")
    report = await run(arnia)
    assert report.counts == RunCounts(created=1)
    assert web.asked == ["/publiccode.yml"]
    web.files["/publiccode.yml"] = b"services: {}\n"
    report = await run(arnia)
    assert (report.outcome, report.reason) == (
        "failed",
        "it is no publiccode.yml: publiccodeYmlVersion is missing",
    )


async def test_pages_of_a_catalogue_are_followed_at_its_own_address_alone(arnia: Node, web: Files) -> None:
    web.files["/v1/software"] = page(
        *map(software, range(3)), following="https://evil.example.org/?page[after]=1"
    )
    web.files["/v1/software?page%5Bafter%5D=1"] = page(*map(software, range(3, 5)))
    await add(arnia, "catalogue", f"{web.url}/v1/software")
    report = await run(arnia)
    assert report.counts == RunCounts(created=5)
    assert web.asked == ["/v1/software", "/v1/software?page%5Bafter%5D=1"]


async def test_a_page_that_is_missing_makes_nothing_disappear(arnia: Node, web: Files) -> None:
    web.files["/v1/software"] = page(software(1), following="?page[after]=1")
    web.files["/v1/software?page%5Bafter%5D=1"] = page(software(2))
    await add(arnia, "catalogue", f"{web.url}/v1/software")
    assert (await run(arnia)).counts == RunCounts(created=2)
    del web.files["/v1/software?page%5Bafter%5D=1"]
    assert (await run(arnia)).counts == RunCounts(unchanged=1, rejected=1)


@needs_data
async def test_the_sill_of_2022_is_imported_as_240_solutions_and_again_changes_nothing(arnia: Node) -> None:
    raw = (DATA / "sill" / "etalab-sill-contents-sill.json").read_bytes()
    first = await imports.import_file(arnia, raw, FileImport(kind="catalogue"), by=BY)
    assert first.counts == RunCounts(created=240)
    stored = (await solutions(arnia))["sill-1"]
    assert stored["content"]["name"] == "7zip"
    assert "https://comptoir-du-libre.org/fr/softwares/72" in stored["same_as"]
    again = await imports.import_file(arnia, raw, FileImport(kind="catalogue"), by=BY)
    assert again.counts == RunCounts(unchanged=240)


@needs_data
async def test_real_publiccode_files_are_imported_one_by_one(arnia: Node) -> None:
    files = sorted((DATA / "publiccode" / "2024-09").glob("*.yml"))
    created = 0
    for path in files:
        report = await imports.import_file(arnia, path.read_bytes(), FileImport(kind="publiccode"), by=BY)
        assert report.counts.rejected == 0, path.name
        created += report.counts.created
    assert (created, len(files)) == (21, 22)  # two files are of one repository
    assert json.dumps(await solutions(arnia)).count("Personne") == 0
