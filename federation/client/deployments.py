"""Deployments, and the version that each runs."""

from __future__ import annotations

from datetime import datetime

from federation.client.names import moment_text
from federation.client.record_view import RecordView
from federation.client.records import Collection
from federation.domain.content.deployment import Deployment, NewVersion, VersionState


class Deployments(Collection[Deployment]):
    """Deployments, and the version that each runs."""

    async def set_version(
        self,
        key: str,
        version: str | None,
        *,
        version_state: VersionState | None = None,
        as_of: datetime | str | None = None,
        if_match: str | None = None,
    ) -> RecordView[Deployment]:
        """Note the version that a deployment runs now: for a probe or a CI job, after an update."""
        noted = NewVersion(version=version, version_state=version_state, as_of=moment_text(as_of))
        return await self._act(key, "version", noted, if_match, idempotent=if_match is None)
