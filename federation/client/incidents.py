"""Incidents, and their timeline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from federation.client.names import moment_text
from federation.client.record_view import RecordView
from federation.client.records import Collection
from federation.domain.content.incident import Incident, IncidentStatus, NewUpdate


class Incidents(Collection[Incident]):
    """Incidents, and their timeline."""

    async def append_update(
        self,
        key: str,
        text: Mapping[str, str],
        *,
        status: IncidentStatus | None = None,
        at: datetime | str | None = None,
        if_match: str | None = None,
    ) -> RecordView[Incident]:
        """Append a line to the timeline, and move the status. The node notes the time if none is given."""
        update = NewUpdate(text=dict(text), status=status, at=moment_text(at))
        return await self._act(key, "updates", update, if_match, idempotent=at is not None)
