"""The node: a handful of verbs that an operator, its IT systems and its peers can use.

Everything that is refused is refused here or below with an error of ``domain/errors.py``; the edges
(HTTP, command line) only translate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from federation.domain.audit import OPERATOR, Refusals
from federation.domain.document import (
    Draft,
    Envelope,
    Record,
    check_draft,
    check_id,
    draft_of,
    mint_key,
    says_the_same,
    tombstone,
    write_down,
)
from federation.domain.errors import (
    AudienceRevoked,
    Conflict,
    CursorExpired,
    CursorInFuture,
    EpochChanged,
    Invalid,
    NotFound,
    NotTheWriter,
    PreconditionFailed,
    Raced,
    Refused,
    Retracted,
    Unavailable,
    Unreachable,
)
from federation.domain.feed import PAGE_ENTRIES, Cursor, FeedName, Head
from federation.domain.group import Group, group_changes, members_changed
from federation.domain.incident import Incident, NewUpdate, Update
from federation.domain.joining import code
from federation.domain.peer import Outside
from federation.domain.proof import (
    HALF_LIFE,
    MOST_ASKED,
    CopyState,
    Leaves,
    ProofOfFeed,
    copy_state,
)
from federation.domain.query import Place, Query
from federation.domain.values import Content, as_instant
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, Caller, audience_of, may_see
from federation.keys import Keyring
from federation.store.database import Reading, Store, Writing
from federation.store.digests import Copy
from federation.store.feeds import Place as FeedPlace
from federation.store.records import Held, Leaving, NodeState, Stored, locks_of
from federation.watch import Kept, News, Watch

TOMBSTONES_DAYS = 90
"""Days that a tombstone is kept, unless the settings say otherwise."""

RACES = 20
"""How often a write that another one overtook is begun again."""


class Retract:
    """The wish to retract a record."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of one wish: the record as it is now."""

    key: str
    revision: int
    document: bytes
    hash: bytes
    retracted: bool
    created: bool = False
    changed: bool = False


class Preconditions(msgspec.Struct, frozen=True):
    """The state of the record that the caller counts on (RFC 9110, 13.1)."""

    match: frozenset[str] | None = None
    """Hashes in hexadecimal, one of which the record must have; ``*`` for any."""
    none_match: frozenset[str] | None = None
    """Hashes the record must not have; ``*`` when there must be no record."""

    def check(self, name: str, held: Held | None) -> None:
        """Raises PreconditionFailed."""
        there = held is not None and not held.retracted
        now = held.hash.hex() if held else ""
        if self.match is not None and not (there and ("*" in self.match or now in self.match)):
            state = f"is at revision {held.revision}" if held else "does not exist"
            raise PreconditionFailed(f"{name} {state}, not at the state that If-Match names")
        if self.none_match is not None and there and ("*" in self.none_match or now in self.none_match):
            raise PreconditionFailed(f"{name} is there already, at revision {held.revision if held else 0}")


NONE = Preconditions()


class FeedPage(msgspec.Struct, frozen=True):
    """Rows of a feed (see ``store.feeds.entries``) and where they end."""

    rows: list[Any]
    epoch: str
    head: int
    cursor: Cursor
    more: bool


class FeedView(msgspec.Struct, frozen=True):
    """How far a peer's feed has been taken, and what is proved of the copy."""

    audience: str
    taken: int
    """Number up to which it was taken."""
    head: int | None
    """Number the peer last told as its end; null before a first contact."""
    count: int
    """Records held, tombstones not counted."""
    state: CopyState
    verified_at: str | None
    """When the origin signed what the copy was last found equal to."""
    verified_seq: int | None
    age_seconds: int | None
    """How old that proof is now."""
    alarm: str | None
    """What an administrator should look at; null when all is well."""
    via: str | None
    """The peer that the last entries were relayed by; null for the origin itself."""
    waits: str | None
    """Removals that wait for `federation peer confirm`."""


