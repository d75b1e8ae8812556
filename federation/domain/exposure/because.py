"""The explanation of one answer: the rule, the entry of the incident it rests on, and what would settle it.

It is made for the rows that are shown, by asking the entries again, and not for all that are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from federation.domain.content.deployment import VersionState
from federation.domain.content.incident import Affected
from federation.domain.exposure.answers import Because
from federation.domain.exposure.matching import by_entry, entries_for, is_contradicted
from federation.domain.exposure.reasons import REASONS, SETTLED_BY, Reason

_DOUBTED = ("software-unsure", "release-unsure")
"""Reasons under which an entry would answer affected."""


def because(
    affects: Sequence[Affected],
    reason: Reason,
    *,
    solution: str,
    version: str | None = None,
    state: VersionState | None = None,
    deployment: str | None = None,
) -> Because:
    """Explain ``reason``, which was answered for a version of ``solution``, as the incident names it."""
    index = _entry(affects, reason, solution, version, state, deployment)
    entry = None if index is None else affects[index]
    contradicted = entry is not None and is_contradicted(entry, version, state)
    settled_by = SETTLED_BY.get(reason)
    return Because(
        rule=reason,
        text={"en": REASONS[reason].en, "fr": REASONS[reason].fr},
        entry=index,
        range=entry.range if entry is not None else None,
        range_text=entry.range_text if entry is not None else None,
        source_pointer=entry.source_pointer if entry is not None else None,
        fixed_in=version if contradicted else None,
        settled_by={"en": settled_by[0], "fr": settled_by[1]} if settled_by else None,
    )


def _entry(
    affects: Sequence[Affected],
    reason: Reason,
    solution: str,
    version: str | None,
    state: VersionState | None,
    deployment: str | None,
) -> int | None:
    """The index of the first entry that gives this answer; None for an answer that rests on none."""
    if reason in ("stated", "not-in-use", "not-understood"):
        return None
    counted = entries_for([entry for entry in affects if entry.solution == solution], version)
    for index, entry in enumerate(affects):
        if reason == "named":
            if deployment in entry.deployments:
                return index
        elif entry in counted:
            found = by_entry(entry, version, state)
            if found == reason or (reason in _DOUBTED and REASONS[found].verdict == "affected"):
                return index
    return None
