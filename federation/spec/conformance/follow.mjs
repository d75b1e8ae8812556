// Following an origin: heads, pulls, comparison, repair (docs/reference/protocol.md, "Heads", "Taking entries",
// "Comparing", "When a cursor is of no use").

import { MAX_VERIFICATION_AGE_SECONDS } from "./copies.mjs";
import { isAudience, isNumber, Rejected, verifyEntry } from "./documents.mjs";
import { parse } from "./json.mjs";
import { updateKeys } from "./keys.mjs";
import { repair } from "./repair.mjs";
import { sendFeedback, sendReceipts } from "./reports.mjs";
import { action, Outage, seconds, Unexpected } from "./requests.mjs";
import { keysOf, UnknownKey, verifyCheckpoint } from "./signatures.mjs";

const WAIT_SECONDS = 25;
const ENTRIES_IN_TRANSACTION = 1000;
const MAX_UNSIGNED_SECONDS = 5;
const MAX_UNSIGNED_MOVING_SECONDS = 60;

/** One origin, and what this reader has of it. */
export class Origin {
  constructor({ peer, copies, connection, schemas, reader, report, saved }) {
    Object.assign(this, { peer, copies, connection, schemas, reader, report, saved });
    this.etag = undefined;
  }

  get name() {
    return this.peer.operator;
  }

  /** The claims of a checkpoint, by the origin's keys, whichever node shows it. */
  async verify(audience, jws) {
    const check = () => verifyCheckpoint(jws, this.name, audience, keysOf(this.peer.keys), seconds());
    try {
      return check();
    } catch (error) {
      if (!(error instanceof UnknownKey)) throw error;
      if (await updateKeys(this.peer, this.connection)) this.saved(this.peer);
      return check();
    }
  }

  /** One round: ask for the heads, and bring every copy to them. Returns whether the heads were new. */
  async round({ wait = false } = {}) {
    const headers = { accept: "application/x-ndjson" };
    if (wait && this.etag) Object.assign(headers, { "if-none-match": this.etag, prefer: `wait=${WAIT_SECONDS}` });
    const options = { headers, token: true, expected: [200, 304], wait: wait ? WAIT_SECONDS : 0 };
    let etag;
    const opened = (answered) => (etag = answered.get("etag"));
    const lines = this.connection.lines("/v1/feeds", { ...options, opened });
    const { value: first, done } = await lines.next();
    if (done) {
      this.compareStale();
      return false;
    }
    const heads = this.readHeads(first);
    const inline = await this.inlineEntries(lines);
    this.peer.refused = false;
    const failures = [];
    for (const head of heads) {
      try {
        await this.bring(head, inline.get(head.audience));
        const { confirmed, paused } = this.copies.feed(head.audience) ?? {};
        if (confirmed && !paused) this.copies.setFeed(head.audience, { confirmed: false });
      } catch (error) {
        if (error instanceof Outage) throw error;
        if (await this.cursorRefused(error, head.audience)) continue;
        failures.push(error);
        this.alarm(head.audience, error.message);
      }
      this.copies.commit();
    }
    await this.missing(heads);
    await sendReceipts(this);
    await sendFeedback(this);
    if (failures.length) throw failures[0];
    this.etag = etag;
    return true;
  }

  readHeads(line) {
    const { feeds } = parse(line);
    if (!Array.isArray(feeds)) throw new Unexpected(`${this.name} shows no heads`);
    const heads = feeds.map(({ origin, audience, epoch, seq, retained_from: retainedFrom, count, checkpoint }) => ({
      origin, audience, epoch, seq, retainedFrom, count, checkpoint,
    }));
    const right = ({ audience, epoch, seq, retainedFrom }) =>
      isAudience(audience) && /^[0-9a-f]{16}$/.test(epoch) && isNumber(seq) && isNumber(retainedFrom);
    return heads.filter((head) => head.origin === this.name && right(head));
  }

  /** The lines after the list, by audience: { after, lines }. */
  async inlineEntries(lines) {
    const sections = new Map();
    let section;
    for await (const line of lines) {
      if (line.subarray(0, 7).toString() === '{"feed"') {
        const { feed, after } = parse(line);
        section = { after, lines: [] };
        sections.set(String(feed).split("/")[1], section);
      } else section?.lines.push(line);
    }
    return sections;
  }

