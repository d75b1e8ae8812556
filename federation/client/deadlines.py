"""Reporting deadlines of NIS2 and GDPR: the operator's own, in no feed."""

from __future__ import annotations

import msgspec

from federation.client.answers import DeadlineStatus
from federation.client.names import OwnOperator, record_path
from federation.client.sender import JSON, Sender
from federation.domain.deadline import ReportingDeadline


class _Deadlines(msgspec.Struct):
    deadlines: tuple[DeadlineStatus, ...]


class Deadlines:
    """The reporting deadlines of the operator."""

    def __init__(self, sender: Sender, own_operator: OwnOperator) -> None:
        self._sender = sender
        self._own_operator = own_operator

    async def list(self) -> tuple[DeadlineStatus, ...]:
        """All deadlines, the one due next first."""
        return (await self._sender.decoded(_Deadlines, "GET", "/v1/deadlines")).deadlines

    async def get(self, key: str) -> DeadlineStatus:
        """A deadline and its steps. Raises NotFound."""
        return await self._sender.decoded(DeadlineStatus, "GET", await self._path(key))

    async def set(self, key: str, deadline: ReportingDeadline) -> DeadlineStatus:
        """Set a deadline, or note what has been done."""
        return await self._sender.decoded(
            DeadlineStatus,
            "PUT",
            await self._path(key),
            content=msgspec.json.encode(deadline),
            headers={"content-type": JSON},
        )

    async def remove(self, key: str) -> None:
        """Remove a deadline. Raises NotFound."""
        await self._sender.send("DELETE", await self._path(key))

    async def calendar(self) -> bytes:
        """The open steps as a calendar (RFC 5545)."""
        return (await self._sender.send("GET", "/v1/deadlines.ics", headers={"accept": "text/calendar"})).body

    async def _path(self, key: str) -> str:
        return f"/v1/deadlines/{await record_path(key, self._own_operator)}"
