"""Groups of deployments added up for exposure: the number that run a version, and the bodies they cover.

A group is the deployments of one operator, audience, solution and version. ``exposure_index.py`` keeps the
groups; here they are read, as far as a viewer may see them. A read is as large as the register, and not as
the deployments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Boolean, Integer, Text, and_, column, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.content.deployment import VersionState
from federation.domain.exposure.partial import NOT_UNDERSTOOD
from federation.domain.exposure.solution_identifiers import IDENTIFIERS_EDITION
from federation.domain.territories.bodies import edition
from federation.domain.visibility import Caller
from federation.store.body_sets import PART_BITS, CoverageSet, covering, read_counts, read_numbers
from federation.store.statements import Session, Statement, param
from federation.store.tables import deployed, deployed_counts, deployed_groups
from federation.store.visibility import Viewer, arguments, viewer_of, visible_condition


def index_edition() -> str:
    """The edition of what groups and identifiers are made with; after another one they are begun anew."""
    return f"{edition()}-{IDENTIFIERS_EDITION}"


class IndexState(NamedTuple):
    """The changes that the groups have counted, of those that have arrived."""

    through: int
    """Local sequence of the last change counted; 0 where the groups must be begun anew."""
    newest: int
    """Local sequence of the last change that has arrived."""
    is_valid: bool
    """False where the groups must be begun anew."""

    def covers(self, sequence: int) -> bool:
        return self.is_valid and self.through >= sequence

    @property
    def lag(self) -> int:
        """Changes that are not counted; at least 1 where the groups must be begun anew."""
        return self.newest - self.through if self.is_valid else max(self.newest, 1)


class DeploymentGroup(msgspec.Struct, frozen=True):
    """Deployments that have all in common that exposure reads, but the bodies they cover."""

    id: int
    origin: str
    solution: str
    version: str | None
    version_state: VersionState | None
    in_use: bool
    deployments: int
    counted: int
    areas: int
    understood: bool = True
    """False for deployments that are not understood: no more than the solution is known, or not even that."""


class SingleDeployment(msgspec.Struct, frozen=True):
    """One deployment, and the group it is counted in."""

    origin: str
    key: str
    group: DeploymentGroup
    numbers: tuple[int, ...]
    """Tokens of the register; bodies elsewhere below zero."""
    counted: int
    areas: int

    @property
    def id(self) -> str:
        return f"{self.origin}/{self.key}"


_INDEX_STATE = """
SELECT exposure.arrival AS through, node.arrival AS newest, exposure.register AS register,
    0 < exposure.arrival AND exposure.arrival < node.arrivals_from AND exposure.begun_at < node.arrivals_from
    AS is_missed