  /** Bring one copy to a head. */
  async bring(head, inline) {
    const { audience } = head;
    const { copies } = this;
    const checkpoint = head.checkpoint && (await this.verify(audience, head.checkpoint));
    const copy = copies.feed(audience);
    if (checkpoint) copies.noteCheckpoint(audience, checkpoint, true);
    if (!copy?.epoch) {
      copies.setFeed(audience, { epoch: head.epoch, retainedFrom: head.seq === 0 ? head.retainedFrom : 0 });
    } else if (copy.epoch !== head.epoch) {
      if (!checkpoint || checkpoint.epoch !== head.epoch) return; // only a signature shows which revisions are right
      await this.recover(audience, checkpoint);
      return;
    } else if (head.seq < copy.seq) {
      throw new Unexpected(`its feed ends at ${head.seq}, and ${copy.seq} was read: its database went back`);
    } else if (copy.seq > 0 && head.retainedFrom > copy.seq) {
      if (checkpoint) await this.recover(audience, checkpoint);
      return;
    }
    const cursor = () => `${copies.feed(audience).epoch}.${copies.feed(audience).seq}`;
    let whole = true;
    try {
      if (inline && inline.after === cursor()) whole = await this.takeInline(head, checkpoint, inline.lines);
      if (whole && copies.feed(audience).seq < head.seq) whole = await this.pull(head, checkpoint);
    } catch (error) {
      if (!(await this.cursorRefused(error, audience, checkpoint))) throw error;
      return;
    }
    copies.commit();
    if (checkpoint && whole) await this.compare(head, checkpoint);
    this.noteUnsigned(head, checkpoint);
  }

  /** Carry out what a refusal of a feed asks for; false if nothing can be done now. */
  async cursorRefused(error, audience, checkpoint) {
    const { does } = action(error);
    if (does === "drop-the-feed") {
      this.copies.purge(audience);
      this.report("purged", `${this.name}/${audience}`);
    } else if (does === "compare-and-repair") {
      if (checkpoint) await this.recover(audience, checkpoint);
    } else return false;
    return true;
  }

  async pull(head, checkpoint) {
    const { seq, epoch } = this.copies.feed(head.audience);
    const after = seq > 0 ? `?after=${epoch}.${seq}` : "";
    const path = `/v1/feeds/${this.name}/${head.audience}/changes${after}`;
    const opened = (headers) => {
      if (headers.get("federation-epoch") !== head.epoch)
        throw new Unexpected("the stream is of another epoch than the head");
    };
    return this.take(head, checkpoint, this.connection.lines(path, { token: true, opened }));
  }

  /** Store entries that came with the heads. If a line does not fit, the rest is asked for. */
  async takeInline(head, checkpoint, lines) {
    try {
      return await this.take(head, checkpoint, lines);
    } catch (error) {
      this.report("inline", `${this.name}/${head.audience}: ${error.message}`);
      return !this.copies.feed(head.audience).paused;
    }
  }

  /** Store the lines of a stream. Returns false if the removal guard has paused the feed. */
  async take(head, checkpoint, lines) {
    const { audience } = head;
    const { copies } = this;
    const { verified, confirmed } = copies.feed(audience);
    const old = !verified || verified.iat + MAX_VERIFICATION_AGE_SECONDS < seconds();
    const last = old && checkpoint?.epoch === head.epoch ? checkpoint.seq : head.seq;
    const bound = confirmed ? Infinity : copies.bound(audience);
    let removed = 0, stored = 0;
    let paused = Boolean(copies.feed(audience).paused) && !confirmed; // until an administrator has confirmed it
    let { seq } = copies.feed(audience);
    for await (const line of lines) {
      let entry, fault;
      try {
        entry = verifyEntry(line, this.name, audience, this.schemas);
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        [entry, fault] = [error.entry, error];
      }
      if (entry.seq <= seq) throw new Unexpected(`the number ${entry.seq} follows ${seq}`);
      if (entry.seq > last) break;
      seq = entry.seq;
      if (!fault && copies.removes(audience, entry)) removed += 1;
      if (removed > bound) paused = true;
      if (paused && (fault || entry.op !== "withdraw")) continue;
      try {
        if (fault) throw fault;
        copies.store(audience, entry);
        if (entry.op === "withdraw") this.noteWithdrawal(audience, seq);
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        copies.reject(audience, error);
        this.report("rejected", `${this.name}/${audience} ${seq}: ${error.message}`);
      }
      if (!paused) copies.setFeed(audience, { epoch: head.epoch, seq });
      if ((stored += 1) % ENTRIES_IN_TRANSACTION === 0) copies.commit();
    }
    const before = copies.feed(audience).paused ?? null;
    const reason = removed ? `${removed} of ${copies.count(audience)} records are to be removed` : before;
    if (paused ? reason !== before : before && confirmed) copies.setFeed(audience, { paused: paused ? reason : null });
    copies.commit();
    return !paused;
  }

