"""Own contributions that fewer readers see than their label says: their subject has become narrower."""

from __future__ import annotations

from typing import NamedTuple

from federation.store.statements import Session

MAX_HIDDEN = 1_000
"""Hidden contributions that are read, at most."""
_LIST_HIDDEN = f"""
SELECT c.key, about.type, about.id, coalesce(subject.revision, gone.revision) AS revision
FROM records AS c
CROSS JOIN LATERAL (
    SELECT
        max(split_part(facet, '=', 2)) FILTER (WHERE starts_with(facet, 'contribution.about_type=')) AS type,
        max(split_part(facet, '=', 2)) FILTER (WHERE starts_with(facet, 'contribution.about=')) AS id
    FROM unnest(c.facets) AS facet
) AS about
LEFT JOIN records AS subject ON subject.type = about.type
    AND subject.origin = split_part(about.id, '/', 1) AND subject.key = split_part(about.id, '/', 2)
LEFT JOIN LATERAL (
    SELECT max(w.revision) AS revision FROM withdrawals AS w JOIN feeds ON feeds.id = w.feed
    WHERE feeds.origin = split_part(about.id, '/', 1)
        AND w.type = about.type AND w.key = split_part(about.id, '/', 2)
) AS gone ON subject.key IS NULL
WHERE c.type = 'contribution' AND c.origin = $1 AND NOT c.retracted
    AND c.audience IN ('public', 'federation')
    AND (
        subject.audience NOT IN ('public', 'federation')
        OR (subject.audience = 'federation' AND c.audience = 'public')
        OR gone.revision IS NOT NULL
    )
ORDER BY c.key LIMIT {MAX_HIDDEN}
"""
"""A subject that is not stored here and has a withdrawal was taken out of a feed that this node reads."""


class HiddenContribution(NamedTuple):
    """A contribution of this node's operator, and its subject."""

    key: str
    subject_type: str
    subject: str
    revision: int
    """Of the subject, with which it became narrower or left."""


class ContributionsReader:
    """Contributions, for the scan of alerts."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def hidden(self, origin: str) -> list[HiddenContribution]:
        """The contributions of an operator, of this node, that are hidden from some of their readers."""
        rows = await self._session.connection.fetch(_LIST_HIDDEN, origin)
        return [HiddenContribution(*row) for row in rows]
