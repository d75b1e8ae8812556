"""Catalogues of software for the fuzz of readers: real files where they are beside the project."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.formats.comptoir import read_comptoir
from federation.domain.formats.licences import read_licence
from federation.domain.formats.open_catalog import read_open_catalog
from federation.domain.formats.publiccode import read_publiccode
from federation.domain.formats.repository_list import read_repository_list
from federation.domain.formats.sill import read_sill
from federation.domain.formats.software_catalogues import read_catalogue
from federation.domain.formats.yaml_reading import read_yaml
from federation.domain.sources.reading import Reading
from tests.domain.test_software_catalogues import LISTS, PUBLICCODE_YML, SOFTWARE, V1, V2, page, software
from tests.fuzz.reader_inputs import Reader

DATA = Path(__file__).parents[3] / "shared" / "data"
ANCHORS = b"a: &a {b: [c, d]}\ne: *a\nf:\n  <<: *a\n  g: |\n    text\n"
DRAFT: Any = Draft[Solution]


def sound(reading: Reading) -> Reading:
    """The reading, each of whose items must be a draft of a solution."""
    for item in reading.items:
        try:
            check_draft(item.members, DRAFT)
        except Exception as error:
            raise AssertionError(f"{item.place} is no solution: {error}") from error
    return reading


def _publiccode() -> Sequence[bytes]:
    files = [path.read_bytes() for path in sorted(DATA.glob("publiccode/*/*.yml"))]
    return [*files, PUBLICCODE_YML.format(n=1).encode(), ANCHORS]


def _sill() -> Sequence[bytes]:
    """Five entries of the real file each, and one of both versions of the API."""
    files = [json.dumps([V1, V2]).encode()]
    for path in DATA.glob("sill/etalab-sill-contents-sill.json"):
        entries = json.loads(path.read_bytes())
        files += [json.dumps(entries[at : at + 5], ensure_ascii=False).encode() for at in range(0, 50, 5)]
    return files


def _comptoir() -> Sequence[bytes]:
    return [json.dumps({"number_of_software": 1, "softwares": [SOFTWARE]}).encode()]


def _open_catalog() -> Sequence[bytes]:
    return [page(software(1), software(2), following="?page[after]=x"), page(software(3, active=False))]


READERS = (
    Reader("yaml", read_yaml, _publiccode),
    Reader("publiccode", lambda raw: sound(read_publiccode(raw)), _publiccode),
    Reader("repositories", read_repository_list, lambda: LISTS),
    Reader("sill", lambda raw: sound(read_sill(raw)), _sill),
    Reader("comptoir", lambda raw: sound(read_comptoir(raw)), _comptoir),
    Reader("open-catalog", lambda raw: sound(read_open_catalog(raw).reading), _open_catalog),
    Reader(
        "catalogue",
        lambda raw: sound(read_catalogue(raw).reading),
        lambda: [*_sill(), *_comptoir(), *_open_catalog()],
    ),
    Reader(
        "licence",
        lambda raw: read_licence.__wrapped__(raw.decode(errors="replace")),
        lambda: [b"GPL-2.0-only / LGPL-2.0-only", b"MPL 2.0 et EPL 1.0", b"(MIT OR Apache-2.0) AND GPLv3+"],
    ),
)