class PeerView(msgspec.Struct, frozen=True):
    """A peer as an administrator sees it."""

    operator: str
    name: str
    url: str
    state: str
    thumbprint: str
    code: str | None
    """While it is pending: what its administrator must see, too, before it is activated."""
    contacted_at: str | None
    failures: int
    failure: str | None
    next_try_at: str | None
    lag: int
    """Entries told and not yet taken, over all feeds."""
    feeds: tuple[FeedView, ...]


class AsideView(msgspec.Struct, frozen=True):
    """An entry that was set aside, and why."""

    origin: str
    audience: str
    type: str
    key: str
    seq: int
    revision: int
    reason: str
    detail: str
    at: str


class InvitationView(msgspec.Struct, frozen=True):
    """An invitation that nobody has used yet."""

    note: str
    created_at: str
    expires_at: str


class PeersView(msgspec.Struct, frozen=True):
    """Peers and what they sent that could not be taken."""

    peers: tuple[PeerView, ...]
    invitations: tuple[InvitationView, ...]
    set_aside: tuple[AsideView, ...]


class Certified(msgspec.Struct, frozen=True):
    """What the part of an answer rests on that comes from one feed."""

    operator: str
    audience: str
    epoch: str
    seq: int
    """Number up to which this node has the feed."""
    state: Literal["own", "unproved", "verified", "stale", "diverged"]
    checkpoint_at: str | None
    """When the origin signed what the copy was last found equal to."""
    checkpoint_seq: int | None
    """The number at which it was."""
    checkpoint: str | None
    """The origin's signature over the state that this node has; null while that has moved on."""


class Effect(msgspec.Struct, frozen=True):
    """What a change would do to a record at other operators."""

    type: str
    key: str
    appears_at: tuple[str, ...]
    """Peers that would get it; ``*`` stands for everybody, without a token."""
    disappears_from: tuple[str, ...]
    """Peers that would have to drop it."""


class Preview(msgspec.Struct, frozen=True):
    """What a change would do at other operators; nothing was changed."""

    dry_run: bool
    effects: tuple[Effect, ...]
    records: int
    """How many records appear or disappear; the first ``MOST_SHOWN`` of them are named."""

    @classmethod
    def nothing(cls) -> Preview:
        """A change that changes nothing."""
        return cls(dry_run=True, effects=(), records=0)


class DryRun(Exception):
    """Nothing was changed, as asked; holds what would have been."""

    def __init__(self, preview: Preview) -> None:
        super().__init__("a dry run")
        self.preview = preview


MOST_SHOWN = 1_000

Wish = Callable[[str, "Held | None"], "Draft[Any] | Retract | None"]
"""Given a key and what is held, what the writer wants; None to leave it. May raise Refused."""


