"""The table of verdicts in the documentation is what the code says."""

from __future__ import annotations

import pytest

from federation.domain.exposure.matching import REASONS
from tests.docs import verdicts

needs_data = pytest.mark.skipif(
    not verdicts.SHARED.exists(), reason="the shared advisories are not beside the project"
)


@needs_data
def test_the_table_of_verdicts_is_what_the_code_says() -> None:
    page = verdicts.PAGE.read_text()
    assert page == verdicts.written(page), "run python -m tests.docs.verdicts"


def test_the_table_has_forty_versions_and_ten_advisories() -> None:
    rows = [line for line in verdicts.PAGE.read_text().splitlines() if line.startswith("| `")]
    table = [line for line in rows if line.count("|") == len(verdicts.ADVISORIES) + 2]
    assert len(table) == len(verdicts.VERSIONS) == 40
    assert len(verdicts.ADVISORIES) == 10
    cells = [cell.strip() for line in table for cell in line.strip("|").split("|")[1:]]
    assert {cell for cell in cells if not cell.startswith("?")} == {"**A**", "-"}
    assert {cell[2:] for cell in cells if cell.startswith("?")} <= set(REASONS)