FROM node, exposure
"""
"""How far the groups reach. The last column: a withdrawal that they have not seen was dropped meanwhile."""

_state = (
    text(_INDEX_STATE)
    .columns(
        column("through", BigInteger),
        column("newest", BigInteger),
        column("register", Text),
        column("is_missed", Boolean),
    )
    .subquery("state")
)
_g = deployed_groups.c
_GROUP = (
    _g.id, _g.origin, _g.solution, _g.version, _g.version_state, _g.in_use,
    _g.deployments, _g.counted, _g.areas,
)  # fmt: skip
_names = (
    func.unnest(param("origins", ARRAY(Text)), param("keys", ARRAY(Text)))
    .table_valued(column("origin", Text), column("key", Text), name="names")
    .render_derived()
)
_parts = (
    func.unnest(param("ids", ARRAY(Integer)), param("parts", ARRAY(Integer)))
    .table_valued(column("id", Integer), column("part", Integer), name="parts")
    .render_derived()
)


@lru_cache
def _groups(viewer: Viewer, by: str) -> Statement:
    """Groups of solutions, or of operators."""
    key = _g.solution if by == "solutions" else _g.origin
    return Statement(
        select(*_GROUP)
        .where(key == param("keys", ARRAY(Text)).any_(), visible_condition(deployed_groups, viewer))
        .order_by(_g.origin, _g.solution, _g.version, _g.version_state, _g.id)
    )


@lru_cache
def _groups_in_use(viewer: Viewer, by: str) -> Statement:
    """The state of the groups, and those in use with the bodies they cover: of one snapshot."""
    conditions = [_g.in_use, visible_condition(deployed_groups, viewer)]
    if by != "all":
        conditions.append(
            (_g.solution if by == "solutions" else _g.origin) == param("keys", ARRAY(Text)).any_()
        )
    return Statement(
        select(*_state.c, *_GROUP, _g.bodies, _g.others)
        .select_from(_state.outerjoin(deployed_groups, and_(*conditions)))
        .order_by(_g.origin, _g.solution, _g.version, _g.version_state, _g.id)
        .limit(param("limit"))
    )


@lru_cache
def _covering(viewer: Viewer) -> Statement:
    """The bodies that groups cover."""
    return Statement(
        select(_g.id, _g.bodies, _g.others).where(
            _g.id == param("ids", ARRAY(Integer)).any_(), visible_condition(deployed_groups, viewer)
        )
    )


@lru_cache
def _counts(viewer: Viewer) -> Statement:
    """The deployments that cover each body, for parts of groups."""
    return Statement(
        select(deployed_counts.c.grouped, deployed_counts.c.counts)
        .join(deployed_groups, _g.id == deployed_counts.c.grouped)
        .where(
            tuple_(deployed_counts.c.grouped, deployed_counts.c.part).in_(select(_parts.c.id, _parts.c.part)),
            visible_condition(deployed_groups, viewer),
        )
    )


@lru_cache
def _singles(viewer: Viewer) -> Statement:
    """Deployments by id, each with its group."""
    return Statement(
        select(
            deployed.c.origin,
            deployed.c.key,
            deployed.c.numbers,
            deployed.c.counted,
            deployed.c.areas,
            *_GROUP,
        )
        .join(deployed_groups, _g.id == deployed.c.grouped)
        .where(
            tuple_(deployed.c.origin, deployed.c.key).in_(select(_names.c.origin, _names.c.key)),
            visible_condition(deployed_groups, viewer),
        )
        .order_by(deployed.c.origin, deployed.c.key)
    )


@lru_cache
def _deployments_of(viewer: Viewer) -> Statement:
    """The first deployments of groups, by id."""
    return Statement(
        select(deployed.c.origin, deployed.c.key, deployed.c.grouped)
        .join(deployed_groups, _g.id == deployed.c.grouped)
        .where(
            deployed.c.grouped == param("ids", ARRAY(Integer)).any_(),
            visible_condition(deployed_groups, viewer),
        )
        .order_by(deployed.c.origin, deployed.c.key)
        .limit(param("limit"))
    )


class ExposureReader:
    """Groups of deployments, as far as a caller may see them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def index_state(self) -> IndexState:
        """The changes that the groups have counted, of those that have arrived."""
        return _index_state(await self._session.connection.fetchrow(_INDEX_STATE))

    async def groups_in_use(
        self,
        by: Literal["solutions", "operators", "all"],
        keys: Sequence[str],
        limit: int,
        *,
        visible_to: Caller,
    ) -> tuple[IndexState, tuple[tuple[DeploymentGroup, CoverageSet], ...]]:
        """The groups in use of these solutions or operators, with the bodies they cover, ``limit`` at most.

        They and the state that the groups are in are of one snapshot.
        """
        values = {} if by == "all" else {"keys": list(keys)}
        rows = await self._session.all(
            _groups_in_use(viewer_of(visible_to), by), limit=limit, **values, **arguments(visible_to)
        )
        return _index_state(rows[0]), tuple(
            (
                _group(row[4:-2]),
                CoverageSet(int.from_bytes(row[-2], "little"), int.from_bytes(row[-1], "little")),
            )
            for row in rows
            if row[4] is not None
        )

    async def of_solutions(
        self, solutions: Sequence[str], *, visible_to: Caller
    ) -> tuple[DeploymentGroup, ...]:
        """The groups of these solutions."""
        return await self._groups("solutions", solutions, visible_to)

    async def of_operator(self, operator: str, *, visible_to: Caller) -> tuple[DeploymentGroup, ...]:
        """The groups of an operator's deployments, of every solution."""
        return await self._groups("operators", [operator], visible_to)

    async def _groups(self, by: str, keys: Sequence[str], visible_to: Caller) -> tuple[DeploymentGroup, ...]:
        rows = await self._session.all(
            _groups(viewer_of(visible_to), by), keys=list(keys), **arguments(visible_to)
        )
        return tuple(_group(row) for row in rows)

    async def covering(self, ids: Sequence[int], *, visible_to: Caller) -> dict[int, CoverageSet]:
        """The bodies that groups cover."""
        rows = await self._session.all(
            _covering(viewer_of(visible_to)), ids=list(ids), **arguments(visible_to)
        )
        return {
            row[0]: CoverageSet(int.from_bytes(row[1], "little"), int.from_bytes(row[2], "little"))
            for row in rows
        }

    async def counts(
        self, subtracted: Iterable[SingleDeployment], *, visible_to: Caller
    ) -> dict[int, dict[int, int]]:
        """The deployments that cover each body, by group: of those bodies that these deployments cover."""
        parts = sorted(
            {(single.group.id, number >> PART_BITS) for single in subtracted for number in single.numbers}
        )
        if not parts:
            return {}
        rows = await self._session.all(
            _counts(viewer_of(visible_to)),
            ids=[id_ for id_, _ in parts],
            parts=[part for _, part in parts],
            **arguments(visible_to),
        )
        counts: dict[int, dict[int, int]] = {}
        for id_, stored in rows:
            counts.setdefault(id_, {}).update(read_counts(stored))
        return counts

    async def singles(self, ids: Sequence[str], *, visible_to: Caller) -> tuple[SingleDeployment, ...]:
        """Deployments by their ids, those of them that the caller may see."""
        names = [id_.partition("/") for id_ in ids]
        rows = await self._session.all(
            _singles(viewer_of(visible_to)),
            origins=[origin for origin, _, _ in names],
            keys=[key for _, _, key in names],
            **arguments(visible_to),
        )
        return tuple(
            SingleDeployment(row[0], row[1], _group(row[5:]), tuple(read_numbers(row[2])), row[3], row[4])
            for row in rows
        )

    async def list_deployments(
        self, ids: Sequence[int], limit: int, *, visible_to: Caller
    ) -> tuple[tuple[str, int], ...]:
        """The first deployments of some groups by id, each with its group."""
        rows = await self._session.all(
            _deployments_of(viewer_of(visible_to)), ids=list(ids), limit=limit, **arguments(visible_to)
        )
        return tuple((f"{origin}/{key}", group) for origin, key, group in rows)


def without(
    covers: CoverageSet, counts: Mapping[int, int], subtracted: Iterable[SingleDeployment]
) -> CoverageSet:
    """The bodies that a group covers without some of its deployments; ``counts`` as ``counts`` gives them."""
    numbers = Counter(number for single in subtracted for number in single.numbers)
    return covers.without(covering(n for n, count in counts.items() if count <= numbers[n]))


def _index_state(row: Any) -> IndexState:
    through, newest, register, is_missed = row[:4]
    # The numbers of another edition of the register mean other bodies.
    is_valid = register == index_edition() and not is_missed
    return IndexState(int(through) if is_valid else 0, int(newest), is_valid)


def _group(row: Any) -> DeploymentGroup:
    id_, origin, solution, version, state, in_use, deployments, counted, areas = row
    understood = state != NOT_UNDERSTOOD
    return DeploymentGroup(
        id_,
        origin,
        solution,
        version or None,
        (state or None) if understood else None,
        in_use,
        deployments,
        counted,
        areas,
        understood,
    )