class Node:
    """One operator's node, over its database."""

    def __init__(
        self,
        *,
        operator: str,
        url: str,
        name: str,
        store: Store,
        keyring: Keyring,
        state: NodeState,
        outside: Outside | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tombstones_days: int = TOMBSTONES_DAYS,
    ) -> None:
        self.operator = operator
        self.url = url
        self.name = name
        self.store = store
        self.keyring = keyring
        self.clock = clock
        self.tombstones_days = tombstones_days
        """For how long tombstones and withdrawals are kept."""
        self._outside = outside
        self.watch = Watch(store, state)
        self._reading_keys = asyncio.Lock()
        self.watch.on_trust_change(self.read_keys)
        self.refusals = Refusals()
        """Refused access, counted here and noted in the audit trail by ``housekeeping.py``."""
        self.stopping = asyncio.Event()
        """Set when the process has been asked to end: waits end, streams close."""

    @property
    def outside(self) -> Outside:
        """Other nodes. Raises Unreachable in a process that has no way to them."""
        if self._outside is None:
            raise Unreachable("this process has no network")
        return self._outside

    async def read_keys(self) -> None:
        """Hold the keys that the database has now."""
        # One at a time: a slow reader must not put back what a later one has replaced.
        async with self._reading_keys, self.store.read() as tx:
            self.keyring.reload(await tx.clients.keys())

    def stop(self) -> None:
        """End waits and streams: the process is to stop."""
        self.stopping.set()
        self.watch.wake()

    # Publishing

    async def publish(
        self,
        kind: type[Content],
        draft: Draft[Any],
        origin: str,
        key: str,
        *,
        by: Caller,
        preconditions: Preconditions = NONE,
        dry_run: bool = False,
    ) -> Outcome:
        """Publish a record or revise it; the same content again changes nothing.

        With ``dry_run`` nothing is changed, and DryRun says what would become of it at other operators.
        """
        self._check_writer(by, origin, key)

        def wish(key: str, held: Held | None) -> Draft[Any]:
            preconditions.check(f"{origin}/{key}", held)
            return draft

        return await self._one(kind, key, wish, by=by, dry_run=dry_run)

    async def publish_new(
        self, kind: type[Content], draft: Draft[Any], *, by: Caller, dry_run: bool = False
    ) -> Outcome:
        """Publish a record under a key minted for it."""
        return await self.publish(kind, draft, self.operator, mint_key(), by=by, dry_run=dry_run)

    async def patch(
        self,
        kind: type[Content],
        patch: dict[str, Any],
        origin: str,
        key: str,
        *,
        by: Caller,
        preconditions: Preconditions = NONE,
        dry_run: bool = False,
    ) -> Outcome:
        """Revise a record by JSON Merge Patch (RFC 7396)."""
        self._check_writer(by, origin, key)

        def wish(key: str, held: Held | None) -> Draft[Any]:
            preconditions.check(f"{origin}/{key}", held)
            current = self._document(f"{origin}/{key}", held)
            shape: Any = Draft
            return check_draft(merge_patch(draft_of(current), patch), shape[kind])  # type: ignore[no-any-return]

        return await self._one(kind, key, wish, by=by, dry_run=dry_run)

    async def retract(
        self,
        kind: type[Content],
        origin: str,
        key: str,
        *,
        by: Caller,
        preconditions: Preconditions = NONE,
        dry_run: bool = False,
    ) -> Outcome:
        """Retract a record: a tombstone takes its place, at every peer. Retracting again changes nothing."""
        self._check_writer(by, origin, key)

        def wish(key: str, held: Held | None) -> Retract:
            preconditions.check(f"{origin}/{key}", held)
            if held is None:
                raise NotFound(f"{kind.type} {origin}/{key} does not exist")
            return Retract()

        return await self._one(kind, key, wish, by=by, dry_run=dry_run)

    async def append_update(
        self,
        update: NewUpdate,
        origin: str,
        key: str,
        *,
        by: Caller,
        preconditions: Preconditions = NONE,
    ) -> Outcome:
        """Append a line to an incident's timeline, and move its status when the line names one."""
        self._check_writer(by, origin, key)

        def wish(key: str, held: Held | None) -> Draft[Any]:
            preconditions.check(f"{origin}/{key}", held)
            draft = draft_of(self._document(f"{origin}/{key}", held))
            now = as_instant(self.clock())
            content = draft["content"]
            was_resolved = content["status"] == "resolved"
            content["status"] = update.status or content["status"]
            line = Update(at=update.at or now, status=content["status"], text=update.text)
            content["updates"] = [*content.get("updates", ()), msgspec.to_builtins(line)]
            if content["status"] != "resolved":
                content.pop("resolved_at", None)
            elif not was_resolved:
                content["resolved_at"] = line.at
            return check_draft(draft, Draft[Incident])  # type: ignore[no-any-return]

        return await self._one(Incident, key, wish, by=by)

    async def upload(
        self, kind: type[Content], drafts: Mapping[str, Draft[Any]], *, by: Caller
    ) -> dict[str, Outcome | Refused]:
        """Publish many records in one transaction; what is refused does not keep the rest from being kept."""
        self._check_writer(by, self.operator, "bulk")
        return await self._revise(kind, sorted(drafts), lambda key, _: drafts[key], by=by)

    async def _one(
        self, kind: type[Content], key: str, wish: Wish, *, by: Caller, dry_run: bool = False
    ) -> Outcome:
        outcome: Outcome | Refused | None = None
        if not dry_run and kind is not Group:
            outcome = await self._at_once(kind, key, wish)
        if outcome is None:
            outcome = (await self._revise(kind, [key], wish, by=by, dry_run=dry_run))[key]
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    async def _at_once(self, kind: type[Content], key: str, wish: Wish) -> Outcome | None:
        """Carry out the wish for one record that stays in its feed: look at it, keep it by one statement.

        None where it does not stay: who may see it changes then, and that is noted in the same transaction.
        And where another writer was faster: the longer way has writers of one key queue.
        """
        async with self.store.single(keeps=1) as tx:
            was, feeds = await tx.records.standing(kind.type, self.operator, key)
            record = self._written(kind, key, was, wish(key, was), self.clock())
            if record is None:
                return _unchanged(key, was)
            feed = feeds.get(record.audience)
            if record.audience not in feeds or (was is not None and (was.retracted or was.feed != feed)):
                return None
            try:
                live = (not record.retracted) - (was is not None)
                state, seq = await tx.records.keep_one(self.operator, record, feed, live)
            except Raced:
                return None
            row = (seq, record.retracted, record.type, key, record.revision, record.hash, record.document)
            name = None if feed is None else FeedName(self.operator, record.audience)
            self.watch.saw(state, Kept(name, live, row))
        await asyncio.sleep(0)  # who waits for it comes before who wrote it: that is the longer way
        return _changed(record, was)

    def check_origin(self, origin: str, key: str) -> None:
        """Raises NotTheWriter for records of another origin: known before a body is read."""
        check_id(origin, key)
        if origin != self.operator:
            raise NotTheWriter(
                f"only {origin} writes the records of {origin}, on its own node;"
                f" this is the node of {self.operator}"
            )

    def _check_writer(self, by: Caller, origin: str, key: str) -> None:
        self.check_origin(origin, key)
        if not by.own:
            raise NotTheWriter(f"only {origin}'s own clients write the records of {origin}")

    async def _revise(
        self, kind: type[Content], keys: Sequence[str], wish: Wish, *, by: Caller, dry_run: bool = False
    ) -> dict[str, Outcome | Refused]:
        """Carry out one wish per key in one transaction.

        The records are locked first and the numbers are taken last, see ``store/records.py``.
        """
        locks = locks_of(kind.type, keys)
        for _ in range(RACES):
            try:
                async with self.store.write(keeps=len(keys), locks=locks) as tx:
                    outcomes, any_change = await self._try(tx, kind, keys, wish, by, dry_run=dry_run)
            except Raced:
                continue
            if any_change:
                self.watch.nudge()
            return outcomes
        raise Conflict("other writers were always first; try again")

    async def _try(
        self, tx: Writing, kind: type[Content], keys: Sequence[str], wish: Wish, by: Caller, *, dry_run: bool
    ) -> tuple[dict[str, Outcome | Refused], bool]:
        held = await tx.records.held(kind.type, self.operator, keys)
        now = self.clock()
        feeds: dict[str, int | None] = {PRIVATE: None}
        kept: list[tuple[Record, int | None, int]] = []
        leaving: list[Leaving] = []
        outcomes: dict[str, Outcome | Refused] = {}
        for key in keys:
            was = held.get(key)
            try:
                record = self._written(kind, key, was, wish(key, was), now)
                if record is not None and record.audience not in feeds:
                    feeds[record.audience] = await self._feed(tx, record)
            except Refused as refused:
                outcomes[key] = refused
                continue
            if record is None:
                outcomes[key] = _unchanged(key, was)
                continue
            feed = feeds[record.audience]
            was_live = was is not None and not was.retracted
            stays = was is not None and was.feed == feed
            if was is not None and was.feed is not None and not stays:
                leaving.append(Leaving(kind.type, key, was.feed, record.revision, was_live))
            kept.append((record, feed, (not record.retracted) - (was_live and stays)))
            await self._note(tx, was, record, by)
            outcomes[key] = _changed(record, was)
        if dry_run and len(kept) == len(outcomes):
            # Raised within the transaction, which undoes all of it.
            raise DryRun(await self._preview(tx, [(held.get(record.key), record) for record, _, _ in kept]))
        if kept:
            await tx.records.keep(self.operator, kept, leaving)
        return outcomes, bool(kept)

    async def _preview(self, tx: Writing, changes: list[tuple[Held | None, Record]]) -> Preview:
        """What these changes do at the peers there are now."""
        peers = frozenset(peer.operator for peer in await tx.peers.all() if peer.state == "active")
        effects: list[Effect] = []
        number = 0

        async def readers(audience: str) -> frozenset[str]:
            if audience == PUBLIC:
                return peers | {"*"}
            if audience in (FEDERATION, PRIVATE):
                return peers if audience == FEDERATION else frozenset()
            return peers & await tx.records.members_of(audience, node=self.operator)

        for was, record in changes:
            before: frozenset[str] = frozenset()
            if was is not None and not was.retracted and was.document:
                told = msgspec.json.decode(was.document, type=Envelope)
                before = await readers(audience_of(told.tlp, told.audience))
            after = frozenset() if record.retracted else await readers(record.audience)
            if before != after:
                effects.append(
                    Effect(
                        record.type, record.key, tuple(sorted(after - before)), tuple(sorted(before - after))
                    )
                )
                number += 1
            if record.type == Group.type:
                held = was.document if was is not None and not was.retracted else None
                came, went = members_changed(held, None if record.retracted else record.document)
                if (came | went) & peers:
                    names, total = await tx.records.live_names(self.operator, record.key, MOST_SHOWN)
                    number += total
                    effects += [
                        Effect(type_, key, tuple(sorted(came & peers)), tuple(sorted(went & peers)))
                        for type_, key in names
                    ]
        return Preview(dry_run=True, effects=tuple(effects[:MOST_SHOWN]), records=number)

    async def _note(self, tx: Writing, was: Held | None, record: Record, by: Caller) -> None:
        """Note what changes who may see: a record's audience, the members of a group."""
        actor = by.client or OPERATOR
        if was is not None and was.document:
            before = msgspec.json.decode(was.document, type=Envelope)
            if (audience := audience_of(before.tlp, before.audience)) != record.audience:
                await tx.audit.note(
                    "visibility.changed",
                    actor=actor,
                    subject=f"{record.type} {record.id}",
                    detail={"from": audience, "to": record.audience, "revision": record.revision},
                )
        if record.type == Group.type:
            held = was.document if was is not None and not was.retracted else None
            came, went = members_changed(held, None if record.retracted else record.document)
            if went:
                await tx.receipts.departed(self.operator, record.key, sorted(went))
            if came:
                await tx.receipts.returned(self.operator, record.key, sorted(came))
            for part in group_changes(held, None if record.retracted else record.document):
                await tx.audit.note(
                    "group.changed",
                    actor=actor,
                    subject=record.id,
                    detail={**part, "revision": record.revision},
                )

    def _written(
        self,
        kind: type[Content],
        key: str,
        was: Held | None,
        wanted: Draft[Any] | Retract | None,
        now: datetime,
    ) -> Record | None:
        """The record that a wish makes; None when it changes nothing."""
        # A clock that was set back must not make a document older than its own creation.
        if was is not None:
            now = max(now, was.created_at)
        if wanted is None:
            return None
        if isinstance(wanted, Retract):
            if was is None or was.retracted or was.document is None:
                return None
            return tombstone(was.document, updated_at=now)
        if was is not None and not was.retracted and was.document and says_the_same(wanted, was.document):
            return None
        before = draft_of(was.document)["content"] if was and not was.retracted and was.document else None
        wanted.content.check_after(before)
        if was is None:
            try:
                kind.check_key(key)
            except ValueError as error:
                raise Invalid(str(error)) from None
        return write_down(
            wanted,
            kind,
            self.operator,
            key,
            revision=was.revision + 1 if was else 1,
            created_at=was.created_at if was else now,
            updated_at=now,
        )

    async def _feed(self, tx: Writing, record: Record) -> int:
        audience = record.audience
        if (
            not record.retracted
            and audience not in (PUBLIC, FEDERATION)
            and not await tx.records.has_group(audience, node=self.operator)
        ):
            raise Invalid(
                f"there is no group {audience} here; make it first:"
                f" PUT /v1/groups/{self.operator}/{audience}",
                pointer="/audience",
            )
        return (await tx.feeds.open(FeedName(self.operator, audience), self.watch.state.epoch)).id

    @staticmethod
    def _document(name: str, held: Held | None) -> bytes:
        if held is None or held.document is None:
            raise NotFound(f"{name} does not exist")
        if held.retracted:
            raise Retracted(f"{name} has been retracted")
        return held.document

    # Reading

    async def find(self, kind: type[Content], origin: str, key: str, *, by: Caller) -> Stored:
        """The record as it is stored, or its tombstone. Hidden and absent are one answer: NotFound."""
        check_id(origin, key)
        async with self.store.look() as tx:
            stored = await tx.records.find(kind.type, origin, key, seen_by=by)
        if stored is None:
            raise NotFound(f"there is no {kind.type} {origin}/{key} that you may see")
        return stored

    async def collect(self, query: Query, *, by: Caller) -> tuple[list[bytes], Place | None, int | None]:
        """A page of documents, where the next one begins, and how many there are if that was asked."""
        async with self.store.read() as tx:
            return await tx.records.collect(query, seen_by=by)

    async def heads(self, *, by: Caller, origin: str | None = None) -> tuple[Head, ...]:
        """The heads of this node's feeds that the caller may read, or of another origin's that it holds."""
        async with self.store.look() as tx:
            return tuple(place.told for place in await tx.feeds.of(origin or self.operator, seen_by=by))

    async def news(
        self,
        before: tuple[Head, ...],
        *,
        by: Caller,
        most: int,
        most_bytes: int,
        since: tuple[NodeState, NodeState] | None = None,
    ) -> tuple[tuple[Head, ...], tuple[News, ...]]:
        """The heads of this node's feeds that the caller may read, and what is new since other ones.

        Of a feed with more than ``most`` new entries, or more than so many bytes of them, nothing is told,
        nor of one in another epoch. Which groups a peer is in is looked up here. ``since``: the states of the
        node when this caller was about to be shown those other ones, and when it was woken.
        """
        if since is not None and (told := self.watch.news(before, *since, most_bytes)):
            return told
        async with self.store.look() as tx:
            places, found = await tx.feeds.news(before, most, most_bytes, seen_by=by)
        known = {head.name: Cursor(head.epoch, head.seq) for head in before}
        news = (News(place.name, known[place.name], found[place.id]) for place in places if place.id in found)
        return tuple(place.told for place in places), tuple(news)

    async def changes(
        self, feed: FeedName, after: Cursor | None, *, by: Caller, limit: int = PAGE_ENTRIES
    ) -> FeedPage:
        """A page of a feed, by whom may read it: one of this node, or another origin's as it is held here."""
        async with self.store.read() as tx:
            place = await self._readable(tx, feed, by)
            rows, more = await tx.feeds.entries(place, after, limit)
        seq = rows[-1][0] if rows else after.seq if after else 0
        epoch = place.epoch or ""
        return FeedPage(rows, epoch, place.head, Cursor(epoch, seq), more)

    async def numbered(self, feed: FeedName, numbers: Sequence[int], *, by: Caller) -> FeedPage:
        """The entries of a feed at these numbers, those that are still there, as many as a page holds."""
        if len(numbers) > MOST_ASKED:
            raise Invalid(f"at most {MOST_ASKED} entries are asked for at once", pointer="?numbers")
        async with self.store.read() as tx:
            place = await self._readable(tx, feed, by)
            rows = await tx.feeds.numbered(place, numbers)
        epoch = place.epoch or ""
        return FeedPage(rows, epoch, place.head, Cursor(epoch, rows[-1][0] if rows else 0), False)

    async def proof(self, feed: FeedName, *, by: Caller) -> ProofOfFeed:
        """The digests of a feed, with its origin's checkpoint over them. Unavailable while there is none."""
        async with self.store.read() as tx:
            place = await self._readable(tx, feed, by)
            held = await tx.digests.find(place.id)
        if held is None or held.checkpoint is None:
            raise Unavailable(f"there is no checkpoint of {feed} here at this moment; try again")
        return ProofOfFeed(
            epoch=place.epoch or "",
            seq=held.seq,
            retained_from=held.retained_from,
            count=held.count,
            root=held.state.root,
            checkpoint=held.checkpoint,
            buckets=tuple(held.buckets[at : at + 32].hex() for at in range(0, len(held.buckets), 32)),
        )

    async def leaves(self, feed: FeedName, bucket: int, *, by: Caller) -> Leaves:
        """The leaves of one bucket of a feed, as they are now."""
        async with self.store.read() as tx:
            place = await self._readable(tx, feed, by)
            seq, since, lines = await tx.digests.leaves(place.id, bucket)
        return Leaves(
            epoch=place.epoch or "",
            seq=seq,
            retained_from=since,
            bucket=f"{bucket:02x}",
            leaves=tuple(lines),
        )

    async def _readable(self, tx: Reading, feed: FeedName, by: Caller) -> FeedPlace:
        """The feed, if the caller may read it here. Raises AudienceRevoked; for what is not there, too.

        Feeds of other origins are relayed to whom may see their records here: those for everybody and for
        the federation. Groups are their origin's own.
        """
        place = None
        if may_see(feed.origin, feed.audience, by) and feed.audience != PRIVATE:
            place = await tx.feeds.find(feed)
        if place is None or place.epoch is None:
            if feed.origin != self.operator and feed.audience in (PUBLIC, FEDERATION):
                raise NotFound(f"this node holds nothing of {feed} that you may see")
            raise AudienceRevoked(f"you are not in the audience of {feed}; drop what you hold of it")
        return place

    async def arrivals(
        self, after: Cursor | None, *, by: Caller, limit: int = PAGE_ENTRIES
    ) -> tuple[list[Any], Cursor, bool]:
        """What this node holds, in the order it arrived: rows, where they end, whether there are more."""
        epoch = self.watch.state.epoch
        async with self.store.read() as tx:
            state = await tx.feeds.state()
            if after is not None:
                # The same answers as a feed gives, so that a client has one way to go on.
                check_arrival(after, epoch, state)
            seq = after.seq if after else 0
            rows, more = await tx.records.arrivals(seq, state.arrival, limit, seen_by=by)
        return rows, Cursor(epoch, rows[-1][0] if more else max(seq, state.arrival)), more

    async def peers(self) -> PeersView:
        """The peers of this node, how far their feeds have been taken, and what was set aside."""
        async with self.store.read() as tx:
            peers, feeds, aside = await tx.peers.all(), await tx.feeds.all(), await tx.feeds.set_aside()
            invited, copies = await tx.peers.invited(), await tx.digests.copies()
        now = self.clock()
        kid = self.keyring.kid
        codes = {
            # (Drawn slowly, so beside the loop.)
            peer.operator: await asyncio.to_thread(code, kid, peer.thumbprint)
            for peer in peers
            if peer.state == "pending"
        }
        return PeersView(
            peers=tuple(
                PeerView(
                    operator=peer.operator,
                    name=peer.name,
                    url=peer.url,
                    state=peer.state,
                    thumbprint=peer.thumbprint,
                    code=codes.get(peer.operator),
                    contacted_at=as_instant(peer.contacted_at) if peer.contacted_at else None,
                    failures=peer.failures,
                    failure=peer.failure,
                    next_try_at=as_instant(peer.next_try_at) if peer.next_try_at else None,
                    lag=sum(
                        max((f.remote_head or 0) - f.head, 0) for f in feeds if f.origin == peer.operator
                    ),
                    feeds=tuple(
                        feed_view(f, copies.get(f.name, Copy()), now)
                        for f in feeds
                        if f.origin == peer.operator
                    ),
                )
                for peer in peers
            ),
            invitations=tuple(
                InvitationView(
                    note=one.note,
                    created_at=as_instant(one.created_at),
                    expires_at=as_instant(one.expires_at),
                )
                for one in invited
            ),
            set_aside=tuple(
                AsideView(
                    origin=one.origin,
                    audience=one.audience,
                    type=one.type,
                    key=one.key,
                    seq=one.seq,
                    revision=one.revision,
                    reason=one.reason,
                    detail=one.detail,
                    at=as_instant(one.at),
                )
                for one in aside
            ),
        )

    async def certificate(self, *, by: Caller) -> tuple[Certified, ...]:
        """What an answer rests on: for each operator's feed that the caller may see, how it is proved.

        One's own feeds are as they are now; copies are as old as what was signed of them.
        """
        now = self.clock()
        async with self.store.read() as tx:
            places, copies = await tx.feeds.all(), await tx.digests.copies()
            held = {place.id: await tx.digests.find(place.id) for place in places}
        found = []
        for place in places:
            if place.epoch is None or not may_see(place.origin, place.audience, by):
                continue
            digest, own = held[place.id], place.origin == self.operator
            copy = feed_view(place, copies.get(place.name, Copy()), now)
            signed = digest.signed_at if digest else None
            found.append(
                Certified(
                    operator=place.origin,
                    audience=place.audience,
                    epoch=place.epoch,
                    seq=place.head,
                    state="own" if own else copy.state,
                    checkpoint_at=as_instant(signed) if own and signed else copy.verified_at,
                    checkpoint_seq=(digest.seq if digest else None) if own else copy.verified_seq,
                    checkpoint=digest.checkpoint if digest else None,
                )
            )
        return tuple(found)

    async def copies(self) -> dict[FeedName, FeedView]:
        """The copies of other operators' feeds, and what is proved of each."""
        async with self.store.read() as tx:
            feeds, copies = await tx.feeds.all(), await tx.digests.copies()
        now = self.clock()
        return {
            place.name: feed_view(place, copies.get(place.name, Copy()), now)
            for place in feeds
            if place.origin != self.operator and place.epoch is not None
        }

    async def groups_of(self, operator: str) -> frozenset[str]:
        """The groups of this node that a peer is a member of, now."""
        async with self.store.look() as tx:
            return await tx.records.groups_of(operator, node=self.operator)


