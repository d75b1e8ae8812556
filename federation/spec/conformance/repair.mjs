// Repair from the signature down: the signed list of records is verified down to each hash before a document is
// fetched; any node may serve it (docs/reference/protocol.md, "Repair").

import { setTimeout as sleep } from "node:timers/promises";

import { bucketDigest, bucketName, bucketOf, leafOf, MAX_LEAF_BYTES, readLeaf, rootOf } from "./digests.mjs";
import { isHash, readEntry, Rejected, verifyEntry } from "./documents.mjs";
import { Unexpected } from "./requests.mjs";

const MAX_ATTEMPTS = 4;
const ATTEMPT_SECONDS = 0.25;
const ENTRIES_AT_ONCE = 500;
const RECORDS_IN_TRANSACTION = 500;

/** A node served what the origin has not signed; the message names it. */
export class Forged extends Error {}

class Moved extends Error {}

/**
 * Bring the copy of a feed to what its origin signed.
 *
 * `source`: { connection, operator, relay, token }; `verify(jws)` returns the claims of a checkpoint of this feed.
 * `signed`: the cursor was of no use, so that what was signed is right whatever the copy has. `confirmed`: an
 * administrator has confirmed removals beyond the bound. Returns "verified", "diverged", "paused" or "behind".
 */
export async function repair(copies, audience, source, { verify, schemas, signed = false, confirmed = false }) {
  for (let attempt = 1; ; attempt += 1)
    try {
      return await new Repair(copies, audience, source, { verify, schemas, signed, confirmed }).run();
    } catch (error) {
      copies.commit();
      if (!(error instanceof Moved)) throw error;
      if (attempt === MAX_ATTEMPTS) return "behind";
      await sleep(ATTEMPT_SECONDS * 1000);
    }
}

class Repair {
  constructor(copies, audience, source, options) {
    Object.assign(this, { copies, audience, source }, options);
    this.path = `/v1/feeds/${copies.origin}/${audience}`;
  }

  forged(detail) {
    return new Forged(`${this.source.operator} served of ${this.copies.origin}/${this.audience}: ${detail}`);
  }

  get(path, options = {}) {
    return this.source.connection.json("GET", `${this.path}${path}`, { token: this.source.token, ...options });
  }

  async run() {
    const { copies, audience, source } = this;
    const checkpoint = await this.checkpoint();
    const feed = copies.feed(audience);
    const sameEpoch = feed?.epoch === checkpoint.epoch;
    if (sameEpoch && checkpoint.seq < feed.seq) return "behind";
    if (source.relay && checkpoint.iat < (feed?.seenAt ?? 0)) return "behind";
    copies.noteCheckpoint(audience, checkpoint, !source.relay);
    if (sameEpoch && checkpoint.retainedFrom > copies.feed(audience).retainedFrom)
      copies.forgetTombstones(audience, checkpoint.retainedFrom);
    const leaves = await this.leaves(checkpoint);
    if ((await this.storeLeaves(leaves, checkpoint)) === "paused") return "paused";
    const { epoch, seq, retainedFrom } = checkpoint;
    if (!sameEpoch && copies.feed(audience).epoch) copies.set("receipts", audience, { epoch, seq, purged: false });
    const comparedSeq = sameEpoch ? feed.comparedSeq : seq;
    copies.setFeed(audience, { epoch, seq, retainedFrom, paused: null, comparedSeq });
    copies.forgetTombstones(audience, retainedFrom);
    const right = copies.equals(audience, checkpoint);
    if (right) copies.noteVerified(audience, checkpoint, source.relay ? source.operator : undefined);
    else copies.noteDiverged(audience, "a repair left differences");
    copies.commit();
    return right ? "verified" : "diverged";
  }

  /** Steps 1 and 2: the signature, and the root over the digests. */
  async checkpoint() {
    const answer = await this.get("/digest");
    const checkpoint = await this.verify(answer.checkpoint);
    if (rootOf(answer.buckets) !== checkpoint.root) throw this.forged("digests that are not those of the signed root");
    return { ...checkpoint, buckets: answer.buckets };
  }

  /** Steps 3 and 4: the leaves of the buckets that differ. */
  async leaves(checkpoint) {
    const { copies, audience } = this;
    const own = copies.digests(audience, checkpoint.retainedFrom);
    const most = Math.min(checkpoint.seq, checkpoint.count + checkpoint.seq - checkpoint.retainedFrom);
    const share = 2 * Math.ceil(most / own.length) + 1000;
    const listed = new Map();
    for (let n = 0; n < own.length; n += 1) {
      if (own[n] === checkpoint.buckets[n]) continue;
      const bucket = bucketName(n);
      const answer = await this.get(`/digest?bucket=${bucket}`, { maxBytes: share * (MAX_LEAF_BYTES + 3) + 2000 });
      listed.set(bucket, this.readLeaves(bucket, answer, checkpoint, checkpoint.buckets[n], share));
    }
    return listed;
  }

