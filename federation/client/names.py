"""Names of records in paths, and values of query strings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

from federation.domain.values import as_instant

OwnOperator = Callable[[], Awaitable[str]]
"""The id of the operator of the node; it is asked for once."""
Filter = str | Sequence[str] | bool | None
"""The value of a filter: a sequence gives alternatives, None is left out."""


async def record_path(key: str, own_operator: OwnOperator) -> str:
    """``origin/key`` as it stands in a path; a key without ``/`` is one of the own operator."""
    origin, slash, own_key = key.partition("/")
    if not slash:
        origin, own_key = await own_operator(), key
    return f"{quote(origin, safe='')}/{quote(own_key, safe='')}"


def query_pairs(parameters: Mapping[str, Filter]) -> Iterable[tuple[str, str]]:
    """The pairs of a query string."""
    for name, value in parameters.items():
        if value is None:
            continue
        if isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, str):
            yield name, value
        else:
            yield from ((name, item) for item in value)


def query_value(address: str | None, name: str) -> str | None:
    """A value in the query string of an address. The address itself is never called."""
    return dict(parse_qsl(urlsplit(address).query)).get(name) if address else None


def moment_text(moment: datetime | str | None) -> str | None:
    """A time as the API writes it. Raises ValueError for one without a zone: it could be any of 24 hours."""
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; give it one, such as datetime.UTC")
    return as_instant(moment)
