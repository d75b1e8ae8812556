"""The labels of new records whose writer names none, as far as an administrator chooses them."""

from __future__ import annotations

from federation.store.statements import Session


class DefaultLabelsReader:
    """The chosen labels, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def public_outages(self) -> bool:
        """True where new outages and maintenance are CLEAR, and not GREEN."""
        return bool(await self._session.connection.fetchval("SELECT public_outages FROM node"))


class DefaultLabelsWriter(DefaultLabelsReader):
    """The chosen labels, in a transaction that may change them."""

    async def set_public_outages(self, public: bool) -> bool:
        """Choose the label of new outages and maintenance; False where it is the one already."""
        status = await self._session.connection.execute(
            "UPDATE node SET public_outages = $1 WHERE public_outages <> $1", public
        )
        return bool(status == "UPDATE 1")
