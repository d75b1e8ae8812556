// The copies of one origin's feeds: which entry replaces what, what a withdrawal drops, how a copy is compared with a
// checkpoint (docs/reference/protocol.md, "Taking entries", "Comparing", "Mass deletion", "Exclusions").
//
// Every change is an operation. Operations are collected in memory and written by `commit`, as one transaction.

import { bucketDigests, bucketOf, rootOf } from "./digests.mjs";
import { Rejected } from "./documents.mjs";
import { parse } from "./json.mjs";
import { seconds } from "./requests.mjs";

export const MAX_REMOVALS = 100;
export const MAX_VERIFICATION_AGE_SECONDS = 1800;

const idOf = ({ type, key }) => `${type}/${key}`;

export class Copies {
  constructor(origin, journal) {
    this.origin = origin;
    this.journal = journal;
    this.records = new Map(); // id → record, in whichever feed
    this.withdrawn = new Map(); // "audience id" → { revision, seq }
    this.rejected = new Map(); // "audience id", or "audience seq" of what is unreadable → entry without content
    this.feeds = new Map(); // audience → where the copy is
    this.receipts = new Map(); // audience → the receipt that is pending
    this.pending = [];
    for (const operation of journal.read()) this.apply(operation);
    journal.compact([...this.snapshot()]);
  }

  static maps = ["records", "withdrawn", "rejected", "feeds", "receipts"];

  apply([map, key, value]) {
    if (!Copies.maps.includes(map)) throw new Error(`the journal has an unknown operation: ${map}`);
    if (value === null) this[map].delete(key);
    else this[map].set(key, value);
  }

  set(map, key, value) {
    this.apply([map, key, value]);
    this.pending.push([map, key, value]);
  }

  *snapshot() {
    for (const map of Copies.maps) for (const [key, value] of this[map]) yield [map, key, value];
  }

  /** Write what was changed since the last time, as one transaction. */
  commit() {
    if (this.pending.length) this.journal.append(this.pending);
    this.pending = [];
  }

  feed(audience) {
    return this.feeds.get(audience);
  }

  setFeed(audience, changes) {
    const empty = { epoch: null, seq: 0, retainedFrom: 0, verified: null, except: [], exceptAt: 0, seenAt: 0 };
    this.set("feeds", audience, { ...empty, ...this.feed(audience), ...changes });
  }

  recordsOf(audience) {
    return [...this.records.values()].filter((record) => record.audience === audience);
  }

  rejectedOf(audience) {
    return [...this.rejected.values()].filter((entry) => entry.audience === audience);
  }

  count(audience) {
    return this.recordsOf(audience).filter((record) => record.op === "upsert").length;
  }

  /** How many live records one round may remove before an administrator has confirmed it. */
  bound(audience) {
    return Math.max(MAX_REMOVALS, Math.floor(this.count(audience) / 5));
  }

  /** Whether an entry makes a live record of this feed a tombstone. */
  removes(audience, entry) {
    const record = this.records.get(idOf(entry));
    const live = record?.op === "upsert" && record.audience === audience;
    return entry.op === "delete" && live && record.revision < entry.revision;
  }

  /** Store a verified entry. Rejected if it contradicts what is stored; with `signed`, the entry is right. */
  store(audience, entry, { signed = false } = {}) {
    const id = idOf(entry);
    const place = `${audience} ${id}`;
    const record = this.records.get(id);
    const here = record?.audience === audience ? record : undefined;
    const withdrawal = this.withdrawn.get(place);
    const newest = Math.max(here?.revision ?? 0, withdrawal?.revision ?? 0);
    if (!signed && entry.revision < newest)
      throw new Rejected("regressing-revision", `revision ${newest} is stored`, entry);
    if (entry.op === "withdraw") {
      if (here && here.revision <= entry.revision) this.set("records", id, null);
      this.set("withdrawn", place, { revision: entry.revision, seq: entry.seq });
      this.clearRejected(audience, id);
      return;
    }
    if (record && record.revision === entry.revision && record.hash !== entry.hash && !signed)
      throw new Rejected("changed-at-same-revision", "the same revision is stored with another hash", entry);
    if (!here && record && record.revision > entry.revision && !signed) return; // it has moved since
    const { seq, op, type, key, revision, hash, fault } = entry;
    const stored = { type, key, revision, op, hash, seq, audience, bucket: bucketOf(type, key) };
    if (fault !== undefined) stored.fault = fault;
    this.set("records", id, { ...stored, bytes: entry.bytes.toString() });
    if (withdrawal) this.set("withdrawn", place, null);
    this.clearRejected(audience, id);
  }