  readLeaves(bucket, answer, checkpoint, digest, share) {
    const { leaves } = answer;
    if (!Array.isArray(leaves) || leaves.length > share || !leaves.every((leaf) => typeof leaf === "string"))
      throw this.forged(`no leaves of the bucket ${bucket}, or too many`);
    if (bucketDigest(leaves) !== digest) {
      const { epoch, seq, retained_from: retainedFrom } = answer;
      if (epoch === checkpoint.epoch && seq === checkpoint.seq && retainedFrom === checkpoint.retainedFrom)
        throw this.forged(`leaves of the bucket ${bucket} that are not the signed ones`);
      throw new Moved("the feed has moved meanwhile");
    }
    const byId = new Map();
    for (const text of leaves) {
      const leaf = readLeaf(text);
      const id = leaf && `${leaf.type}/${leaf.key}`;
      if (!leaf || bucketOf(leaf.type, leaf.key) !== bucket || byId.has(id))
        throw this.forged(`lines that cannot be leaves of the bucket ${bucket}; its origin has signed them`);
      byId.set(id, leaf);
    }
    return byId;
  }

  /** Steps 5 to 7: entries by number, numbers, removals. */
  async storeLeaves(buckets, checkpoint) {
    const { copies, audience } = this;
    const stored = new Map(copies.recordsOf(audience).map((record) => [`${record.type}/${record.key}`, record]));
    const wanted = [], removals = [], renumbered = [];
    for (const leaves of buckets.values())
      for (const [id, leaf] of leaves) {
        const record = stored.get(id);
        const equal = record && record.revision === leaf.revision && record.hash === leaf.hash && record.op === leaf.op;
        if (equal && record.seq !== leaf.seq) renumbered.push([id, leaf.seq]);
        else if (!equal) (leaf.op === "delete" && record?.op === "upsert" ? removals : wanted).push(leaf);
      }
    const isUnlisted = ([id, { bucket }]) => buckets.has(bucket) && !buckets.get(bucket).has(id);
    const unlisted = [...stored].filter(isUnlisted);
    await this.fetchEntries(wanted);
    this.inTransactions(renumbered, ([id, seq]) => copies.renumber(id, seq));
    const gone = removals.length + unlisted.filter(([, record]) => record.op === "upsert").length;
    if (gone > copies.bound(audience) && !this.confirmed) {
      copies.setFeed(audience, { paused: `${gone} of ${copies.count(audience)} records are to be removed` });
      copies.commit();
      return "paused";
    }
    await this.fetchEntries(removals);
    this.inTransactions(unlisted, ([id, record]) => {
      if (copies.records.get(id)?.seq === record.seq) copies.dropRecord(id);
    });
    copies.commit();
    return undefined;
  }

  inTransactions(items, change) {
    items.forEach((item, n) => {
      change(item);
      if (n % RECORDS_IN_TRANSACTION === RECORDS_IN_TRANSACTION - 1) this.copies.commit();
    });
    this.copies.commit();
  }

  async fetchEntries(leaves) {
    let missing = leaves;
    for (let attempt = 1; missing.length && attempt <= MAX_ATTEMPTS; attempt += 1) {
      const again = [];
      for (let n = 0; n < missing.length; n += ENTRIES_AT_ONCE) {
        const part = new Map(missing.slice(n, n + ENTRIES_AT_ONCE).map((leaf) => [leaf.seq, leaf]));
        const path = `${this.path}/changes?numbers=${[...part.keys()].sort((a, b) => a - b).join(",")}`;
        for await (const line of this.source.connection.lines(path, { token: this.source.token })) this.take(line, part);
        this.copies.commit();
        again.push(...part.values());
      }
      if (again.length === missing.length) throw new Moved("entries are gone: the feed has moved meanwhile");
      missing = again;
    }
    if (missing.length) throw new Unexpected("entries that are listed are not served");
  }

  /** One entry by number: that of its leaf, or forged; then like any other. */
  take(line, part) {
    const { copies, audience, source } = this;
    let entry;
    try {
      entry = readEntry(line);
    } catch (error) {
      if (!(error instanceof Rejected)) throw this.forged(error.message);
      if (source.relay) throw this.forged(error.message);
      const leaf = part.get(error.entry.seq);
      if (!leaf) throw this.forged("an entry that was not asked for");
      part.delete(leaf.seq);
      copies.reject(audience, new Rejected("unreadable", error.detail, leaf));
      return;
    }
    const leaf = part.get(entry.seq);
    if (!leaf) throw this.forged("an entry that was not asked for");
    if (!isHash(entry.hash) || leafOf(entry) !== leafOf(leaf)) throw this.forged("an entry that is not that of its leaf");
    part.delete(entry.seq);
    try {
      copies.store(audience, verifyEntry(line, copies.origin, audience, this.schemas), { signed: this.signed });
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      if (source.relay && error.reason === "bad-hash") throw this.forged(error.message);
      this.reject(error);
    }
  }

  /** A rejected entry; one that was signed in a new epoch takes the place of what would block it. */
  reject(error) {
    const { copies, audience } = this;
    copies.reject(audience, error);
    const id = `${error.entry.type}/${error.entry.key}`;
    const record = copies.records.get(id);
    if (this.signed && record && record.revision >= error.entry.revision) copies.set("records", id, null);
  }
}