def _unchanged(key: str, was: Held | None) -> Outcome:
    if was is None:
        raise AssertionError("a wish left a record that does not exist")
    return Outcome(key, was.revision, was.document or b"", was.hash, was.retracted)


def _changed(record: Record, was: Held | None) -> Outcome:
    return Outcome(
        record.key,
        record.revision,
        record.document,
        record.hash,
        record.retracted,
        created=was is None or was.retracted,
        changed=True,
    )


def check_arrival(after: Cursor, epoch: str, state: NodeState) -> None:
    """Raises EpochChanged, CursorInFuture or CursorExpired."""
    if after.epoch != epoch:
        raise EpochChanged(f"this node is now of epoch {epoch}: begin without a cursor")
    if after.seq > state.arrival:
        raise CursorInFuture(f"the last change has number {state.arrival}, the cursor is at {after.seq}")
    if 0 < after.seq < state.arrivals_from:
        raise CursorExpired(
            f"tombstones are kept from {state.arrivals_from} on: begin without a cursor, and drop what does"
            " not come again"
        )


def feed_view(place: FeedPlace, copy: Copy, now: datetime) -> FeedView:
    """A copy as an administrator sees it."""
    state = copy_state(
        copy.compared, copy.expires_at.timestamp() if copy.expires_at else None, now.timestamp()
    )
    age = max(0, int((now - copy.verified_at).total_seconds())) if copy.verified_at else None
    alarm = None
    if copy.braked:
        alarm = f"waits to be confirmed: {copy.braked}"
    elif state == "diverged":
        alarm = copy.detail
    elif age is not None and age >= HALF_LIFE:
        alarm = f"the newest proof is {age // 60} minutes old"
    return FeedView(
        audience=place.audience,
        taken=place.head,
        head=place.remote_head,
        count=place.live,
        state=state,
        verified_at=as_instant(copy.verified_at) if copy.verified_at else None,
        verified_seq=copy.verified_seq,
        age_seconds=age,
        alarm=alarm,
        via=copy.via,
        waits=copy.braked,
    )


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
