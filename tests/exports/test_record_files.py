"""``federation export`` and ``federation import-records``: all records of an operator, as files and back."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from federation.api.examples import DRAFTS
from federation.domain.canonical import MAX_DEPTH
from federation.domain.errors import Invalid, Refused
from federation.domain.record_files import Renaming, read_manifest
from federation.domain.registry import TYPES
from federation.domain.visibility import itself
from federation.node import own_records, records
from federation.node.node import Node
from tests.conftest import Databases, emptied
from tests.domain.builders import a_deployment, a_document, a_group, a_solution, nested
from tests.exposure.commands import ran, said, told
from tests.nodes import publish


async def publish_each(node: Node) -> None:
    """Records of the types that operators write, of every label."""
    await publish(node, "group", "security", a_group(), tlp="RED")
    await publish(
        node, "solution", "glpi", a_solution(summary={"fr": "Gestion de parc « été »"}), tlp="CLEAR"
    )
    await publish(node, "deployment", "dijon", a_deployment(), tlp="GREEN")
    await publish(node, "deployment", "private", a_deployment(), tlp="RED")
    await publish(node, "solution", "hidden", a_solution(name="Coffre"), tlp="AMBER", audience="security")
    for type_name in ("practice", "offer", "meeting", "incident", "statement"):
        draft: dict[str, Any] = DRAFTS[type_name]
        envelope = {name: value for name, value in draft.items() if name != "content"}
        await publish(node, type_name, f"a-{type_name}", draft["content"], **envelope)


async def everything(node: Node) -> dict[str, Any]:
    """Label, audience and content of each own record, by type and key."""
    found: dict[str, Any] = {}
    for kind in TYPES.values():
        documents, _ = await own_records.page(node, kind, None)
        for document in map(json.loads, documents):
            found[f"{kind.type} {document['key']}"] = {
                name: document.get(name) for name in ("tlp", "audience", "same_as", "content")
            }
    return found


async def test_an_export_is_imported_with_the_same_content_and_again_changes_nothing(
    arnia: Node, dsn: str, tmp_path: Path
) -> None:
    await publish_each(arnia)
    before = await everything(arnia)
    directory = tmp_path / "export"
    manifest = await told(dsn, "export", "--output", str(directory))
    assert sum(file["records"] for file in manifest["files"]) == len(before) == 10
    for file in manifest["files"]:
        raw = (directory / file["name"]).read_bytes()
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (file["bytes"], file["sha256"])
        assert (directory / file["name"]).stat().st_mode & 0o077 == 0
    line = (directory / "solutions.ndjson").read_bytes().splitlines()[0]
    stored = await records.find(arnia, TYPES["solution"], "arnia", "glpi", by=itself("arnia"))
    assert line == stored.document
    assert (await ran(dsn, "export", "--output", str(directory)))[0] == 1

    await emptied(dsn)
    assert await everything(arnia) == {}
    would = await told(dsn, "import-records", str(directory), "--dry-run")
    assert would["summary"] == counts(published=10)
    assert await everything(arnia) == {}
    assert (await told(dsn, "import-records", str(directory)))["summary"] == counts(published=10)
    assert await everything(arnia) == before
    for options in ((), ("--dry-run",)):
        assert (await told(dsn, "import-records", str(directory), *options))["summary"] == counts(
            unchanged=10
        )


def counts(**numbers: int) -> dict[str, int]:
    return {"published": 0, "revised": 0, "unchanged": 0, "skipped": 0, "refused": 0, **numbers}


async def test_what_was_changed_here_after_the_export_stays(arnia: Node, dsn: str, tmp_path: Path) -> None:
    for key in ("same", "changed", "retracted"):
        await publish(arnia, "solution", key, a_solution())
    await told(dsn, "export", "--output", str(tmp_path / "e"))
    await publish(arnia, "solution", "changed", a_solution(name="Newer"))
    await records.retract(arnia, TYPES["solution"], "arnia", "retracted", by=itself("arnia"))
    for options in (("--dry-run",), ()):
        report = await told(dsn, "import-records", str(tmp_path / "e"), *options)
        assert report["summary"] == counts(unchanged=1, skipped=2)
        assert [line["key"] for line in report["left_out"]] == ["changed", "retracted"]
        assert all("after the export" in line["reason"] for line in report["left_out"])
    assert (await everything(arnia))["solution changed"]["content"]["name"] == "Newer"


async def test_nothing_is_imported_of_an_export_that_was_changed(
    arnia: Node, dsn: str, tmp_path: Path
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    await publish(arnia, "deployment", "dijon", a_deployment())
    await told(dsn, "export", "--output", str(tmp_path / "e"))
    await emptied(dsn)
    file = tmp_path / "e" / "deployments.ndjson"
    whole = file.read_bytes()
    for raw in (whole.replace(b"412", b"413"), whole[:-10], b""):
        file.write_bytes(raw)
        status, text = await ran(dsn, "import-records", str(tmp_path / "e"))
        assert status == 1
        assert "changed or cut off; nothing was imported" in text
        assert await everything(arnia) == {}
    file.unlink()
    assert "cannot be read" in (await ran(dsn, "import-records", str(tmp_path / "e")))[1]
    manifest = tmp_path / "e" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("deployments.ndjson", "../deployments.ndjson"))
    assert "no name of a file" in (await ran(dsn, "import-records", str(tmp_path / "e")))[1]
    manifest.unlink()
    assert "was not finished" in (await ran(dsn, "import-records", str(tmp_path / "e")))[1]


def test_changed_bytes_are_refused_and_nothing_else_happens() -> None:
    chance = random.Random(1)
    at = "2026-03-01T08:00:00Z"
    record: dict[str, Any] = {
        "type": "solution",
        "origin": "arnia",
        "key": "glpi",
        "revision": 1,
        "tlp": "GREEN",
    }
    record |= {"created_at": at, "updated_at": at, "content": a_solution()}
    line = json.dumps(record).encode()
    file = {"name": "solutions.ndjson", "type": "solution", "records": 1, "bytes": 9, "sha256": "0" * 64}
    whole: dict[str, Any] = {
        "format": "federation-records-1",
        "operator": "arnia",
        "name": "A",
        "url": "https://a.test",
    }
    whole |= {"program": "0", "began_at": at, "ended_at": at, "files": [file]}
    manifest = json.dumps(whole).encode()
    assert own_records.read_copy(line, TYPES["solution"], "arnia", None).key == "glpi"
    assert read_manifest(manifest).files[0].records == 1
    outcomes = Counter[str]()
    for _ in range(400):
        for raw, read in (
            (line, lambda raw: own_records.read_copy(raw, TYPES["solution"], "arnia", None)),
            (manifest, read_manifest),
        ):
            changed = bytearray(raw)
            for _ in range(chance.randrange(1, 6)):
                changed[chance.randrange(len(changed))] = chance.choice(b'{}[]":,\\\x00\xff0e-')
            try:
                read(bytes(changed))
                outcomes["read"] += 1
            except Refused:
                outcomes["refused"] += 1
    assert outcomes["refused"] > 400
    assert outcomes["read"] > 0


def test_a_record_of_an_export_that_is_nested_too_deep_is_refused() -> None:
    renaming = Renaming("megalis", "arnia", frozenset({"glpi"}))
    kind = TYPES["solution"]
    line = json.dumps(a_document(content={"a": "megalis/glpi"})).encode()
    copy = own_records.read_copy(line, kind, "megalis", renaming)
    assert copy.draft["content"] == {"a": "arnia/glpi"}
    for depth in (MAX_DEPTH, 900, 100_000):
        with pytest.raises(Invalid, match="nested deeper than 32 levels"):
            own_records.read_copy(line.replace(b'"megalis/glpi"', nested(depth)), kind, "megalis", renaming)


async def test_the_export_of_another_operator_is_taken_over_only_when_asked_for(
    arnia: Node, megalis: Node, databases: Databases, dsn: str, tmp_path: Path
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    await publish(arnia, "deployment", "dijon", a_deployment())
    await publish(arnia, "deployment", "lyon", a_deployment(solution="arnia/elsewhere"))
    await told(dsn, "export", "--output", str(tmp_path / "e"))
    other = await databases("megalis")
    status, text = await ran(other, "import-records", str(tmp_path / "e"), OPERATOR="megalis")
    assert (status, "add --from arnia" in text) == (1, True)
    status, text = await ran(
        other, "import-records", str(tmp_path / "e"), "--from", "recia", OPERATOR="megalis"
    )
    assert (status, "not of recia" in text) == (1, True)
    assert await everything(megalis) == {}
    await said(other, "import-records", str(tmp_path / "e"), "--from", "arnia", OPERATOR="megalis")
    found = await everything(megalis)
    assert found["deployment dijon"]["content"]["solution"] == "megalis/glpi"
    assert found["deployment lyon"]["content"]["solution"] == "arnia/elsewhere"


async def test_an_interrupted_export_goes_on_where_it_was(
    arnia: Node, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        await publish(arnia, "solution", f"s{number}", a_solution())
    monkeypatch.setattr(own_records, "PAGE_RECORDS", 2)
    await told(dsn, "export", "--output", str(tmp_path / "whole"))
    pages = own_records.page
    read: list[tuple[str, str | None]] = []

    async def stopping(node: Node, kind: Any, after: str | None) -> Any:
        read.append((kind.type, after))
        if kind.type == "solution" and len([name for name, _ in read if name == "solution"]) == 3:
            raise KeyboardInterrupt
        return await pages(node, kind, after)

    monkeypatch.setattr(own_records, "page", stopping)
    assert (await ran(dsn, "export", "--output", str(tmp_path / "parts")))[0] == 130
    assert not (tmp_path / "parts" / "manifest.json").exists()
    with (tmp_path / "parts" / "solutions.ndjson").open("ab") as file:
        file.write(b'{"half of a line')
    read.clear()
    monkeypatch.setattr(own_records, "page", pages)
    await told(dsn, "export", "--output", str(tmp_path / "parts"))
    for whole in (tmp_path / "whole").iterdir():
        if whole.suffix == ".ndjson":
            assert (tmp_path / "parts" / whole.name).read_bytes() == whole.read_bytes()
    assert sorted(file.name for file in (tmp_path / "parts").iterdir()) == sorted(
        file.name for file in (tmp_path / "whole").iterdir()
    )
