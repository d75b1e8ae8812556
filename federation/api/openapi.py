"""The OpenAPI 3.1 document and the JSON Schemas, made of the same structs that validate.

Bodies are read by ``domain/document.py`` and not by the framework (it would convert "1" to 1 and let a
member pass that stands twice), so the document is made here from the routes themselves: the table of
rights, the filters of each type and the schemas of msgspec.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

import federation
from federation.api.alerts import CALENDAR, AlertsView, DeadlinesView, SubscriptionsView
from federation.api.examples import (
    ADVISORY,
    DEADLINE,
    DRAFTS,
    FEEDBACK,
    KEYS,
    REGISTRATION,
    SUBSCRIPTION,
    UPDATE,
)
from federation.api.exposure import ExposedBodies
from federation.api.feeds import SignedReceipt
from federation.api.guard import RIGHTS, right_of
from federation.api.peers import Code, ConfirmedCopies, PeerDecision
from federation.api.records import RefusedLine, UploadSummary
from federation.api.responses import JSON, MERGE_PATCH, NDJSON, PROBLEM, Problem
from federation.domain.alert import NewSubscription
from federation.domain.checkpoint import MAX_NUMBERS, Leaves, SignedDigests
from federation.domain.content.deployment import NewVersion
from federation.domain.content.incident import NewUpdate
from federation.domain.deadline import ReportingDeadline
from federation.domain.document import Document
from federation.domain.draft import Draft, KeyedDraft
from federation.domain.exposure.answers import IncidentExposure, OwnExposure, SolutionExposure
from federation.domain.feed import LONGEST_WAIT, PAGE_ENTRIES, FeedEntry, Head
from federation.domain.invitation import Registration, RegistrationAnswer
from federation.domain.query import CONTROLS, MAX_PAGE, PAGE, SORTS, filters_of
from federation.domain.registry import TYPES
from federation.domain.rejection import FeedbackView
from federation.domain.scopes import SCOPES
from federation.domain.values import GROUP_PATTERN, KEY_PATTERN, OPERATOR_PATTERN, Content
from federation.domain.visibility import TLPS
from federation.node.advisories import ImportReport
from federation.node.alerts import Subscribed
from federation.node.copies import Provenance
from federation.node.deadlines import DeadlineView
from federation.node.peer_views import PeersView
from federation.node.previews import Preview
from federation.node.receipts import Feedback, WithdrawalsView

NAMES = {
    "get": "get{Type}",
    "list": "list{Types}",
    "publish": "publish{Type}",
    "publish_new": "publishNew{Type}",
    "patch": "patch{Type}",
    "retract": "retract{Type}",
    "upload": "upload{Types}",
    "append_update": "append{Type}Update",
    "set_version": "set{Type}Version",
    "subscriptions": "listSubscriptions",
    "subscribe": "addSubscription",
    "unsubscribe": "removeSubscription",
    "alerts": "listAlerts",
    "replay": "replayAlert",
    "deadlines": "listDeadlines",
    "deadline": "getDeadline",
    "calendar": "getCalendar",
    "set_deadline": "setDeadline",
    "remove_deadline": "removeDeadline",
    "import_advisories": "importAdvisories",
    "incident_exposure": "getIncidentExposure",
    "exposed_bodies": "listExposedBodies",
    "solution_exposure": "getSolutionExposure",
    "own_exposure": "getOwnExposure",
    "heads": "listFeeds",
    "changes": "readFeed",
    "digests": "getDigests",
    "change_log": "followChanges",
    "receipt": "sendReceipt",
    "feedback": "sendFeedback",
    "withdrawals": "listWithdrawals",
    "refused": "listFeedback",
    "peers": "listPeers",
    "join": "joinFederation",
    "activate": "activatePeer",
    "suspend": "suspendPeer",
    "resume": "resumePeer",
    "leave": "leavePeer",
    "confirm": "confirmRemovals",
    "disconnect": "disconnect",
    "descriptor": "getDescriptor",
    "authorization_server": "getAuthorizationServer",
    "jwks": "getKeys",
    "token": "getToken",
    "revoke": "revokeToken",
    "introspect": "introspectToken",
    "openapi": "getOpenapi",
    "docs": "getDocs",
    "problem": "getProblem",
    "live": "getLiveness",
    "ready": "getReadiness",
    "metrics": "getMetrics",
}
"""operationIds, from which client generators make method names."""

TOLD: dict[str, tuple[int, str, Any]] = {
    "subscriptions": (200, "Who is told of what", SubscriptionsView),
    "subscribe": (201, "Subscribed", Subscribed),
    "unsubscribe": (204, "Removed", None),
    "alerts": (200, "The last alerts", AlertsView),
    "replay": (204, "It will be delivered again", None),
    "deadlines": (200, "The deadlines", DeadlinesView),
    "deadline": (200, "The deadline", DeadlineView),
    "set_deadline": (200, "The deadline as it is now", DeadlineView),
    "remove_deadline": (204, "Removed", None),
    "import_advisories": (200, "What became of each", ImportReport),
    "incident_exposure": (200, "Who is hit, as far as the caller may see", IncidentExposure),
    "exposed_bodies": (200, "The bodies, in the order of the register", ExposedBodies),
    "solution_exposure": (200, "The open incidents and who is hit", SolutionExposure),
    "own_exposure": (200, "A page", OwnExposure),
}
"""Answers of one struct: status, description and the struct, None without a body."""

HIDDEN = frozenset({"asset"})
_WRITE = (400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 503)
ERRORS: dict[str, tuple[int, ...]] = {
    "get": (400, 401, 403, 404, 410, 413, 503),
    "list": (400, 401, 403, 413, 503),
    "publish": (400, 401, 403, 408, 409, 412, 413, 415, 503),
    "publish_new": (400, 401, 403, 408, 409, 413, 415, 503),
    "patch": _WRITE,
    "append_update": _WRITE,
    "retract": (400, 401, 403, 404, 409, 412, 413, 503),
    "upload": (401, 403, 408, 413, 415, 503),
    "set_version": _WRITE,
    "subscriptions": (401, 403, 413, 503),
    "subscribe": (400, 401, 403, 408, 413, 415, 503),
    "unsubscribe": (401, 403, 404, 413, 503),
    "alerts": (400, 401, 403, 413, 503),
    "replay": (401, 403, 404, 413, 503),
    "deadlines": (401, 403, 413, 503),
    "deadline": (400, 401, 403, 404, 413, 503),
    "calendar": (401, 403, 413, 503),
    "set_deadline": (400, 401, 403, 404, 408, 413, 415, 503),
    "remove_deadline": (400, 401, 403, 404, 413, 503),
    "import_advisories": (400, 401, 403, 404, 408, 413, 415, 503),
    "incident_exposure": (400, 401, 403, 404, 410, 413, 503),
    "exposed_bodies": (400, 401, 403, 404, 410, 413, 503),
    "solution_exposure": (400, 401, 403, 404, 413, 503),
    "own_exposure": (400, 401, 403, 413, 503),
    "heads": (400, 401, 403, 404, 413, 503),
    "digests": (400, 401, 403, 404, 413, 503),
    "receipt": (400, 401, 403, 408, 413, 415, 503),
    "feedback": (400, 401, 403, 408, 413, 415, 503),
    "withdrawals": (401, 403, 413, 503),
    "refused": (401, 403, 413, 503),
    "confirm": (401, 403, 404, 413, 503),
    "changes": (400, 401, 403, 404, 406, 409, 410, 413, 503),
    "change_log": (400, 401, 403, 406, 409, 413, 503),
    "peers": (401, 403, 413, 503),
    "join": (400, 401, 408, 409, 413, 415, 502, 503),
    "activate": (400, 401, 403, 404, 408, 409, 413, 415, 502, 503),
    "suspend": (401, 403, 404, 409, 413, 503),
    "resume": (401, 403, 404, 409, 413, 503),
    "leave": (401, 403, 404, 413, 503),
    "disconnect": (401, 403, 404, 413, 503),
    "metrics": (401, 403, 413, 503),
    "problem": (404, 413),
    "ready": (413, 503),
    "token": (408, 413, 415, 503),
    "revoke": (408, 413, 415, 503),
    "introspect": (408, 413, 415, 503),
}
_REASONS = {
    400: "The request is not valid; the problem names the member at fault",
    401: "A valid access token is needed",
    403: "The caller may not do this",
    404: "There is nothing here that the caller may see",
    406: "The answer cannot be given in the form asked for",
    408: "The body did not come in time",
    409: "The request does not fit the present state",
    410: "It was here and has been retracted, or the cursor has expired",
    412: "The record is not at the state named",
    413: "The request is too large",
    415: "The body is of a type that is not read here",
    429: "Too many requests of the caller, or from its address",
    502: "Another node, which this needs, did not answer as it should",
    503: "The node cannot answer now",
    500: "Internal error",
}
_REF = "#/components/schemas/{name}"


def document(app: Litestar, base: str) -> dict[str, Any]:
    """The OpenAPI document of an application, as served at ``base``."""
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(app.routes, key=lambda route: route.path):
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.opt.get("act", "asset") not in HIDDEN:
                path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
                if path == "/":
                    continue  # the same page as /docs
                for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                    paths.setdefault(path, {})[method.lower()] = _operation(handler, path)
    return {
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Federation node",
            "version": federation.__version__,
            "summary": "What public digital-service operators pool: solutions, deployments and incidents",
            "description": (
                "Each operator runs a node and is the only writer of its records; nodes pull each other's"
                " feeds. Get a token with `POST /oauth2/token` (client credentials); CLEAR records are"
                " answered without one. A peer's token is bound to a key of its own: it is sent as"
                " `Authorization: DPoP` with a proof for each request (RFC 9449)."
            ),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base}],
        "tags": [
            *({"name": kind.plural, "description": _first(kind)} for kind in TYPES.values()),
            {"name": "exposure", "description": "Who is hit by an incident, and who has answered"},
            {"name": "alerts", "description": "Who is told of what, and by when authorities are to be told"},
            {"name": "feeds", "description": "What peers pull, and everything in order of arrival"},
            {"name": "peers", "description": "Other operators' nodes: who they are and how they join"},
            {"name": "node", "description": "The node itself: tokens, keys, health, documentation"},
        ],
        "paths": {path: dict(sorted(operations.items())) for path, operations in paths.items()},
        "components": {
            "schemas": components(),
            "securitySchemes": {
                "oauth2": {
                    "type": "oauth2",
                    "flows": {
                        "clientCredentials": {"tokenUrl": f"{base}/oauth2/token", "scopes": dict(SCOPES)}
                    },
                }
            },
        },
    }


def components() -> dict[str, Any]:
    """Schemas of everything that is sent and received, by name."""
    read: list[Any] = [_of(Document, kind) for kind in TYPES.values()]
    read += [
        Problem,
        Head,
        _bare_entry(),
        PeersView,
        RefusedLine,
        UploadSummary,
        RegistrationAnswer,
        PeerDecision,
        ConfirmedCopies,
    ]
    read += [SignedDigests, Leaves, WithdrawalsView, FeedbackView, Preview, Provenance]
    read += [shape for _, _, shape in TOLD.values() if shape is not None]
    sent: list[Any] = [_of(shape, kind) for kind in TYPES.values() for shape in (Draft, KeyedDraft)]
    sent += [
        NewUpdate,
        NewVersion,
        NewSubscription,
        ReportingDeadline,
        Registration,
        Code,
        SignedReceipt,
        Feedback,
    ]
    _, tolerant = msgspec.json.schema_components([*read], ref_template=_REF, schema_hook=_raw)
    _, strict = msgspec.json.schema_components(sent, ref_template=_REF, schema_hook=_raw)
    schemas = {_name(name): _renamed(schema, "") for name, schema in tolerant.items()}
    for name, schema in strict.items():
        schemas[_input(name)] = _closed(_renamed(schema, "Input"))
    for schema in schemas.values():
        schema.pop("title", None)
    schemas["Entry"]["properties"]["document"] = {
        "description": "The document as its origin wrote it down; absent in a withdrawal.",
        "type": "object",
    }
    for kind in TYPES.values():
        schemas[f"{kind.__name__}Page"] = {
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": {
                    "type": "array",
                    "items": {"$ref": f"#/components/schemas/{kind.__name__}Document"},
                },
                "next": {"type": "string", "format": "uri", "description": "Where the next page is."},
                "provenance": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/Provenance"},
                    "description": "What the answer rests on; with `Prefer: provenance`.",
                },
                "total": {"type": "integer", "minimum": 0},
                "total_is_exact": {
                    "type": "boolean",
                    "description": "False when there are more than `total`.",
                },
            },
        }
    schemas["Change"] = {
        **schemas["Entry"],
        "description": "One change of what the node holds, of any origin, in the order it arrived here.",
        "required": ["cursor", "op", "origin", "type", "key", "revision"],
        "properties": {
            "cursor": {"type": "string", "description": "The cursor after this change."},
            "origin": {"type": "string"},
            **{name: value for name, value in schemas["Entry"]["properties"].items() if name != "seq"},
        },
    }
    return dict(sorted(schemas.items()))


def json_schema(kind: type[Content]) -> dict[str, Any]:
    """The JSON Schema 2020-12 of documents of a type. Unknown members are allowed: versions differ."""
    schema = msgspec.json.schema(_of(Document, kind), schema_hook=_raw)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:federation:v1:{kind.type}",
        **schema,
    }


def _operation(handler: HTTPRouteHandler, path: str) -> dict[str, Any]:
    act = handler.opt["act"]
    kind: type[Content] | None = handler.opt.get("kind")
    words = {"type": kind.type, "plural": kind.plural} if kind else {}
    names = {"Type": kind.__name__, "Types": kind.plural.capitalize()} if kind else {}
    text = (handler.fn.__doc__ or "").strip()
    summary = text.format(**words) if kind else text
    operation: dict[str, Any] = {
        "operationId": NAMES[act].format(**names),
        "summary": summary.split(". ")[0].rstrip("."),
        "description": summary,
        "tags": [kind.plural if kind else _tag(act, path)],
        "security": _security(handler),
        "responses": {**_answers(act, kind), **_problems(handler)},
    }
    if parameters := _parameters(act, kind, path):
        operation["parameters"] = parameters
    if body := _body(act, kind):
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _tag(act: str, path: str) -> str:
    if act in ("peers", "join", "activate", "suspend", "resume", "leave", "confirm", "disconnect"):
        return "peers"
    if act == "import_advisories":
        return "incidents"
    if "exposure" in path:
        return "exposure"
    if path.startswith(("/v1/subscriptions", "/v1/alerts", "/v1/deadlines")):
        return "alerts"
    return "feeds" if path.startswith("/v1/") else "node"


def _security(handler: HTTPRouteHandler) -> list[dict[str, list[str]]]:
    right = right_of(handler)
    if right.scope is None:
        return []
    with_token = {"oauth2": [right.scope]}
    return [{}, with_token] if right.open else [with_token]


def _problems(handler: HTTPRouteHandler) -> dict[str, Any]:
    act = handler.opt["act"]
    statuses = {*ERRORS.get(act, (413,)), 500}
    if not handler.opt.get("reads"):
        statuses.add(400)  # for a body
    if RIGHTS[act].counted != "not":
        statuses.add(429)
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {
            "description": _REASONS[status],
            "content": content,
            **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in sorted(statuses)
    }


_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_ETAG = {
    "ETag": {
        "description": "SHA-256 of the record, the same at every node.",
        "required": True,
        "schema": {"type": "string"},
    }
}


def _answers(act: str, kind: type[Content] | None) -> dict[str, Any]:
    def body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {media_type: {"schema": schema}}

    def ref(name: str) -> dict[str, str]:
        return {"$ref": f"#/components/schemas/{name}"}

    anything = body(JSON, {"type": "object"})
    if kind is not None:
        record = {"headers": _ETAG, "content": body(JSON, ref(f"{kind.__name__}Document"))}
        preview = body(JSON, ref("Preview"))
        either = body(JSON, {"anyOf": [ref(f"{kind.__name__}Document"), ref("Preview")]})
        revised = {
            "description": "Revised, or unchanged; with `dry_run`, what would change at other operators",
            "headers": {"ETag": {**_ETAG["ETag"], "required": False}},
            "content": either,
        }
        previewed = {"description": "What would change at other operators (`dry_run`)", "content": preview}
        created = {
            "description": "Published",
            **record,
            "headers": {
                **_ETAG,
                "Location": {"required": True, "schema": {"type": "string", "format": "uri"}},
            },
        }
        match act:
            case "get":
                return {
                    "200": {"description": "The record", **record},
                    "304": {"description": "You have it", "headers": _ETAG},
                }
            case "list":
                link = {"Link": {"description": "The next page (RFC 8288).", "schema": {"type": "string"}}}
                return {
                    "200": {
                        "description": "A page",
                        "headers": link,
                        "content": body(JSON, ref(f"{kind.__name__}Page")),
                    }
                }
            case "publish" | "patch" | "append_update" | "set_version":
                return {"200": revised, "201": created} if act == "publish" else {"200": revised}
            case "publish_new":
                return {"200": previewed, "201": created}
            case "retract":
                return {"200": previewed, "204": {"description": "Retracted", "headers": _ETAG}}
            case "upload":
                line = {
                    "anyOf": [
                        ref("RefusedLine"),
                        {"type": "object", "properties": {"summary": ref("UploadSummary")}},
                    ]
                }
                return {"200": {"description": "A line for each record refused, then a summary", "content": {
                    NDJSON: {"schema": line}}}}  # fmt: skip
    if found := TOLD.get(act):
        status, description, shape = found
        content = {"content": body(JSON, ref(shape.__name__))} if shape else {}
        return {str(status): {"description": description, **content}}
    paged = {"cursor": {"type": "string"}, "more": {"type": "boolean"}}
    match act:
        case "heads":
            feeds = {"type": "object", "properties": {"feeds": {"type": "array", "items": ref("Head")}}}
            return {
                "200": {
                    "description": "The feeds. As NDJSON they are the first line; lines of news may follow.",
                    "headers": _ETAG,
                    "content": {**body(JSON, feeds), NDJSON: {"schema": feeds}},
                },
                "304": {"description": "No head has moved", "headers": _ETAG},
            }
        case "changes" | "change_log":
            entry = ref("Entry" if act == "changes" else "Change")
            page = {"type": "object", "properties": {"entries": {"type": "array", "items": entry}, **paged}}
            content = {**body(JSON, page), **body(NDJSON, entry)}
            if act == "change_log":
                content["text/event-stream"] = {"schema": {"type": "string"}}
            return {"200": {"description": "Entries after the cursor, in order", "content": content}}
        case "calendar":
            return {"200": {"description": "A calendar", "content": body(CALENDAR, {"type": "string"})}}
        case "digests":
            either = body(JSON, {"anyOf": [ref("SignedDigests"), ref("Leaves")]})
            return {"200": {"description": "The digests, or the leaves of one bucket", "content": either}}
        case "receipt" | "feedback":
            return {"204": {"description": "Noted"}}
        case "withdrawals":
            return {"200": {"description": "Withdrawals", "content": body(JSON, ref("WithdrawalsView"))}}
        case "refused":
            several = {"type": "array", "items": ref("FeedbackView")}
            told = {"type": "object", "required": ["refused"], "properties": {"refused": several}}
            return {"200": {"description": "What peers could not take", "content": body(JSON, told)}}
        case "confirm":
            return {"200": {"description": "They go on", "content": body(JSON, ref("ConfirmedCopies"))}}
        case "peers":
            return {"200": {"description": "The peers", "content": body(JSON, ref("PeersView"))}}
        case "join":
            return {
                "201": {
                    "description": "Registered, as pending",
                    "content": body(JSON, ref("RegistrationAnswer")),
                }
            }
        case "activate" | "suspend" | "resume" | "leave":
            return {
                "200": {"description": "The peer as it is now", "content": body(JSON, ref("PeerDecision"))}
            }
        case "disconnect":
            return {"204": {"description": "Noted"}}
        case "revoke" | "introspect":
            done: dict[str, Any] = {"description": "What the token is worth", "content": anything}
            return {
                "200": done if act == "introspect" else {"description": "It does not hold, whatever it was"},
                **_oauth_errors(body),
            }
        case "token":
            return {"200": {"description": "An access token", "content": anything}, **_oauth_errors(body)}
        case "docs" | "problem":
            return {
                "200": {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}}
            }
        case "metrics":
            return {
                "200": {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
            }
    return {"200": {"description": "The answer", "content": anything}}


def _oauth_errors(body: Callable[[str, dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    error = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    return {
        "400": {"description": "RFC 6749, 5.2", "content": body(JSON, error)},
        "401": {"description": "The client could not be authenticated", "content": body(JSON, error)},
    }


def _body(act: str, kind: type[Content] | None) -> dict[str, Any] | None:
    def ref(name: str) -> dict[str, str]:
        return {"$ref": f"#/components/schemas/{name}"}

    if kind is not None:
        example = DRAFTS[kind.type]
        match act:
            case "publish" | "publish_new":
                return {JSON: {"schema": ref(f"{kind.__name__}Draft"), "example": example}}
            case "patch":
                return {MERGE_PATCH: {"schema": {"type": "object"}, "example": {"tlp": "GREEN"}}}
            case "upload":
                return {
                    NDJSON: {
                        "schema": ref(f"{kind.__name__}KeyedDraft"),
                        "example": {"key": KEYS[kind.type], **example},
                    }
                }
            case "append_update":
                return {JSON: {"schema": ref("NewUpdate"), "example": UPDATE}}
            case "set_version":
                return {JSON: {"schema": ref("NewVersion"), "example": {"version": "10.0.18"}}}
    if act == "join":
        return {JSON: {"schema": ref("Registration"), "example": REGISTRATION}}
    if act == "subscribe":
        return {JSON: {"schema": ref("NewSubscription"), "example": SUBSCRIPTION}}
    if act == "set_deadline":
        return {JSON: {"schema": ref("ReportingDeadlineInput"), "example": DEADLINE}}
    if act == "import_advisories":
        return {form: {"schema": {"type": "object"}, "example": ADVISORY} for form in (JSON, NDJSON)}
    if act == "activate":
        return {JSON: {"schema": ref("Code"), "example": {"code": "4821 9033 1177 2604"}}}
    if act == "receipt":
        return {JSON: {"schema": ref("SignedReceipt"), "example": {"receipt": "eyJ0eXAiOi….eyJpc3Mi….MEUC…"}}}
    if act == "feedback":
        return {JSON: {"schema": ref("Feedback"), "example": FEEDBACK}}
    if act in ("revoke", "introspect"):
        form = {"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}}
        return {"application/x-www-form-urlencoded": {"schema": form}}
    if act == "token":
        properties = {
            "grant_type": {"const": "client_credentials"},
            "scope": {
                "type": "string",
                "description": "Scopes, separated by spaces; all of the client's without.",
            },
            "resource": {"type": "string", "format": "uri"},
            "client_assertion_type": {"type": "string"},
            "client_assertion": {"type": "string", "description": "RFC 7523; instead of HTTP Basic."},
        }
        form = {"type": "object", "required": ["grant_type"], "properties": properties}
        return {"application/x-www-form-urlencoded": {"schema": form}}
    return None


_HEADERS: dict[str, tuple[str, str]] = {
    "If-Match": ("The ETag of the state you have seen; 412 when the record has moved on.", "string"),
    "If-None-Match": (
        "The ETag you have (304), or `*` to publish only what is not there yet (412).",
        "string",
    ),
    "Prefer": (
        f"`wait=25`: answer when a head moves, within so many seconds (at most {LONGEST_WAIT}).",
        "string",
    ),
    "Prefer: provenance": ("`provenance`: say what the answer rests on, feed by feed.", "string"),
    "Last-Event-ID": ("The cursor to go on from, for server-sent events.", "string"),
}
_HEADERS_OF = {
    "list": ("Prefer: provenance",),
    "get": ("If-None-Match",),
    "publish": ("If-Match", "If-None-Match"),
    "patch": ("If-Match", "If-None-Match"),
    "append_update": ("If-Match", "If-None-Match"),
    "set_version": ("If-Match", "If-None-Match"),
    "retract": ("If-Match",),
    "heads": ("If-None-Match", "Prefer"),
    "change_log": ("Last-Event-ID",),
}


def _parameters(act: str, kind: type[Content] | None, path: str) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _NAMED[name]},
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    if act == "list" and kind is not None:
        parameters += [_filter(kind, name) for name in filters_of(kind)]
        parameters += [{"name": name, "in": "query", **_CONTROL[name]} for name in CONTROLS]
    if act == "import_advisories":
        parameters += [
            {"name": "dry_run", "in": "query", "schema": {"enum": ["true", "false"]}},
            {
                "name": "solution",
                "in": "query",
                "description": "What the advisories are about (origin/key), when it is not to be found out.",
                "schema": {"type": "array", "items": {"type": "string"}},
                "style": "form",
                "explode": True,
            },
        ]
    if act == "alerts":
        parameters.append({"name": "parked", "in": "query", "schema": {"enum": ["true", "false"]}})
    if act == "own_exposure":
        parameters.append({"name": "mine", "in": "query", "required": True, "schema": {"const": "true"}})
        parameters += [{"name": name, "in": "query", **_CONTROL[name]} for name in ("limit", "after")]
    if act in ("publish", "publish_new", "patch", "retract"):
        parameters += [_QUERIED["dry_run"]]
    if act == "heads":
        parameters += [_QUERIED["origin"], _QUERIED["as"]]
    if act == "digests":
        parameters += [_QUERIED["bucket"]]
    if act == "changes":
        parameters += [_QUERIED["numbers"]]
    if act in ("changes", "change_log"):
        parameters += [
            {"name": "after", "in": "query", "schema": {"type": "string"}, "description": "A cursor."},
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": PAGE_ENTRIES, "default": PAGE_ENTRIES},
            },
        ]
    parameters += [
        {
            "name": name.partition(":")[0],
            "in": "header",
            "description": _HEADERS[name][0],
            "schema": {"type": _HEADERS[name][1]},
        }
        for name in _HEADERS_OF.get(act, ())
    ]
    return parameters


_QUERIED: dict[str, dict[str, Any]] = {
    name: {"name": name, "in": "query", "description": description, "schema": schema}
    for name, description, schema in (
        ("dry_run", "Change nothing, and say what would appear and disappear where.", {"type": "boolean"}),
        (
            "origin",
            "Feeds of this operator, as far as they are held here; this node's own without.",
            {"type": "string", "pattern": OPERATOR_PATTERN},
        ),
        (
            "as",
            "What this peer sees here; for administrators (`node.admin`).",
            {"type": "string", "pattern": OPERATOR_PATTERN},
        ),
        (
            "bucket",
            "The leaves of this bucket instead of all digests.",
            {"type": "string", "pattern": "^[0-9a-f]{2}$"},
        ),
        (
            "numbers",
            f"The entries at these numbers, at most {MAX_NUMBERS}, as NDJSON;"
            " instead of `after` and `limit`.",
            {"type": "string", "pattern": "^[1-9][0-9]{0,15}(,[1-9][0-9]{0,15})*$"},
        ),
    )
}
_NAMED = {
    "origin": OPERATOR_PATTERN,
    "operator": OPERATOR_PATTERN,
    "key": KEY_PATTERN,
    "audience": GROUP_PATTERN,
    "code": r"^[a-z-]+$",
    "id": r"^[0-9a-f-]{36}$",
    "form": "^(cve|osv|csaf)$",
}
"""What parameters of a path look like."""
_CONTROL: dict[str, dict[str, Any]] = {
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
    "sort": {"schema": {"enum": list(SORTS), "default": "-updated_at"}},
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE}},
    "after": {"description": "Where the last page ended.", "schema": {"type": "string"}},
    "total": {"description": "Count what is found, up to 1 000.", "schema": {"type": "boolean"}},
}


def _filter(kind: type[Content], name: str) -> dict[str, Any]:
    about = {
        "origin": "Operator that writes the record.",
        "tlp": "TLP label.",
        "beneficiary": "A body served: SIREN, INSEE code, or scheme:value.",
        "solution": "origin/key of a solution.",
    }
    values: dict[str, Any] = {"type": "string"}
    if name == "tlp":
        values["enum"] = list(TLPS)
    else:
        properties = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
        if "enum" in (found := properties.get(name, {})):
            values["enum"] = found["enum"]
    return {
        "name": name,
        "in": "query",
        "description": f"{about.get(name, f'Value of {name}.')} Several are alternatives.",
        "schema": {"type": "array", "items": values},
        "style": "form",
        "explode": True,
    }


def _bare_entry() -> Any:
    """``Entry`` less its document: msgspec has no schema for raw bytes."""
    fields = [
        (field.name, field.type, field.default)
        if field.default is not msgspec.NODEFAULT
        else (field.name, field.type)
        for field in msgspec.structs.fields(FeedEntry)
        if field.name != "document"
    ]
    return msgspec.defstruct("Entry", fields, kw_only=True, namespace={"__doc__": FeedEntry.__doc__})


def _of(shape: Any, kind: type[Content]) -> Any:
    return shape[kind]


def _raw(kind: Any) -> dict[str, Any]:
    if kind is msgspec.Raw:
        return {"type": "object"}
    raise NotImplementedError(kind)


def _first(kind: type[Content]) -> str:
    return (kind.__doc__ or "").strip().split("\n")[0]


def _name(name: str) -> str:
    """``Document_Solution_`` is called ``SolutionDocument``."""
    if found := re.fullmatch(r"(\w+?)_(\w+)_", name):
        return found[2] + found[1]
    return name


_ONLY_SENT = frozenset(
    {"NewUpdate", "NewVersion", "NewSubscription", "Registration", "Code", "SignedReceipt", "Feedback"}
)


def _input(name: str) -> str:
    return _name(name) if name.endswith("_") or name in _ONLY_SENT else f"{name}Input"


def _renamed(schema: Any, suffix: str) -> Any:
    if isinstance(schema, dict):
        renamed = {name: _renamed(value, suffix) for name, value in schema.items()}
        if isinstance(renamed.get("$ref"), str):
            name = schema["$ref"].rsplit("/", 1)[-1]
            renamed["$ref"] = _REF.format(name=_input(name) if suffix else _name(name))
        mapping = (
            renamed.get("discriminator", {}).get("mapping")
            if isinstance(renamed.get("discriminator"), dict)
            else None
        )
        if mapping:
            for tag, target in schema["discriminator"]["mapping"].items():
                name = target.rsplit("/", 1)[-1]
                mapping[tag] = _REF.format(name=_input(name) if suffix else _name(name))
        return renamed
    if isinstance(schema, list):
        return [_renamed(value, suffix) for value in schema]
    return schema


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "object" and "properties" in schema:
        return {**schema, "additionalProperties": False}
    return schema
