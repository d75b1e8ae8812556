"""A later version of this program, as far as its schemas go.

Enumerations are longer, a rule is gone, there is a member more, and a type more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.content.incident import Incident
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.part import Dated
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.domain.values import Line


class LaterSolution(Solution, frozen=True, kw_only=True):
    """A kind more, and a member more."""

    kind: Literal["software", "appliance"]  # type: ignore[assignment]  # it is longer: that is the test
    retired_on: Line | None = None


class LaterDeployment(Deployment, frozen=True, kw_only=True):
    """A status more."""

    status: Literal["production", "migrating"]  # type: ignore[assignment]  # it is longer: that is the test


class LaterStatement(Statement, frozen=True, kw_only=True):
    """A rule less: the justification may be missing."""

    def __post_init__(self) -> None:
        Dated.__post_init__(self)


class LaterIncident(Incident, frozen=True, kw_only=True):
    """A severity more."""

    severity: Literal["high", "catastrophic"]  # type: ignore[assignment]  # it is longer: that is the test


class Contract(Content, frozen=True, kw_only=True):
    """A type more."""

    type: ClassVar = "contract"
    plural: ClassVar = "contracts"

    name: Line


LATER: dict[str, type[Content]] = {
    kind.type: kind for kind in (LaterSolution, LaterDeployment, LaterStatement, LaterIncident, Contract)
}


@contextmanager
def later_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every node of this process is of the later version while the block lasts."""
    with monkeypatch.context() as patch:
        for name, kind in LATER.items():
            patch.setitem(TYPES, name, kind)
        yield


def a_contract(**members: Any) -> dict[str, Any]:
    return {"name": "Maintenance", **members}
