"""Episodes of the incidents that affect the operator, and the name of the alert that each has.

1. An episode begins when an open incident affects deployments of the operator, or may. It ends when the
   incident is over, or affects none of them; also when a vulnerability that was mitigated is open again. The
   next episode has an alert of its own.
2. A vulnerability that other open incidents have under the same identifiers, for the same deployments, shares
   the alert of the first of them. One that affects more, or more certainly, has its own; so has each where
   the alert of the first one was withheld (``node/alert_floods``).
3. An incident that is opened again shares only alerts of episodes that began after it was over.
4. When a vulnerability becomes actively exploited, in one of the incidents that share an alert, they get one
   more alert together. A higher severity makes none: sources rate one flaw differently.

An alert is unique by its name (``federation/node/alert_scan``), so these rules only name it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import msgspec

from federation.domain.content.incident import Incident, Update
from federation.domain.exposure.answers import OwnLine
from federation.domain.exposure.effects import Effect, identifiers, main_identifiers, says_the_same
from federation.domain.exposure.totals import OPEN_STATUSES
from federation.domain.record import Record
from federation.domain.values import instant

_EXPLOITED = " exploited"


_OPEN_FACETS = frozenset(f"{Incident.type}.status={status}" for status in OPEN_STATUSES)


_MITIGATED = "mitigated"
_MITIGATED_FACET = f"{Incident.type}.status={_MITIGATED}"


def ends_episode(record: Record) -> bool:
    """True for a revision of an incident in which it is over, or retracted."""
    if record.not_understood is not None:
        return False  # it may be open
    return record.type == Incident.type and _OPEN_FACETS.isdisjoint(record.projection.facets)


def is_mitigated(record: Record) -> bool:
    """True for a revision of an incident in which it is mitigated."""
    return record.type == Incident.type and _MITIGATED_FACET in record.projection.facets


class _Timeline(msgspec.Struct):
    updates: tuple[Update, ...] = ()


class _Document(msgspec.Struct):
    content: _Timeline | None = None


_timeline = msgspec.json.Decoder(_Document)


def reopened_at(record: Record, now: datetime) -> datetime | None:
    """The last time that an incident was opened again, as its timeline says; None for none, or one to come.

    Of revisions that follow one another quickly a peer sends only the last one: its timeline has the others.
    """
    if record.type != Incident.type or record.not_understood or b'"updates"' not in record.document:
        return None
    content = _timeline.decode(record.document).content
    if content is None:
        return None
    openings = (
        instant(line.at)
        for before, line in pairwise(sorted(content.updates, key=lambda line: instant(line.at)))
        if before.status not in OPEN_STATUSES and line.status in OPEN_STATUSES
    )
    return max((at for at in openings if at <= now), default=None)


class AffectingIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that affects the operator, or did, and its episode."""

    incident: str
    alert_name: str
    """Names the alerts of this episode: the incident that has it, the number of the episode, and an addition
    when it is about exploitation."""
    episode: int = 1
    exploited: bool | None = None
    """None where it is not known, for an alert of an earlier version of the program."""
    began_at: datetime
    ended_at: datetime | None = None
    mitigated_at: datetime | None = None
    """Set while it is said to be mitigated: it is open, and an episode begins when it is not mitigated."""
    through: int = 0
    """Local sequence of the last change that it may rest on: an older reading does not change it."""

    @property
    def leader(self) -> str:
        """The incident that the alert is of."""
        return self.alert_name.split(" ")[0]

    @property
    def matter(self) -> str:
        """The same for the alerts of a vulnerability before and after it was exploited."""
        return self.alert_name.removesuffix(_EXPLOITED)

    @property
    def own_matter(self) -> str:
        """The same where it shares no alert."""
        return _own_name(self.incident, self.episode)

    @property
    def own_alert_name(self) -> str:
        """The name of its alerts where it shares none."""
        return f"{self.own_matter}{self.alert_name.removeprefix(self.matter)}"


