"""The table of verdicts in ``docs/why/verdicts.md``: real versions against real advisories.

``python -m tests.docs.verdicts`` writes it anew. It reads the shared advisories beside the project, or those
in the directory that is given.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from federation.domain.content.incident import Affected
from federation.domain.exposure.matching import match_version
from federation.domain.formats.advisory import Product
from federation.domain.formats.catalogue import Found
from federation.domain.formats.incident import incident_of
from federation.domain.formats.readers import READERS
from tests.docs.blocks import DOCS, ROOT, table

PAGE = DOCS / "why" / "verdicts.md"
SHARED = ROOT.parent / "shared" / "data" / "advisories"
OSV = "osv-pysec-selected.jsonl"
SOLUTION = "arnia/software"

ADVISORIES: tuple[tuple[str, str, str, str], ...] = (
    ("cve", "cve/CVE-2025-24799.json", "CVE-2025-24799", "glpi"),
    ("cve", "cve/CVE-2023-28849.json", "CVE-2023-28849", "glpi"),
    ("cve", "cve/CVE-2025-24893.json", "CVE-2025-24893", "xwiki"),
    ("cve", "cve/CVE-2025-1094.json", "CVE-2025-1094", "postgresql"),
    ("cve", "cve/CVE-2024-37313.json", "CVE-2024-37313", "nextcloud"),
    ("osv", OSV, "PYSEC-2023-61", "django"),
    ("osv", OSV, "PYSEC-2017-58", "plone"),
    ("osv", OSV, "PYSEC-2020-87", "plone"),
    ("csaf", "csaf/examples/csaf/bsi-2022-0001.json", "BSI-2022-0001", "cvrf-csaf-converter"),
    ("csaf", "csaf/examples/csaf/cisco-sa-20180328-smi2.json", "cisco-sa-20180328-smi2", "ios xe software"),
)
"""Format, file, id, and a part of the name of the product that is asked about."""
VERSIONS = (
    "10.0.6", "10.0.7", "10.0.17", "10.0.18", "v10.0.17", "10.0.18-rc1", "10.0.17-2", "10.0", "10.0.x",
    "9.5.13",
    "5.3-milestone-2", "15.10.8", "15.10.11", "16.0.0-rc-1", "16.4.0", "16.4.1",
    "13.18", "14.15", "16.6-1.pgdg120+1", "17.2", "17.3", "15",
    "26.0.13", "27.1.7", "27.1.8.1", "28.x",
    "3.2.18", "3.2.19", "3.2b1", "4.2rc1", "4.2",
    "4.3.11", "5.0.6", "5.2.1",
    "1.0.0-rc1", "1.0.0-rc2", "3.6.5E", "16.6.4",
    "Distribution", "2024-05-14",
)  # fmt: skip
"""Versions as deployments name them, none of them said to be exact."""
_BLOCK = re.compile(r"(<!-- from the shared advisories -->\n).*?(<!-- end -->)", re.DOTALL)


def verdicts(advisories: Path = SHARED) -> str:
    """The table: A is affected, - is not affected, and ? is unknown with the reason."""
    columns = [list(_entries(advisories, *advisory)) for advisory in ADVISORIES]

    def rows() -> Iterator[tuple[str, ...]]:
        for version in VERSIONS:
            yield f"`{version}`", *(_cell(column, version) for column in columns)

    head = ("version", *(f"{product.partition(' ')[0]} {id_}" for _, _, id_, product in ADVISORIES))
    return table(head, rows())


def _cell(entries: list[Affected], version: str) -> str:
    match = match_version(entries, SOLUTION, version, None)
    assert match is not None
    return {"affected": "**A**", "not_affected": "-", "unknown": f"? {match.reason}"}[match.verdict]


def _entries(advisories: Path, form: str, file: str, id_: str, part: str) -> Iterator[Affected]:
    raw = (advisories / file).read_bytes()
    if file == OSV:
        raw = next(line for line in raw.splitlines() if msgspec.json.decode(line)["id"] == id_)

    def find(product: Product) -> list[Found]:
        return [Found(SOLUTION)] if any(part in name for name in product.names) else []

    for finding in READERS[form](raw):
        incident = incident_of(finding, find, raw)
        if incident is not None:
            for entry in incident.content["affects"]:
                yield msgspec.convert(entry, Affected)


def written(page: str, advisories: Path = SHARED) -> str:
    """The page with its table as the code has it now."""
    return _BLOCK.sub(lambda found: f"{found[1]}{verdicts(advisories)}\n{found[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED))
