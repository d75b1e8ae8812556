"""Every real file beside the project is imported with a report that is right; again, nothing changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from federation.domain.errors import Invalid
from federation.domain.sources.report import RunCounts, RunReport
from federation.domain.visibility import itself
from federation.node import imports
from federation.node.imports import FileImport
from federation.node.node import Node
from tests.domain.builders import a_solution
from tests.nodes import publish

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the shared data are not beside the project")
BY = itself("arnia")
ABOUT = {"solutions": ["arnia/any"]}
"""The solution that all advisories are taken to be about, so that each becomes an incident."""
ONE_SOLUTION = {"type": "deployments", "fixed": {"solution": "arnia/any"}}
BODIES = {"columns": {"siren": "siren", "cog": "insee", "name": "body_name"}, **ONE_SOLUTION}
PILOT = {"columns": {"siren": "siren", "cog": "insee", "name_in_source": "body_name"}, **ONE_SOLUTION}
SILL = {
    "type": "solutions",
    "values": {"status": {"R": "stable", "O": "stable", "FR": "stable", "0": "stable"}},
}
REAL: dict[str, tuple[str, Any, RunCounts]] = {
    "communes/arnia-ia-pilot-2024.csv": ("csv", PILOT, RunCounts(created=8, rejected=1)),
    "communes/beneficiaries-4-regions.csv": ("csv", BODIES, RunCounts(created=8_222)),
    "sill/sill-2019.csv": ("csv", SILL, RunCounts(created=157, rejected=4)),
    "sill/sill-2020.csv": ("csv", SILL, RunCounts(created=225)),
    "sill/sill-prod-2019.csv": ("csv", SILL, RunCounts(created=45, rejected=1)),
    "sill/sources.csv": ("csv", SILL, RunCounts(created=144, rejected=5)),
    "sill/etalab-sill-contents-sill.json": ("catalogue", None, RunCounts(created=240)),
    "sill/etalab-sill-contributors.json": ("catalogue", None, RunCounts(rejected=24)),
    "publiccode/2023-12/*.yml": ("publiccode", None, RunCounts(created=21)),
    "publiccode/2024-09/*.yml": ("publiccode", None, RunCounts(created=21)),
    "publiccode/standard/*fr*.minimal.yml": ("publiccode", None, RunCounts(created=1)),
    "publiccode/standard/*fr*publiccode.yml": ("publiccode", None, RunCounts(created=1)),
    "publiccode/standard/*standard*.minimal.yml": ("publiccode", None, RunCounts(created=1)),
    "publiccode/standard/*standard*publiccode.yml": ("publiccode", None, RunCounts(created=1)),
    "advisories/cve/*.json": ("cve", ABOUT, RunCounts(created=5)),
    "advisories/osv-pysec-selected.jsonl": ("osv", ABOUT, RunCounts(created=508)),
    "advisories/csaf/examples/csaf/*.json": ("csaf", ABOUT, RunCounts(created=6, rejected=1)),
    "advisories/csaf/examples/csaf/csaf_vex/*.json": ("csaf", ABOUT, RunCounts(created=24, unchanged=29)),
}
"""Files by a pattern, with the kind and the options of their import, and the counts of the first one.

Rejected are: a body without a number; a program that a list names twice; a word for a status that means
nothing here; organisations in place of software; a document without vulnerabilities. Unchanged are products
that a VEX document clears.
"""
LONG = ("communes/beneficiaries-4-regions.csv", "advisories/osv-pysec-selected.jsonl")
TWICE = "recommandations-collaboratives"
"""The repository of two files of 2024: the second one would revise the solution of the first."""
NO_IMPORT = {
    "README.md": "about the files",
    "communes/communes-france.csv": "the register, which the program has of its own",
    "geo/*": "maps, which the program has of its own",
    "publiccode/standard/*.rst": "the text of a standard",
    "advisories/csaf/json_schema/*": "schemas, by which exports are checked",
    "advisories/csaf/examples/provider-metadata/*": "an index: tests/domain/test_advisory_indexes.py",
    "advisories/csaf/examples/ROLIE/*": "an index: tests/domain/test_advisory_indexes.py",
    "advisories/csaf/examples/aggregator/*": "an index of indexes, which is not read",
    "publiccode/crosswalk.csv": "a table of the standard",
    "sill/etalab-sill-stats.json": "no list of software: see the last test",
}


async def import_files(node: Node, paths: Sequence[Path], kind: str, options: Any = None) -> list[RunReport]:
    """The reports of files that are uploaded on their own, with an hour between each two."""
    reports = []
    for path in paths:
        node.clock = partial(node.clock().__add__, timedelta(hours=1, seconds=1))
        file = FileImport(kind=kind, options=options)
        reports.append(await imports.import_file(node, path.read_bytes(), file, by=BY))
    return reports


def total(reports: Sequence[RunReport]) -> RunCounts:
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update({name: getattr(report.counts, name) for name in report.counts.__struct_fields__})
    return RunCounts(**counts)


def files(pattern: str) -> list[Path]:
    """The files of a pattern, without a second one of a repository."""
    paths = sorted(DATA.glob(pattern))
    assert paths, pattern
    twice = [path for path in paths if pattern.startswith("publiccode/2024") and TWICE in path.read_text()]
    return [path for path in paths if path not in twice[1:]]


@pytest.mark.parametrize(
    "pattern", [pytest.param(name, marks=pytest.mark.long) if name in LONG else name for name in REAL]
)
async def test_a_real_file_is_imported_and_again_changes_nothing(arnia: Node, pattern: str) -> None:
    kind, options, counts = REAL[pattern]
    await publish(arnia, "solution", "any", a_solution(name="Any"))
    assert total(await import_files(arnia, files(pattern), kind, options)) == counts
    again = RunCounts(unchanged=counts.created + counts.unchanged, rejected=counts.rejected)
    assert total(await import_files(arnia, files(pattern), kind, options)) == again


def test_no_real_file_is_left_out() -> None:
    paths = {path.relative_to(DATA) for path in DATA.rglob("*") if path.is_file()}
    listed = {path.relative_to(DATA) for pattern in (*REAL, *NO_IMPORT) for path in DATA.glob(pattern)}
    assert paths == listed


async def test_a_file_that_is_no_list_of_software_is_refused_with_the_reason(arnia: Node) -> None:
    raw = (DATA / "sill/etalab-sill-stats.json").read_bytes()
    with pytest.raises(Invalid, match="it is neither the SILL"):
        await imports.import_file(arnia, raw, FileImport(kind="catalogue"), by=BY)