  /** Read records again that were not understood: this version may understand them. */
  readAgain(schemas) {
    for (const [id, record] of this.records) {
      if (record.fault === undefined) continue;
      const fault = schemas.fault(parse(Buffer.from(record.bytes)));
      if (fault !== record.fault) this.set("records", id, { ...record, fault });
    }
    this.commit();
  }

  clearRejected(audience, id) {
    if (this.rejected.has(`${audience} ${id}`)) this.set("rejected", `${audience} ${id}`, null);
  }

  reject(audience, error) {
    const { seq, type, key, revision } = error.entry;
    const name = type === undefined ? String(seq) : `${type}/${key}`;
    const previous = this.rejected.get(`${audience} ${name}`);
    if (previous && previous.seq === seq && previous.reason === error.reason) return;
    const entry = { audience, seq, type, key, revision, reason: error.reason, detail: error.detail, reported: false };
    this.set("rejected", `${audience} ${name}`, entry);
  }

  /** Give a record of this feed another number. */
  renumber(id, seq) {
    this.set("records", id, { ...this.records.get(id), seq });
  }

  dropRecord(id) {
    const { audience } = this.records.get(id);
    this.set("records", id, null);
    this.clearRejected(audience, id);
  }

  /** Drop what the origin no longer stores: tombstones and withdrawals up to this number. */
  forgetTombstones(audience, retainedFrom) {
    for (const record of this.recordsOf(audience))
      if (record.op === "delete" && record.seq <= retainedFrom) this.set("records", idOf(record), null);
    for (const [place, { seq }] of this.withdrawn)
      if (place.startsWith(`${audience} `) && seq <= retainedFrom) this.set("withdrawn", place, null);
    this.setFeed(audience, { retainedFrom });
  }

  /** Drop a whole feed, since the reader may no longer read it; a receipt is then pending. */
  purge(audience) {
    const { epoch, seq } = this.feed(audience);
    for (const [id, record] of this.records) if (record.audience === audience) this.set("records", id, null);
    for (const map of ["withdrawn", "rejected"])
      for (const place of this[map].keys()) if (place.startsWith(`${audience} `)) this.set(map, place, null);
    this.set("feeds", audience, null);
    if (epoch) this.set("receipts", audience, { epoch, seq, purged: true });
    this.commit();
  }

  digests(audience, retainedFrom) {
    return bucketDigests(this.recordsOf(audience), retainedFrom);
  }

  /** Whether a copy, where it is, is what this checkpoint signs. */
  equals(audience, checkpoint) {
    const { retainedFrom } = this.feed(audience);
    return (
      checkpoint.retainedFrom === retainedFrom &&
      checkpoint.count === this.count(audience) &&
      checkpoint.root === rootOf(this.digests(audience, retainedFrom))
    );
  }

  /** Note the outcome of a comparison; a receipt follows when numbers may have been withdrawn unseen. */
  noteVerified(audience, checkpoint, via) {
    const { epoch, seq, iat, exp } = checkpoint;
    const feed = this.feed(audience);
    const since = feed.comparedSeq ?? 0;
    const numbers = this.recordsOf(audience).filter((record) => record.seq > since && record.seq <= seq).length;
    if (numbers < seq - since && !this.receipts.has(audience))
      this.set("receipts", audience, { epoch, seq, purged: false });
    const verified = { epoch, seq, iat, exp };
    this.setFeed(audience, { verified, diverged: null, alarm: null, comparedSeq: seq, via });
  }

  noteDiverged(audience, reason) {
    this.setFeed(audience, { diverged: reason });
  }

  /** Store what a verified checkpoint says beyond its root: the exclusions, and that it has been seen. */
  noteCheckpoint(audience, checkpoint, fromOrigin) {
    const { exceptAt = 0, except = [], seenAt = 0 } = this.feed(audience) ?? {};
    const changes = { seenAt: Math.max(seenAt, checkpoint.iat) };
    if (fromOrigin || checkpoint.iat > exceptAt)
      Object.assign(changes, { except: checkpoint.except, exceptAt: checkpoint.iat });
    else if (checkpoint.iat === exceptAt) changes.except = [...new Set([...except, ...checkpoint.except])].sort();
    this.setFeed(audience, changes);
  }

  /** `unverified`, `verified`, `stale` or `diverged`. */
  stateOf(audience, now = seconds()) {
    const { verified, diverged, alarm } = this.feed(audience);
    if (diverged || this.rejectedOf(audience).length) return "diverged";
    if (!verified) return "unverified";
    return verified.exp <= now || alarm ? "stale" : "verified";
  }
}
