"""The pages that ``help`` of a problem leads to: its meaning, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from federation.domain.errors import Refused
from federation.edge.statuses import INTERNAL_ERROR, METHOD_NOT_ALLOWED, STATUS, TITLES


class Page(msgspec.Struct, frozen=True):
    """One problem."""

    title: str
    status: int
    meaning: str
    remedy: str


_WORDS: dict[str, tuple[str, str]] = {
    "invalid": (
        "The request cannot be understood, or it breaks a rule of the schema. Nothing was changed.",
        "`errors` names every member at fault, by its pointer (RFC 6901), and every parameter of the query, "
        "by `?` and its name, with the values that are allowed.",
    ),
    "unauthenticated": (
        "The operation needs an access token, and none came or the one that came does not hold.",
        "Get one at /oauth2/token. Tokens hold for five minutes and fall with their client.",
    ),
    "forbidden": ("The caller is known and may not do this.", "Ask the administrator of the node."),
    "not-the-writer": (
        "A record is written by one operator only, its origin, on the origin's own node.",
        "Send it to the node of the operator whose id is in the path, with a client of that operator.",
    ),
    "missing-scope": (
        "The token does not carry the scope that this operation asks for.",
        "Ask for the scope when getting the token, or have the client given it: federation client add.",
    ),
    "audience-revoked": (
        "The feed is for an audience that the caller is not, or is no longer, in.",
        "Drop every copy held of this feed.",
    ),
    "not-found": (
        "There is nothing here that the caller may see. What is hidden and what does not exist look alike.",
        "Check the id. For records that are not CLEAR, send a token.",
    ),
    "retracted": ("The record was here; its operator has retracted it.", "Drop your copy."),
    "precondition-failed": (
        "The record is not at the state that If-Match or If-None-Match names: somebody wrote it in between.",
        "Get it again, look at what changed, and send your change with the new ETag.",
    ),
    "conflict": ("The write does not fit the present state.", "Try again."),
    "request-in-progress": (
        "A request with the same Idempotency-Key is being carried out at this moment.",
        "Send the same request again in a few seconds: it has the answer of the first one then.",
    ),
    "answer-not-stored": (
        "The request with this Idempotency-Key was carried out. Its answer has shown a secret, which is not "
        "stored, so it cannot be repeated.",
        "The detail says how to look at what was made, and how to have a new secret.",
    ),
    "plan-changed": (
        "An upload was to be carried out as its dry run has shown, and would do something else: the records "
        "here have changed since, the upload is another one, or no digest was given. Nothing was changed.",
        "Look at a new dry run, and send the upload with its digest. The answer has it, too: `digest`.",
    ),
    "idempotency-key-reused": (
        "An earlier request of the same client for the same operation had this Idempotency-Key, and it was "
        "another request. Nothing was changed.",
        "Make a new key for each new request, a UUID for example; use it again only to repeat that request.",
    ),
    "cursor-refused": ("The cursor cannot be used.", "Start from zero."),
    "cursor-expired": (
        "The cursor is older than the tombstones still kept, so deletions after it may be missing.",
        "Read the feed from zero and compare with what you hold.",
    ),
    "cursor-in-future": (
        "The cursor is beyond the end of the feed. With an unchanged epoch this must not happen.",
        "Do not reset silently: find out which of the two nodes was restored or tampered with.",
    ),
    "epoch-changed": (
        "The feed was minted anew: its node was restored from a backup or promoted.",
        "Read the feed from zero and compare with what you hold.",
    ),
    "too-large": ("The request is larger than is read.", "The limits are at /.well-known/federation."),
    "too-slow": (
        "The body did not come in time: nothing of it for ten seconds, or not all of it within thirty; or "
        "newer requests of the same caller needed its place. "
        "(Bulk uploads may last longer, if they do not fall silent.) Nothing was changed.",
        "Send it again, over a connection that carries it. Large amounts go into a bulk upload.",
    ),
    "unsupported-media-type": (
        "The body is of a type, charset or encoding that is not read here.",
        "Send UTF-8, not compressed, with the Content-Type that the API documentation names.",
    ),
    "not-acceptable": (
        "The answer cannot be given in the form asked for.",
        "Leave Accept out, or ask for JSON.",
    ),
    "too-many-requests": (
        "The caller, or everybody at its address together, asks more often than one may, or has too many "
        "requests, waits or streams under way at once; or too many attempts to authenticate from there have "
        "failed. Nothing was changed.",
        "Wait for the seconds that Retry-After names. Follow changes instead of asking for everything "
        "again, keep a token for as long as it holds, and use bulk uploads.",
    ),
    "unavailable": ("The node cannot answer now.", "Try again after the time that Retry-After names."),
    "unreachable": (
        "Another operator's node, which this needs, could not be reached or did not answer as it should.",
        "The detail says which and how. Nothing was changed here.",
    ),
    "forged": (
        "What another operator's node showed of a feed is not what its origin signed: a record was altered, "
        "left out, put in another order, or an old state was shown as the newest. The detail names the node.",
        "Nothing of it was kept. Tell its administrator, and that of the origin.",
    ),
    "peer-down": (
        "Another operator's node, which this needs, did not answer, or answered that it cannot now.",
        "Try again later. Nothing was changed here.",
    ),
    "access-refused": (
        "Another operator's node, which this needs, refuses this one: no token, or 401, or 403.",
        "The detail has its reason: the clocks may differ, or its administrator has suspended this node.",
    ),
    "raced": (
        "Other writers of the same records came first. Nothing was changed.",
        "Try again after the time that Retry-After names.",
    ),
    "method-not-allowed": ("The path does not take this method.", "Allow names those it takes."),
    "internal-error": (
        "The node failed in a way it should not. Nothing was half done.",
        "Tell the administrator of the node; its log has the trace.",
    ),
    "refused": ("The request was refused.", "The detail says why."),
}


def _kinds(kind: type[Refused]) -> Iterator[type[Refused]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _kinds(inner)


PROBLEMS: dict[str, Page] = {
    **{kind.code: Page(kind.title, STATUS.get(kind, 400), *_WORDS[kind.code]) for kind in _kinds(Refused)},
    METHOD_NOT_ALLOWED: Page(TITLES[METHOD_NOT_ALLOWED], 405, *_WORDS[METHOD_NOT_ALLOWED]),
    INTERNAL_ERROR: Page(TITLES[INTERNAL_ERROR], 500, *_WORDS[INTERNAL_ERROR]),
}
"""Every problem there is, by its code."""
