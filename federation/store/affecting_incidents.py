"""Episodes of the incidents that affect the operator (``domain/exposure/affecting``), stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from federation.domain.content.incident import Incident
from federation.domain.exposure.affecting import AffectingIncident, ends_episode, is_mitigated, reopened_at
from federation.domain.record import Record
from federation.store.statements import Session

_COLUMNS = "incident, alert_name, episode, exploited, began_at, ended_at, mitigated_at, through"
_LIST = f"""
SELECT {_COLUMNS} FROM affecting_incidents WHERE ended_at IS NULL OR incident = ANY($1::text[])
"""
_STORE = f"""
INSERT INTO affecting_incidents ({_COLUMNS})
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::int[], $4::bool[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
    $8::bigint[]
)
ON CONFLICT (incident) DO UPDATE SET
    alert_name = excluded.alert_name, episode = excluded.episode, exploited = excluded.exploited,
    began_at = excluded.began_at, ended_at = excluded.ended_at, mitigated_at = excluded.mitigated_at,
    through = excluded.through
"""
_END_OTHERS = """
UPDATE affecting_incidents AS a SET ended_at = $2, through = greatest(through, $4)
WHERE a.ended_at IS NULL AND a.through <= $3 AND a.incident <> ALL($1::text[])
    AND EXISTS (
        SELECT FROM records AS r
        WHERE r.type = 'incident' AND r.origin = split_part(a.incident, '/', 1)
            AND r.key = split_part(a.incident, '/', 2) AND ($5 OR r.not_understood IS NULL)
    )
"""
"""An incident that is not stored here, as of a peer whose copy was dropped, is not known to be over. Nor is
one that is not understood, where not all of these were read (not $5)."""
_END = """
UPDATE affecting_incidents
SET ended_at = $2, through = greatest(through, coalesce($3, (SELECT arrival FROM node)))
WHERE incident = ANY($1::text[]) AND ended_at IS NULL
"""
_MITIGATE = """
UPDATE affecting_incidents
SET mitigated_at = $2, through = greatest(through, coalesce($3, (SELECT arrival FROM node)))
WHERE incident = ANY($1::text[]) AND ended_at IS NULL AND mitigated_at IS NULL
"""
_END_BEFORE = """
UPDATE affecting_incidents AS a
SET ended_at = opened.at, through = greatest(through, coalesce($3, (SELECT arrival FROM node)))
FROM unnest($1::text[], $2::timestamptz[]) AS opened(incident, at)
WHERE a.incident = opened.incident AND a.ended_at IS NULL AND a.began_at < opened.at
"""
_PURGE = """
DELETE FROM affecting_incidents AS a WHERE a.ended_at < $1 OR (a.began_at < $1 AND NOT EXISTS (
    SELECT FROM records AS r
    WHERE r.type = 'incident' AND r.origin = split_part(a.incident, '/', 1)
        AND r.key = split_part(a.incident, '/', 2)
))
"""


class AffectingIncidentsReader:
    """Episodes of incidents."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def lasting(self, incidents: Collection[str] = ()) -> dict[str, AffectingIncident]:
        """Those that have not ended, and those of ``incidents``."""
        rows = await self._session.connection.fetch(_LIST, list(incidents))
        return {row["incident"]: AffectingIncident(**dict(row)) for row in rows}


class AffectingIncidentsWriter(AffectingIncidentsReader):
    """Episodes of incidents, in a transaction that may change them."""

    async def store(self, rows: Sequence[AffectingIncident]) -> None:
        if rows:
            await self._session.connection.execute(
                _STORE,
                [row.incident for row in rows],
                [row.alert_name for row in rows],
                [row.episode for row in rows],
                [row.exploited for row in rows],
                [row.began_at for row in rows],
                [row.ended_at for row in rows],
                [row.mitigated_at for row in rows],
                [row.through for row in rows],
            )

    async def end_others(
        self, lasting: Collection[str], now: datetime, *, since: int, through: int, all_understood: bool
    ) -> None:
        """End all episodes but these, as of a reading between two local sequences.

        ``all_understood``: False where it left out incidents that are not understood: theirs go on.
        """
        await self._session.connection.execute(
            _END_OTHERS, list(lasting), now, since, through, all_understood
        )

    async def note_revisions(
        self, records: Iterable[Record], now: datetime, *, through: int | None = None
    ) -> None:
        """End the episodes of incidents that are over in these revisions, and note which are mitigated.

        They are of this change; without a number, of the last one. A scan sees the last revision only, and
        would not know an incident that is opened again at once to have been over. So the timeline is read,
        too: an episode that began before the last opening in it has ended.
        """
        incidents = [record for record in records if record.type == Incident.type]
        if over := [record.id for record in incidents if ends_episode(record)]:
            await self._session.connection.execute(_END, over, now, through)
        if mitigated := [record.id for record in incidents if is_mitigated(record)]:
            await self._session.connection.execute(_MITIGATE, mitigated, now, through)
        openings = [(record.id, at) for record in incidents if (at := reopened_at(record, now)) is not None]
        if openings:
            await self._session.connection.execute(
                _END_BEFORE, [name for name, _ in openings], [at for _, at in openings], through
            )

    async def purge(self, before: datetime) -> None:
        """Delete episodes that ended before this time, and those of incidents that are not stored here."""
        await self._session.connection.execute(_PURGE, before)
