"""Collections of records: read, list, publish, revise, retract, and the same few verbs for every type."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from datetime import datetime
from typing import Any, Generic

import msgspec

from federation.client import merge_patch
from federation.client.drafts import MERGE_PATCH, encode_draft, preconditions, replaces_nothing
from federation.client.errors import Conflict, PreconditionFailed, Retracted
from federation.client.names import Filter, OwnOperator, moment_text, query_pairs, record_path
from federation.client.previews import Previews
from federation.client.record_view import C, Page, RecordView, read_page
from federation.client.replacements import Replacement, plan_replacement
from federation.client.sender import JSON, Sender
from federation.client.uploads import Line, Progress, UploadReport, send_parts
from federation.domain.visibility import Tlp

MAX_UPDATE_ATTEMPTS = 5
"""Reads and conditional writes of one ``update``, while somebody else writes the same record."""
WALK_RECORDS = 500
"""Records on a page of a walk."""


class Collection(Generic[C]):
    """The records of one type at a node.

    A ``key`` without ``/`` names a record of the node's own operator; ``origin/key`` names any record.
    """

    def __init__(self, sender: Sender, kind: type[C], own_operator: OwnOperator) -> None:
        self._sender = sender
        self._kind = kind
        self._own_operator = own_operator
        self._base = f"/v1/{kind.plural}"

    @property
    def preview(self) -> Previews[C]:
        """The same writes as dry runs: nothing changes, and the answer has the effect at other operators."""
        return Previews(self._sender, self._path)

    # Read

    async def get(self, key: str) -> RecordView[C]:
        """One record. Raises NotFound, or Retracted."""
        answer = await self._sender.send("GET", await self._path(key))
        return RecordView(answer.body, self._kind)

    async def refresh(self, record: RecordView[C]) -> RecordView[C]:
        """The present state of a record; the same object where it has not changed. Raises NotFound,
        Retracted."""
        answer = await self._sender.send(
            "GET", await self._path(record.id), headers={"if-none-match": record.etag}
        )
        return record if answer.status == 304 else RecordView(answer.body, self._kind)

    async def list(
        self,
        q: str | None = None,
        *,
        sort: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        total: bool = False,
        updated_since: datetime | str | None = None,
        updated_before: datetime | str | None = None,
        **filters: Filter,
    ) -> Page[C]:
        """One page. ``filters`` are those of the type; a sequence gives alternative values."""
        controls = {
            "q": q,
            "sort": sort,
            "limit": None if limit is None else str(limit),
            "after": after,
            "total": "true" if total else None,
            "updated_since": moment_text(updated_since),
            "updated_before": moment_text(updated_before),
        }
        answer = await self._sender.send(
            "GET",
            self._base,
            parameters=tuple(query_pairs({**controls, **filters})),
            headers={"accept": JSON},
        )
        return read_page(answer.body, self._kind)

    async def search(self, words: str, **filters: Filter) -> Page[C]:
        """The records that match these words best, and a suggestion where none does."""
        return await self.list(words, **filters)  # type: ignore[arg-type] # a control among the filters is one, too

    async def walk(self, *, limit: int = WALK_RECORDS, **filters: Filter) -> AsyncIterator[RecordView[C]]:
        """All records that match, page after page, in the order of their ids.

        That order does not change when a record is revised: none that is there all the time is left out.
        """
        after: str | None = None
        while True:
            page = await self.list(sort="id", limit=limit, after=after, **filters)  # type: ignore[arg-type]
            for record in page.items:
                yield record
            after = page.after
            if after is None:
                return

    # Write

    async def publish(
        self,
        key: str,
        content: C,
        *,
        tlp: Tlp | None = None,
        audience: str | None = None,
        same_as: Sequence[str] = (),
        if_match: str | None = None,
        only_new: bool = False,
    ) -> RecordView[C]:
        """Publish a record, or replace its content. The same content again changes nothing.

        Without ``tlp`` the record has the usual label of its type. ``if_match``: only if the record is at
        the state with this ``etag``; ``only_new``: only if there is none. Raises PreconditionFailed
        otherwise, and Invalid.
        """
        headers = {"content-type": JSON, **preconditions(if_match, only_new=only_new)}
        body = encode_draft(content, tlp=tlp, audience=audience, same_as=same_as)
        try:
            answer = await self._sender.send("PUT", await self._path(key), content=body, headers=headers)
        except PreconditionFailed as error:
            return await self._own_write(key, error, lambda value: replaces_nothing(value, body))
        return RecordView(answer.body, self._kind, created=answer.status == 201)

    async def publish_new(
        self,
        content: C,
        *,
        tlp: Tlp | None = None,
        audience: str | None = None,
        same_as: Sequence[str] = (),
    ) -> RecordView[C]:
        """Publish a record under a key that the node makes. Raises Invalid."""
        body = encode_draft(content, tlp=tlp, audience=audience, same_as=same_as)
        answer = await self._sender.send("POST", self._base, content=body, headers={"content-type": JSON})
        return RecordView(answer.body, self._kind, created=True)

    async def patch(
        self, key: str, change: Mapping[str, Any], *, if_match: str | None = None
    ) -> RecordView[C]:
        """Change the members that a JSON Merge Patch (RFC 7396) names; ``None`` removes one.

        Raises NotFound, Retracted, Invalid, PreconditionFailed.
        """
        headers = {"content-type": MERGE_PATCH, **preconditions(if_match)}
        body = msgspec.json.encode(change)
        try:
            answer = await self._sender.send("PATCH", await self._path(key), content=body, headers=headers)
        except PreconditionFailed as error:
            patch = msgspec.json.decode(body)
            return await self._own_write(key, error, lambda value: merge_patch.apply(patch, value) == value)
        return RecordView(answer.body, self._kind)

    async def update(
        self, key: str, change: Callable[[C], C], *, attempts: int = MAX_UPDATE_ATTEMPTS
    ) -> RecordView[C]:
        """Change a record by a function of its content, whoever else writes it at the same time.

        The record is read, changed and written back on the condition that it is still as it was read; else
        all of it is done again, ``attempts`` times. Only the members that the function changed are sent,
        so what a newer version has added stays. Raises PreconditionFailed when somebody else was quicker
        each time.
        """
        for attempt in range(1, attempts + 1):
            record = await self.get(key)
            before = record.content
            after = change(before)
            patch = merge_patch.difference(msgspec.to_builtins(before), msgspec.to_builtins(after))
            if not patch:
                return record
            try:
                return await self.patch(record.id, {"content": patch}, if_match=record.etag)
            except (PreconditionFailed, Conflict):
                if attempt == attempts:
                    raise
        raise ValueError("attempts is 1 or more")

    async def retract(self, key: str, *, if_match: str | None = None) -> None:
        """Put a tombstone in the place of a record, at every peer. Raises NotFound, PreconditionFailed."""
        try:
            await self._sender.send("DELETE", await self._path(key), headers=preconditions(if_match))
        except PreconditionFailed as error:
            # An attempt before has retracted it, where only its answer was lost.
            if not (error.repeated and await self._is_retracted(key)):
                raise

    async def upload(
        self,
        drafts: Iterable[Line[C]] | AsyncIterable[Line[C]],
        *,
        progress: Progress | None = None,
        lines_per_upload: int | None = None,
        set_name: str | None = None,
    ) -> UploadReport:
        """Publish many records: drafts with their keys, read as they are sent, any number of them.

        They go in uploads of some thousands, and each is repeated if it breaks. The report counts all of
        them and has the refused ones; ``progress`` is called with it after each upload. ``set_name``: the
        set that the records are in from now on. Raises UploadIncomplete.
        """
        report = UploadReport()
        uploads = self.upload_parts(drafts, lines_per_upload=lines_per_upload, set_name=set_name)
        async with aclosing(uploads) as parts:
            async for part in parts:
                report.add(part)
                if progress is not None:
                    progress(report)
        return report

    def upload_parts(
        self,
        drafts: Iterable[Line[C]] | AsyncIterable[Line[C]],
        *,
        lines_per_upload: int | None = None,
        set_name: str | None = None,
    ) -> AsyncGenerator[UploadReport, None]:
        """The same, with the report of each upload by itself."""
        return send_parts(
            self._sender,
            f"{self._base}/bulk",
            drafts,
            lines_per_upload=lines_per_upload,
            set_name=set_name,
        )

    async def plan_replacement(
        self, set_name: str, records: int, drafts: Iterable[Line[C]] | AsyncIterable[Line[C]]
    ) -> Replacement:
        """Try what replacing a set of records by an inventory would do; ``carry_out`` of the answer does it.

        ``records`` is the number that the inventory has: take it from there, and do not count ``drafts``.
        """
        return await plan_replacement(self._sender, f"{self._base}/bulk", set_name, records, drafts)

    # Names

    async def _path(self, key: str) -> str:
        return f"{self._base}/{await record_path(key, self._own_operator)}"

    async def _act(
        self, key: str, part: str, body: msgspec.Struct, if_match: str | None, *, idempotent: bool
    ) -> RecordView[C]:
        """Carry out an act on a record that is no revision as a whole; the record as it is then.

        ``idempotent``: whether a second time leaves the same. Else it has a key, and its answer is stored.
        """
        answer = await self._sender.send(
            "POST",
            f"{await self._path(key)}/{part}",
            content=msgspec.json.encode(body),
            headers={"content-type": JSON, **preconditions(if_match)},
            idempotent=idempotent or None,
        )
        return RecordView(answer.body, self._kind)

    async def _is_retracted(self, key: str) -> bool:
        try:
            await self.get(key)
        except Retracted:
            return True
        return False

    async def _own_write(
        self, key: str, error: PreconditionFailed, is_done: Callable[[Any], bool]
    ) -> RecordView[C]:
        """The record, where an earlier attempt wrote it and its answer was lost. Else raises the error."""
        if error.repeated:
            record = await self.get(key)
            if is_done(record.to_builtins()):
                return record
        raise error
