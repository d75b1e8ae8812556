"""Spreadsheets become records of a fresh node without a line of JSON, and the same file changes nothing."""

from __future__ import annotations

from pathlib import Path

from federation.domain.content.deployment import Deployment
from federation.domain.query import Query
from federation.domain.sources.source import SourceSettings
from federation.domain.visibility import itself
from federation.node import imports, records, sources
from federation.node.imports import FileImport
from federation.node.node import Node
from tests.domain.builders import a_deployment
from tests.exposure.commands import said, told
from tests.formats import made_sheets
from tests.formats.made_sheets import csv_of, deployments_csv, ods_of, xlsx_of
from tests.nodes import publish


async def test_a_fresh_node_has_500_deployments_from_a_file_of_windows_1252(
    arnia: Node, dsn: str, tmp_path: Path
) -> None:
    solutions, deployments = tmp_path / "solutions.csv", tmp_path / "parc.csv"
    solutions.write_bytes(csv_of(made_sheets.SOLUTIONS, encoding="cp1252", separator=";"))
    deployments.write_bytes(deployments_csv(500))
    assert "4 created" in await said(dsn, "import", str(solutions), "--as", "csv")
    assert "dry run: 500 created" in await said(dsn, "import", str(deployments), "--as", "csv", "--dry-run")
    assert "500 created" in await said(dsn, "import", str(deployments), "--as", "csv")
    again = await told(dsn, "import", str(deployments), "--as", "csv")
    assert (again["counts"]["unchanged"], again["counts"]["rejected"]) == (500, 0)


async def test_faults_of_lines_are_reported_in_both_languages(
    arnia: Node,
) -> None:
    by = itself("arnia")
    await imports.import_file(arnia, xlsx_of(made_sheets.SOLUTIONS), FileImport(kind="xlsx"), by=by)
    raw = deployments_csv(4, faults=True)
    report = await imports.import_file(arnia, raw, FileImport(kind="csv"), by=by)
    assert (report.counts.created, report.counts.rejected) == (4, 10)
    lines = [line for line in report.lines if line.outcome == "rejected"]
    assert lines[-1].place == "line 8"
    assert lines[-1].reasons == ("column Version: the cell has the error #REF! of a formula (version)",)
    assert lines[-1].reasons_fr == ("colonne Version : la cellule a l'erreur de formule #REF! (version)",)


async def test_offers_are_read_from_ods(arnia: Node) -> None:
    by = itself("arnia")
    await imports.import_file(arnia, ods_of(made_sheets.SOLUTIONS), FileImport(kind="ods"), by=by)
    report = await imports.import_file(arnia, ods_of(made_sheets.OFFERS), FileImport(kind="ods"), by=by)
    assert (report.counts.created, report.counts.rejected) == (3, 0)


async def test_glpi_moves_the_version_of_a_deployment_that_exists(arnia: Node) -> None:
    by = itself("arnia")
    await publish(arnia, "deployment", "parc", a_deployment())
    new = SourceSettings(name="glpi", kind="glpi", options={"deployments": {"GLPI": "parc"}})
    await sources.add(arnia, new, by=by)
    for version in ("10.0.6", "10.0.9"):
        table = (
            made_sheets.GLPI[0],
            ("GLPI", "Racine", "", version, "1", ""),
            ("Autre", "", "", "1", "1", ""),
        )
        raw = csv_of(table, encoding="utf-8", separator=";")
        report = await imports.import_file(arnia, raw, FileImport(source="glpi"), by=by)
        assert (report.counts.revised, report.counts.rejected) == (1, 0), report.lines
    documents, _, _ = await records.collect(arnia, Query(kind=Deployment), by=by)
    assert b'"version":"10.0.9"' in documents[0]
