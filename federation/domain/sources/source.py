"""Sources: where records come from, how often they are read, and the bounds of each.

A source is configured once. A polled source has an address and an interval; a pushed source has a secret; any
other one has files, which are uploaded. All of them are read and merged in the same way.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from federation.domain.part import Part
from federation.domain.values import END, GROUP_PATTERN, Url
from federation.domain.visibility import Tlp

SOURCE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?" + END
"""Names of sources: small letters and digits, with hyphens in between."""
MAX_SOURCES = 100
"""Sources of a node, at most."""
MIN_INTERVAL_SECONDS = 60
MAX_INTERVAL_SECONDS = 31 * 86_400
"""Seconds between two runs of a polled source."""
JITTER = 0.1
"""The part of an interval by which a run comes earlier or later, so that many nodes do not ask at once."""
MIN_BACKOFF_SECONDS = 300.0
"""Seconds after the first failure; twice as long after each further one."""
MAX_BACKOFF_SECONDS = 6 * 3_600.0
"""Seconds after a failure at most, unless the interval is longer."""
ALERT_AFTER_FAILURES = 3
"""Failures in a row from which on there is an alert."""
MAX_OPTIONS_BYTES = 65_536
"""Bytes of the options of a source, as JSON."""
MEBIBYTE = 1_048_576

SourceState = Literal["active", "paused"]
SourceName = Annotated[str, Meta(pattern=SOURCE_PATTERN, description="Name of a source.", examples=["glpi"])]
Interval = Annotated[
    int,
    Meta(ge=MIN_INTERVAL_SECONDS, le=MAX_INTERVAL_SECONDS, description="Seconds between two runs."),
]


class SourceQuota(Part, frozen=True, kw_only=True):
    """The bounds of one source. A run that would go beyond one stores what is within it, and says so."""

    records: Annotated[int, Meta(ge=1, le=100_000)] = 20_000
    """Records of the source."""
    mebibytes: Annotated[int, Meta(ge=1, le=64)] = 20
    """Of one file or answer."""
    runs: Annotated[int, Meta(ge=1, le=50)] = 30
    """Runs within an hour that somebody asked for."""


class SourceSettings(Part, frozen=True, kw_only=True):
    """A source to be added."""

    name: SourceName
    kind: Annotated[str, Meta(max_length=32)]
    url: Url | None = None
    every: Interval | None = None
    """Seconds between two runs; needed with an address, and absent without one."""
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    """How its files are read; each kind has options of its own."""
    tlp: Tlp | None = None
    """The label of its records: none gets a wider one. Without it that of the source, or of the type."""
    audience: Annotated[str, Meta(pattern=GROUP_PATTERN)] | None = None
    """For AMBER and AMBER+STRICT: the group that may see its records."""
    private: bool = False
    """Whether its address may be one that is not public. Over HTTP this takes ``node.admin``."""
    quota: SourceQuota = SourceQuota()


class AddedSource(msgspec.Struct, frozen=True):
    """A new source; the secret of a pushed one is returned this once."""

    name: str
    secret: str | None = None


class SourceChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Another state or interval of a source. What is absent stays as it is."""

    state: SourceState | None = None
    every: Interval | None = None
    run_now: bool = False
    """Whether its next run is due at once."""


class ImportSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source, and how its runs went."""

    name: str
    kind: str
    url: str | None
    every: int | None
    options: dict[str, Any]
    tlp: Tlp | None
    audience: str | None
    private: bool
    quota: SourceQuota
    state: SourceState
    created_at: datetime
    next_at: datetime | None
    """The next run; null for a source that is not polled, or paused."""
    last_run_at: datetime | None
    last_success_at: datetime | None
    failures: int
    """Failed runs since the last one that succeeded."""
    failing_since: datetime | None
    reason: str | None
    """The reason of the last failure; null after a run that succeeded."""
    reason_fr: str | None
    """The same in French; null where there are no French words for it."""
    has_secret: bool
    records: int
    """Records that it gives, and gave before and that are still here."""
    disappeared: int
    """Of these, records that it no longer gives."""


class DisappearedRecord(msgspec.Struct, frozen=True):
    """A record that a source no longer gives. It stays until somebody retracts it."""

    type: str
    key: str
    identity: str
    """The source's own identifier of it."""
    since: datetime


class HttpState(msgspec.Struct, frozen=True):
    """What a polled source said of its last answer (RFC 9110, 8.8)."""

    etag: str | None = None
    last_modified: str | None = None


def next_run(now: datetime, every: int, *, chance: random.Random | None = None) -> datetime:
    """The next run after one that succeeded."""
    factor = (chance or random).uniform(1 - JITTER, 1 + JITTER)
    return now + timedelta(seconds=every * factor)


def next_try(
    now: datetime,
    every: int,
    failures: int,
    *,
    retry_after: float | None = None,
    chance: random.Random | None = None,
) -> datetime:
    """The next run after so many failures: later after each one, and not before the source asked for."""
    longest = max(MAX_BACKOFF_SECONDS, float(every))
    ceiling = min(longest, MIN_BACKOFF_SECONDS * 2 ** min(failures - 1, 20))
    wait = (chance or random).uniform(ceiling / 2, ceiling)
    return now + timedelta(seconds=max(wait, min(retry_after or 0.0, longest)))