class Episodes:
    """The episodes after a reading of the incidents that affect the operator now.

    ``since`` and ``through``: the local sequences of the last change before the reading, and after it. An
    incident whose stored state may be newer than the reading is left as it is.
    """

    def __init__(
        self,
        stored: Mapping[str, AffectingIncident],
        lines: Sequence[OwnLine],
        *,
        now: datetime,
        since: int,
        through: int,
    ) -> None:
        self._lines = {line.incident.id: line for line in lines}
        self._now, self._through = now, through
        self._by_identifier: dict[str, list[str]] = {}
        self._effects: dict[str, Effect] = {}
        self.current: dict[str, AffectingIncident] = {}
        """The incidents of the reading, those left out whose stored state is newer."""
        lasting: list[str] = []
        beginning: list[str] = []
        for name in self._lines:
            before = stored.get(name)
            is_older = before is not None and before.through > since
            if before is not None and before.ended_at is None and (is_older or not self._is_reopened(before)):
                lasting.append(name)
                self._add(name, before if is_older else self._with_mitigation(before))
            elif not is_older:
                beginning.append(name)
        for name in lasting:
            self._separate(name)
        for name in sorted(beginning, key=lambda name: (self._lines[name].incident.published_at, name)):
            self._begin(name, stored.get(name))
        self._exploit()
        self.changed = tuple(row for name, row in self.current.items() if stored.get(name) != row)

    def others(self, name: str) -> tuple[str, ...]:
        """Other incidents that affect the operator, with an identifier of its vulnerability."""
        incident = self._lines[name].incident
        found = {
            other
            for alias in identifiers(incident)
            for other in self._by_identifier.get(alias, ())
            if other != name
        }
        return tuple(sorted(found))

    def _is_reopened(self, row: AffectingIncident) -> bool:
        """True for an episode that ends since the incident is not mitigated any more."""
        return row.mitigated_at is not None and self._lines[row.incident].incident.status != _MITIGATED

    def _with_mitigation(self, row: AffectingIncident) -> AffectingIncident:
        if self._lines[row.incident].incident.status != _MITIGATED or row.mitigated_at is not None:
            return row
        return msgspec.structs.replace(row, mitigated_at=self._now, through=self._through)

    def _add(self, name: str, row: AffectingIncident) -> None:
        self.current[name] = row
        for alias in identifiers(self._lines[name].incident):
            self._by_identifier.setdefault(alias, []).append(name)

    def _begin(self, name: str, before: AffectingIncident | None) -> None:
        """Begin an episode, with the alert of another incident or one of its own."""
        episode = before.episode + 1 if before else 1
        shared = self._sharing(name, after=(before.ended_at or before.mitigated_at) if before else None)
        row = AffectingIncident(
            incident=name,
            alert_name=shared.alert_name if shared else _own_name(name, episode),
            episode=episode,
            exploited=shared.exploited if shared else self._is_exploited(name),
            began_at=self._now,
            through=self._through,
        )
        self._add(name, self._with_mitigation(row))

    def _separate(self, name: str) -> None:
        """Give an incident its own alert where by now it affects more than the one whose alert it shared."""
        row = self.current[name]
        leader = self.current.get(row.leader)
        if row.leader == name or leader is None or leader.alert_name != row.alert_name:
            return
        if self._effect(name).is_covered([self._effect(row.leader)]) or self._sharing(name, leading=True):
            return
        self.current[name] = msgspec.structs.replace(
            row,
            alert_name=_own_name(name, row.episode),
            exploited=self._is_exploited(name),
            through=self._through,
        )

    def _sharing(
        self, name: str, *, after: datetime | None = None, leading: bool = False
    ) -> AffectingIncident | None:
        """The incident whose alert says all of this one; only ones that began after a time, or lead."""
        incident = self._lines[name].incident
        others = {
            other: self.current[other]
            for alias in main_identifiers(incident)
            for other in self._by_identifier.get(alias, ())
            if other != name and says_the_same(self._lines[other].incident, incident)
        }
        rows = [
            row
            for other, row in sorted(others.items())
            if (after is None or row.began_at > after) and (not leading or row.leader == other)
        ]
        if rows and self._effect(name).is_covered([self._effect(row.incident) for row in rows]):
            return rows[0]
        return None

    def _exploit(self) -> None:
        """One more alert for the incidents that share one, when their vulnerability becomes exploited."""
        sharing: dict[str, list[AffectingIncident]] = {}
        for row in self.current.values():
            sharing.setdefault(row.alert_name, []).append(row)
        for alert_name, rows in sharing.items():
            exploited = any(self._is_exploited(row.incident) for row in rows)
            known = [row.exploited for row in rows if row.exploited is not None]
            renamed = exploited and bool(known) and not any(known) and not alert_name.endswith(_EXPLOITED)
            for row in rows:
                self.current[row.incident] = msgspec.structs.replace(
                    row,
                    alert_name=f"{alert_name}{_EXPLOITED}" if renamed else alert_name,
                    exploited=exploited or any(known),
                    through=max(row.through, self._through) if renamed else row.through,
                )

    def _effect(self, name: str) -> Effect:
        if name not in self._effects:
            self._effects[name] = Effect.of(self._lines[name])
        return self._effects[name]

    def _is_exploited(self, name: str) -> bool:
        return self._lines[name].incident.exploitation == "active"


def _own_name(incident: str, episode: int) -> str:
    return incident if episode == 1 else f"{incident} {episode}"
