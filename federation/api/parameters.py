"""The parameters of operations, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any, get_args

from msgspec import inspect

from federation.domain.checkpoint import MAX_NUMBERS
from federation.domain.feed import MAX_WAIT_SECONDS, PAGE_ENTRIES
from federation.domain.formats.csaf_lists import FeedLabel
from federation.domain.query import (
    BODY_PATTERN,
    CONTROLS,
    MAX_FILTER_VALUES,
    MAX_PAGE,
    PAGE,
    RELEVANCE,
    SORTS,
    filter_type,
    filters_of,
)
from federation.domain.record_content import Content
from federation.domain.repeat import REQUEST_KEY_PATTERN, STORED_HOURS
from federation.domain.sources.source import SOURCE_PATTERN
from federation.domain.territories.public_bodies import BODY_ID_PATTERN
from federation.domain.upload import DIGEST_PATTERN, SET_PATTERN
from federation.domain.values import GROUP_PATTERN, KEY_PATTERN, OPERATOR_PATTERN
from federation.edge.operations import Parameter

_PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "origin": (
        "Operator that writes the record or the feed.",
        {"type": "string", "pattern": OPERATOR_PATTERN},
    ),
    "operator": ("Id of a peer.", {"type": "string", "pattern": OPERATOR_PATTERN}),
    "key": ("The record's key at its origin.", {"type": "string", "pattern": KEY_PATTERN}),
    "audience": (
        "`public`, `federation`, or a group of the origin.",
        {"type": "string", "pattern": GROUP_PATTERN},
    ),
    "code": ("The code of a problem.", {"type": "string", "pattern": "^[a-z-]{1,60}$"}),
    "id": ("The id that the node gave it.", {"type": "string", "format": "uuid"}),
    "body_id": (
        "A public body: `cog:` and an INSEE code, `0002:` and a SIREN, `territory:` and the code of a"
        " département or a région, or any other scheme and value.",
        {"type": "string", "pattern": BODY_ID_PATTERN, "examples": ["cog:71076", "0002:217100767"]},
    ),
    "source": ("Name of a source.", {"type": "string", "pattern": SOURCE_PATTERN}),
    "number": ("Number of a run.", {"type": "string", "pattern": "^[1-9][0-9]{0,14}$"}),
    "feed_file": (
        "The name of the feed, with its ending `.atom`.",
        {"type": "string", "pattern": r"^[A-Za-z0-9:._-]{1,300}\.atom$"},
    ),
    "label": ("The label of the documents, in small letters.", {"enum": list(get_args(FeedLabel))}),
    "file": ("The name of the file, as a list gives it.", {"type": "string", "maxLength": 300}),
    "form": ("The form of the advisories.", {"enum": ["cve", "osv", "csaf"]}),
}
PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    name: {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
    for name, (description, schema) in _PATHS.items()
}
"""Each parameter of a path, as in a Parameter Object of OpenAPI."""
_CONTROLS: dict[str, dict[str, Any]] = {
    "q": {
        "description": "Words, in French or any other language, with or without accents.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    },
    "updated_since": {
        "description": "From this moment on.",
        "schema": {"type": "string", "format": "date-time"},
    },
    "updated_before": {
        "description": "Before this moment.",
        "schema": {"type": "string", "format": "date-time"},
    },
    "sort": {
        "description": (
            f"`{SORTS[0]}` where it is not given, and `{RELEVANCE}` with `q`. A record that is revised"
            " between two pages may be missed in these orders: to read a list to its end, give `id`."
        ),
        "schema": {"enum": [*SORTS, RELEVANCE]},
    },
    "limit": {
        "description": "Records of a page, at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE},
    },
    "after": {"description": "Where the last page ended.", "schema": {"type": "string", "minLength": 1}},
    "total": {"description": "Count what is found, up to 1 000.", "schema": {"type": "boolean"}},
}
CONTROL_PARAMETERS = {name: Parameter(name, about) for name, about in _CONTROLS.items()}
"""Parameters of every list beside its filters."""


def list_parameters(kind: type[Content]) -> tuple[Parameter, ...]:
    """The filters of a type, and the controls of a list."""
    return (
        *(_filter(kind, name) for name in filters_of(kind)),
        *(CONTROL_PARAMETERS[name] for name in CONTROLS),
    )


def _filter(kind: type[Content], name: str) -> Parameter:
    about = {
        "origin": "Operator that writes the record.",
        "tlp": "TLP label.",
        "beneficiary": "A body served: SIREN, INSEE code, or scheme:value.",
        "territory": "A territory: records of it, of a part of it, or of one that contains it.",
        "solution": "origin/key of a solution.",
    }
    values: dict[str, Any] = {"type": "string"}
    match filter_type(kind, name):
        case inspect.LiteralType() as literal:
            values["enum"] = list(literal.values)
        case inspect.Metadata(type=inspect.StrType() as text) | (inspect.StrType() as text):
            bounds = {"pattern": text.pattern, "minLength": text.min_length, "maxLength": text.max_length}
            values |= {keyword: bound for keyword, bound in bounds.items() if bound is not None}
    if name == "beneficiary":
        values["pattern"] = BODY_PATTERN
    return several(
        name, values, f"{about.get(name, f'Value of {name}.')} Several are alternatives.", MAX_FILTER_VALUES
    )


def several(name: str, items: dict[str, Any], description: str, maximum: int) -> Parameter:
    """A parameter that may be given several times, up to a maximum."""
    about = {
        "description": description,
        "schema": {"type": "array", "items": items, "maxItems": maximum},
        "style": "form",
        "explode": True,
    }
    return Parameter(name, about)


def _query(name: str, description: str, schema: dict[str, Any]) -> Parameter:
    return Parameter(name, {"description": description, "schema": schema})


def _header(name: str, description: str, schema: dict[str, Any] | None = None) -> Parameter:
    return Parameter(name, {"description": description, "schema": schema or {"type": "string"}}, "header")


DRY_RUN = _query(
    "dry_run", "Change nothing, and say what would appear and disappear where.", {"type": "boolean"}
)
UPLOAD_PARAMETERS = (
    _query("dry_run", "Store nothing, and say for each line what would become of it.", {"type": "boolean"}),
    _query(
        "set",
        "The set that the records of this upload are in from now on: of your own naming, for one type.",
        {"type": "string", "pattern": SET_PATTERN},
    ),
    _query(
        "replace",
        "Retract the records of the set that are not in this upload. Its first line says how many follow, and"
        " `digest` repeats that of the dry run.",
        {"type": "boolean"},
    ),
    _query(
        "digest",
        "The digest of the dry run: 409 where the upload would do anything else by now.",
        {"type": "string", "pattern": DIGEST_PATTERN},
    ),
)
ORIGIN = _query(
    "origin",
    "Feeds of this operator, as far as they are held here; this node's own without.",
    {"type": "string", "pattern": OPERATOR_PATTERN},
)
LOCAL = _query(
    "local",
    "Suspend it at this node alone: no exclusion is signed, and other members go on showing it your GREEN"
    " records.",
    {"type": "boolean", "default": False},
)
AS_PEER = _query(
    "as",
    "What this peer sees here; for administrators (`node.admin`).",
    {"type": "string", "pattern": OPERATOR_PATTERN},
)
BUCKET = _query(
    "bucket",
    "The leaves of this bucket instead of all digests.",
    {"type": "string", "pattern": "^[0-9a-f]{2}$"},
)
NUMBERS = _query(
    "numbers",
    f"The entries at these numbers, at most {MAX_NUMBERS}, as NDJSON; instead of `after` and `limit`.",
    {"type": "string", "pattern": "^[1-9][0-9]{0,15}(,[1-9][0-9]{0,15})*$"},
)
FEED_PAGE = (
    Parameter("after", {"schema": {"type": "string"}, "description": "A cursor."}),
    Parameter(
        "limit",
        {"schema": {"type": "integer", "minimum": 1, "maximum": PAGE_ENTRIES, "default": PAGE_ENTRIES}},
    ),
)

IF_MATCH = _header("If-Match", "The ETag of the state you have seen; 412 when the record has moved on.")
IF_NONE_MATCH = _header(
    "If-None-Match", "The ETag you have (304), or `*` to publish only what is not there yet (412)."
)
IF_MODIFIED_SINCE = _header(
    "If-Modified-Since", "The date of the state you have (304); counts where no ETag is named."
)
IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    f"A string of your own in quotes, a UUID for example: for {STORED_HOURS} hours the same request"
    " with the same key is carried out once, and its first answer is repeated.",
    {"type": "string", "pattern": REQUEST_KEY_PATTERN},
)
PREFER_WAIT = _header(
    "Prefer", f"`wait=25`: answer when a head moves, within so many seconds (at most {MAX_WAIT_SECONDS})."
)
PREFER_PROVENANCE = _header(
    "Prefer",
    "`provenance`: name the feeds that the records of this page come from, and how each is verified.",
)
LAST_EVENT_ID = _header("Last-Event-ID", "The cursor to go on from, for server-sent events.")
