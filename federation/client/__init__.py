"""A typed asynchronous client of a node, for its operator's own programs.

    async with Client("https://node.example.org", client_id, client_secret) as client:
        solution = await client.solutions.get("glpi")

It imports the domain alone, and nothing of the server. Contents are the structs of
``federation.domain.content``.
"""

from federation.client.changes import Change, SnapshotEnd
from federation.client.client import Client
from federation.client.errors import (
    ClientError,
    Conflict,
    ConnectionFailed,
    CursorExpired,
    CursorInFuture,
    CursorRefused,
    EpochChanged,
    Forbidden,
    Invalid,
    NotFound,
    NotUnderstood,
    PreconditionFailed,
    ProblemFault,
    RequestRefused,
    Retracted,
    TokenRefused,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    UploadIncomplete,
)
from federation.client.record_view import Page, RecordView
from federation.client.records import Collection
from federation.client.tokens import AccessToken
from federation.client.uploads import RefusedRecord, UploadReport

__all__ = [
    "AccessToken",
    "Change",
    "Client",
    "ClientError",
    "Collection",
    "Conflict",
    "ConnectionFailed",
    "CursorExpired",
    "CursorInFuture",
    "CursorRefused",
    "EpochChanged",
    "Forbidden",
    "Invalid",
    "NotFound",
    "NotUnderstood",
    "Page",
    "PreconditionFailed",
    "ProblemFault",
    "RecordView",
    "RefusedRecord",
    "RequestRefused",
    "Retracted",
    "SnapshotEnd",
    "TokenRefused",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAnswer",
    "UploadIncomplete",
    "UploadReport",
]