  noteWithdrawal(audience, seq) {
    const { epoch } = this.copies.feed(audience);
    this.copies.set("receipts", audience, { epoch, seq, purged: false });
  }

  async compare(head, checkpoint) {
    const { audience } = head;
    const { copies } = this;
    let feed = copies.feed(audience);
    if (checkpoint.epoch === feed.epoch && checkpoint.retainedFrom > feed.retainedFrom)
      copies.forgetTombstones(audience, checkpoint.retainedFrom);
    feed = copies.feed(audience);
    if (checkpoint.epoch !== feed.epoch || checkpoint.seq < feed.seq) return;
    if (checkpoint.seq === feed.seq && copies.equals(audience, checkpoint)) copies.noteVerified(audience, checkpoint);
    else await this.recover(audience, checkpoint, { signed: false });
    copies.commit();
  }

  /** Compare with a checkpoint although the cursor is of no use, and repair what differs. */
  async recover(audience, checkpoint, { signed = true } = {}) {
    const { copies } = this;
    const feed = copies.feed(audience);
    const { epoch, seq } = checkpoint;
    if (signed && feed.epoch !== epoch && feed.seq === seq && copies.equals(audience, checkpoint)) {
      copies.setFeed(audience, { epoch });
      copies.set("receipts", audience, { epoch, seq, purged: false });
      copies.noteVerified(audience, checkpoint);
      return;
    }
    const source = { connection: this.connection, operator: this.name, relay: false, token: true };
    const outcome = await this.repairFrom(source, audience, signed);
    this.report("repaired", `${this.name}/${audience}: ${outcome}`);
  }

  async repairFrom(source, audience, signed) {
    const { confirmed } = this.copies.feed(audience) ?? {};
    const verify = (jws) => this.verify(audience, jws);
    const outcome = await repair(this.copies, audience, source, { verify, schemas: this.schemas, signed, confirmed });
    this.copies.commit();
    return outcome;
  }

  /** Ask for feeds that are no longer among the heads, to learn the reason. */
  async missing(heads) {
    const shown = new Set(heads.map((head) => head.audience));
    for (const [audience, feed] of [...this.copies.feeds]) {
      if (shown.has(audience)) continue;
      try {
        const path = `/v1/feeds/${this.name}/${audience}/changes?limit=1&after=${feed.epoch}.${feed.seq}`;
        await this.connection.json("GET", path, { token: true, maxBytes: 6 * 1024 * 1024 });
      } catch (error) {
        if (!(await this.cursorRefused(error, audience, undefined))) throw error;
      }
    }
  }

  /** Raise an alarm when the origin does not sign its head in time. */
  noteUnsigned(head, checkpoint) {
    const { audience } = head;
    const feed = this.copies.feed(audience);
    const signed = checkpoint?.epoch === head.epoch && checkpoint.seq >= head.seq;
    const now = seconds();
    if (signed || head.seq === 0) {
      if (feed.unsigned) this.copies.setFeed(audience, { unsigned: null });
      return;
    }
    const { unsigned } = feed;
    const moved = unsigned?.seq !== head.seq;
    const next = { seq: head.seq, since: moved ? now : unsigned.since, first: unsigned?.first ?? now };
    if (moved) this.copies.setFeed(audience, { unsigned: next });
    if (now - next.since > MAX_UNSIGNED_SECONDS || now - next.first > MAX_UNSIGNED_MOVING_SECONDS)
      this.alarm(audience, `no signature has come for number ${head.seq}`);
  }

  compareStale() {
    for (const [audience, { unsigned }] of this.copies.feeds)
      if (unsigned && seconds() - unsigned.since > MAX_UNSIGNED_SECONDS)
        this.alarm(audience, `no signature has come for number ${unsigned.seq}`);
  }

  alarm(audience, message) {
    this.report("alarm", `${this.name}/${audience}: ${message}`);
    if (this.copies.feed(audience)) this.copies.setFeed(audience, { alarm: message });
    this.copies.commit();
  }
}
