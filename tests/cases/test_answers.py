"""An answer clears only what it speaks of: statements on one CVE, and incidents that are about several."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from federation.domain.content.incident import Incident
from federation.domain.content.statement import Statement
from federation.domain.exposure.buckets import Bucket, StatementRecord
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.totals import OperatorTotals, totals_by_operator
from tests.domain.builders import a_statement, an_incident

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
FIRST, SECOND = "CVE-2099-7501", "CVE-2099-7502"
JUSTIFIED: dict[str, Any] = {"status": "known_not_affected", "justification": "component_not_present"}


def about(*aliases: str, id_: str = "arnia/x", **members: Any) -> IncidentRecord:
    content = an_incident(kind="vulnerability", aliases=list(aliases), **members)
    return IncidentRecord(id_, "", "", msgspec.convert(content, Incident))


def answered(own: tuple[str, ...], other: tuple[str, ...]) -> set[str]:
    """The vulnerabilities of an incident that a statement on another one answers, by their aliases."""
    return set(about(*own).answered_by(about(*other, id_="megalis/y")))


@pytest.mark.case("a09", "An answer to one CVE answers no other")
def test_an_incident_is_answered_for_the_vulnerabilities_that_both_have() -> None:
    assert answered((FIRST, SECOND), (FIRST,)) == {FIRST}
    assert answered((FIRST,), (FIRST, SECOND)) == {FIRST}
    assert answered((FIRST, SECOND), (SECOND, FIRST)) == {FIRST, SECOND}
    assert answered((FIRST,), (SECOND,)) == set()
    assert answered((FIRST,), ("vendor-1",)) == set()


@pytest.mark.case("a09", "A name in a second catalogue does not hide that the CVE is another")
def test_names_in_other_catalogues_count_where_the_first_does_not_contradict() -> None:
    ghsa, other = "GHSA-aaaa-0000-0001", "GHSA-aaaa-0000-0002"
    assert answered((FIRST, ghsa), (ghsa,)) == {FIRST}
    assert answered((ghsa,), (ghsa, FIRST)) == {ghsa}
    assert answered((FIRST, ghsa), (SECOND, ghsa)) == set()
    assert answered((FIRST, SECOND, ghsa), (ghsa,)) == set(), "of which of the two is not known"
    assert answered((ghsa, other), (ghsa,)) == {ghsa}
    assert answered((ghsa, "PYSEC-2099-1"), ("PYSEC-2099-1",)) == {ghsa}
    assert answered((ghsa, other, "PYSEC-2099-1"), ("PYSEC-2099-1",)) == set()


def test_a_bulletin_of_many_vulnerabilities_identifies_none_of_them() -> None:
    bulletin = "CERTFR-2099-AVI-0001"
    assert answered((bulletin, FIRST), (bulletin, SECOND)) == set()
    assert answered((bulletin,), (bulletin, FIRST)) == set()
    assert answered((bulletin, FIRST), (bulletin,)) == set()
    assert answered((bulletin,), (bulletin,)) == {bulletin}


def test_a_duplicate_is_answered_for_its_own_vulnerabilities_only() -> None:
    duplicate = about(FIRST, SECOND, duplicate_of="megalis/y")
    assert duplicate.answered_by(about(FIRST, id_="megalis/y")) == {FIRST}
    assert about(duplicate_of="megalis/y").answered_by(about(FIRST, id_="megalis/y")) == frozenset()


def stated(hours: int, vulnerabilities: set[str] | None = None, **members: Any) -> StatementRecord:
    """A statement of megalis, so many hours later; without ``vulnerabilities`` on the incident itself."""
    content = msgspec.convert(a_statement(**members), Statement)
    part = None if vulnerabilities is None else frozenset(vulnerabilities)
    return StatementRecord("megalis", f"megalis/s{hours}", BEGIN + timedelta(hours=hours), content, part)


def totals(*statements: StatementRecord, of: frozenset[str] = frozenset({FIRST, SECOND})) -> OperatorTotals:
    bucket = Bucket("megalis", "arnia/glpi", "1.0", "exact", "in-range", 1)
    return totals_by_operator([bucket], statements, of)["megalis"]


def counted(*statements: StatementRecord, **more: Any) -> tuple[int, int, str | None]:
    """Deployments that are affected and cleared, and the operator's answer."""
    totals_ = totals(*statements, **more)
    return totals_.affected.deployments, totals_.cleared.deployments, totals_.answer


@pytest.mark.case("a09", "An incident of two CVEs is cleared when both are answered")
def test_what_is_cleared_of_one_vulnerability_stays_affected_by_the_other() -> None:
    first, second = stated(1, {FIRST}, **JUSTIFIED), stated(2, {SECOND}, status="fixed")
    assert counted(first) == (1, 0, None)
    assert counted(second) == (1, 0, None)
    assert counted(first, second) == (0, 1, "fixed")
    assert counted(stated(1, **JUSTIFIED)) == (0, 1, "known_not_affected")
    assert counted(first, of=frozenset({FIRST})) == (0, 1, "known_not_affected")


def test_affected_by_one_vulnerability_is_affected() -> None:
    first, second = stated(1, {FIRST}, **JUSTIFIED), stated(2, {SECOND}, status="known_affected")
    assert counted(first, second) == (1, 0, "known_affected")
    assert counted(second) == (1, 0, "known_affected")
    investigated = stated(2, {SECOND}, status="under_investigation")
    assert counted(first, investigated) == (1, 0, "under_investigation")


def test_of_the_statements_on_a_vulnerability_the_newest_counts() -> None:
    assert counted(stated(1, **JUSTIFIED), stated(2, {FIRST}, status="known_affected")) == (
        1,
        0,
        "known_affected",
    )
    assert counted(stated(3, **JUSTIFIED), stated(2, {FIRST}, status="known_affected")) == (
        0, 1, "known_not_affected",
    )  # fmt: skip


def test_an_incident_without_aliases_is_answered_by_statements_on_itself() -> None:
    assert counted(stated(1, **JUSTIFIED), of=frozenset()) == (0, 1, "known_not_affected")
    assert counted(stated(1, set(), **JUSTIFIED), of=frozenset()) == (1, 0, None)
