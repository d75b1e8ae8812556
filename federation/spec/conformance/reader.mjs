#!/usr/bin/env node
// A reader of feeds without dependencies, written from docs/reference/protocol.md alone: it joins a node, follows its
// peers, verifies and repairs its copies. `node reader.mjs help` lists the commands.

import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Copies } from "./copies.mjs";
import { isOperator, sha256 } from "./documents.mjs";
import { Origin } from "./follow.mjs";
import { activate, isBaseUrl, join } from "./joining.mjs";
import { current, MAX_KEYS_AGE_SECONDS, rotate, updateKeys } from "./keys.mjs";
import { followRelay } from "./relays.mjs";
import { Connection, Outage, Refusal, seconds } from "./requests.mjs";
import { loadSchemas, Schemas } from "./schemas.mjs";
import { Answers, serve } from "./serve.mjs";
import { newKey, thumbprint } from "./signatures.mjs";
import { State } from "./state.mjs";

const MAX_PAUSE_SECONDS = 300;
const MAX_RELAYS = 3;

const HELP = `node reader.mjs COMMAND [ARGUMENT] --state DIR [--json]

  init --operator ID --name NAME --url URL   make the key of this reader
  serve [--port 8480] [--host 127.0.0.1]     answer peers: who this is, and its keys
  join INVITATION [--private]                register at a node; prints the code
  activate OPERATOR --code CODE              follow a pending peer, after both have compared the code
  follow [--once]                            bring every copy up to date, and go on until Ctrl-C
  list                                       peers, feeds and their state
  records [OPERATOR]                         the stored records, one a line
  verify                                     read every stored byte again; what is damaged is fetched at the next round
  confirm OPERATOR AUDIENCE                  let a paused feed remove what is to be removed
  rotate                                     endorse a new key, which signs ten minutes later

--schemas DIR names the directory of the published schemas (\`federation schema DIR\` writes it).
`;

const OPTIONS = {
  state: { type: "string" }, json: { type: "boolean" }, operator: { type: "string" }, name: { type: "string" },
  url: { type: "string" }, port: { type: "string", default: "8480" }, host: { type: "string", default: "127.0.0.1" },
  private: { type: "boolean" }, code: { type: "string" }, once: { type: "boolean" }, schemas: { type: "string" },
};

/** The command cannot be carried out as it is. */
class Usage extends Error {}

class Reader {
  constructor(options) {
    if (!options.state) throw new Usage("--state DIR is needed");
    this.options = options;
    this.state = new State(options.state);
    const published = options.schemas ?? fileURLToPath(new URL("../../../schemas", import.meta.url));
    this.schemas = existsSync(published) ? loadSchemas(published) : new Schemas(new Map());
    this.origins = new Map();
  }

  get own() {
    const stored = this.state.reader;
    if (!stored) throw new Usage("there is no reader in this directory: init makes one");
    const now = current(stored);
    if (now !== stored) this.state.reader = now;
    return now;
  }

  peer(operator) {
    const peer = isOperator(operator) && this.state.peer(operator);
    if (!peer) throw new Usage(`${operator} is no peer`);
    return peer;
  }

  copies(operator) {
    return new Copies(operator, this.state.journal(operator));
  }

  origin(peer) {
    if (!this.origins.has(peer.operator)) {
      const reader = this.own;
      const connection = new Connection(peer.url, { reader, operator: peer.operator });
      const report = (what, detail) => this.print({ event: what, detail }, `${what}: ${detail}`);
      const saved = (changed) => this.state.writePeer(changed);
      const copies = this.copies(peer.operator);
      const { schemas } = this;
      copies.readAgain(schemas);
      this.origins.set(peer.operator, new Origin({ peer, copies, connection, schemas, reader, report, saved }));
    }
    return this.origins.get(peer.operator);
  }

  print(object, text) {
    process.stdout.write(`${this.options.json ? JSON.stringify(object) : text}\n`);
  }

  // Commands. Each returns the exit code, 0 when absent.

  init() {
    const { operator, name, url } = this.options;
    if (!isOperator(operator) || !name || !isBaseUrl(url)) throw new Usage("--operator, --name and --url are needed");
    if (this.state.reader) throw new Usage("there is a reader in this directory already");
    this.state.reader = { operator, name, url, key: newKey() };
    this.print({ operator, thumbprint: this.own.key.kid }, `${operator}, key ${this.own.key.kid}`);
  }

  async join(invitation) {
    const peer = await join(this.own, invitation ?? "", { allowPrivate: this.options.private });
    const registered = this.state.peer(peer.operator);
    if (registered && registered.state !== "pending") throw new Usage(`${peer.operator} is a peer already`);
    this.state.writePeer(peer);
    const { operator, code } = peer;
    this.print({ operator, code }, `${operator} is pending; compare the code: ${code}`);
  }

  async activate(operator) {
    const { code } = this.options;
    if (!code) throw new Usage("--code is needed: the sixteen digits that the other administrator has read to you");
    const peer = this.peer(operator);
    if (peer.state !== "pending") throw new Usage(`${operator} is active`);
    this.state.writePeer(await activate(peer, code));
    this.print({ operator, state: "active" }, `${operator} is active`);
  }

  async serve() {
    const types = [...this.schemas.byType.keys()].filter((type) => type !== "group");
    const answers = new Answers({
      reader: () => this.own, peers: () => this.state.peers(), left: (operator) => this.left(operator), types,
    });
    const server = await serve(answers, { port: Number(this.options.port), host: this.options.host });
    const { address, port } = server.address();
    this.print({ listening: `${address}:${port}` }, `listening on ${address}:${port}`);
    await new Promise((resolve) => process.once("SIGTERM", resolve).once("SIGINT", resolve));
    server.closeAllConnections();
    server.close();
  }

  /** Note that a peer ends the relation. What follows its feeds drops all of them but the public one. */
  left(operator) {
    this.state.writePeer({ ...this.peer(operator), state: "left" });
    this.print({ event: "left", peer: operator }, `${operator} has left`);
  }

  lock() {
    if (!this.state.lock()) throw new Usage("another command is at work in this directory");
  }

  dropLeft() {
    for (const { operator } of this.state.peers().filter((peer) => peer.state === "left")) {
      const { copies } = this.origins.get(operator) ?? { copies: this.copies(operator) };
      for (const audience of [...copies.feeds.keys()]) if (audience !== "public") copies.purge(audience);
    }
  }

  async follow() {
    this.lock();
    this.dropLeft();
    const active = this.state.peers().filter((peer) => peer.state === "active");
    if (active.length === 0) throw new Usage("there is no active peer");
    const rounds = active.map((peer) => (this.options.once ? this.round(peer) : this.followForever(peer)));
    const results = await Promise.all(rounds);
    return results.every(Boolean) ? 0 : 1;
  }

  async followForever(peer) {
    while (this.state.peer(peer.operator)?.state === "active") {
      await this.round(peer, true);
      if (peer.failures === 0) continue;
      const most = Math.min(MAX_PAUSE_SECONDS, 2 ** (peer.failures - 1));
      await sleep(Math.max(peer.retryAfter ?? 0, 0.5 + Math.random() * (most - 0.5)) * 1000);
    }
    this.dropLeft();
    return true;
  }

  /** One round with a peer; while it is down, with others in its place. Returns whether it succeeded. */
  async round(peer, wait = false) {
    const origin = this.origin(peer);
    peer.retryAfter = undefined;
    try {
      if (seconds() - (peer.keysReadAt ?? 0) > MAX_KEYS_AGE_SECONDS) await updateKeys(peer, origin.connection);
      await origin.round({ wait });
      Object.assign(peer, { failures: 0, reason: null, refused: false });
      return true;
    } catch (error) {
      peer.failures = (peer.failures ?? 0) + 1;
      peer.reason = error.message;
      peer.retryAfter = Math.min(error.retryAfter ?? 0, MAX_PAUSE_SECONDS);
      if (error instanceof Refusal && error.status !== 429) peer.refused = true;
      this.printFailure(peer, error.message);
      if (!(error instanceof Outage) || peer.refused) return false;
      return this.relayed(origin);
    } finally {
      this.state.writePeer({ ...peer, state: this.state.peer(peer.operator).state });
    }
  }

  printFailure({ operator }, detail) {
    this.print({ event: "failed", peer: operator, detail }, `failed: ${operator}: ${detail}`);
  }

  async relayed(origin) {
    const relays = this.state.peers().filter((peer) => peer.state === "active" && peer.operator !== origin.name);
    for (const peer of relays.slice(0, MAX_RELAYS))
      try {
        const { connection } = this.origin(peer);
        const outcomes = await followRelay(origin, { connection, operator: peer.operator });
        if (outcomes.length === 0) continue;
        const event = { event: "relayed", origin: origin.name, via: peer.operator, outcomes };
        this.print(event, `${origin.name} through ${peer.operator}: ${outcomes}`);
        return true;
      } catch (error) {
        this.printFailure(peer, `as relay of ${origin.name}: ${error.message}`);
      }
    return false;
  }

  list() {
    const now = seconds();
    for (const peer of this.state.peers()) {
      const { operator, state, url, code, failures, reason, refused } = peer;
      const copies = this.copies(operator);
      const feeds = [...copies.feeds].map(([audience, feed]) => ({
        audience, state: copies.stateOf(audience, now), epoch: feed.epoch, seq: feed.seq, count: copies.count(audience),
        verified_seq: feed.verified?.seq ?? null, via: feed.via ?? null, alarm: feed.alarm ?? null,
        paused: feed.paused ?? null, except: feed.except,
        rejected: copies.rejectedOf(audience).map(({ audience: _, ...entry }) => entry),
        not_understood: copies.recordsOf(audience).filter((record) => record.fault !== undefined).length,
      }));
      const lines = feeds.map((feed) => `    ${feed.audience}: ${feed.count} records, number ${feed.seq}, ${feed.state}`);
      const keys = (peer.keys?.keys ?? []).map(thumbprint);
      const status = { failures, reason: reason ?? null, refused: refused ?? false };
      const text = [`${operator}  ${url}  ${state}`, ...(reason ? [`    ${reason}`] : []), ...lines].join("\n");
      this.print({ operator, state, url, code, keys, ...status, feeds }, text);
    }
  }

  records(operator) {
    for (const peer of operator ? [this.peer(operator)] : this.state.peers())
      for (const record of this.copies(peer.operator).records.values()) {
        const { audience, type, key, revision, op, hash, seq, fault, bytes } = record;
        const entry = { audience, type, key, revision, op, hash, seq, fault: fault ?? null, document: bytes };
        const origin = peer.operator;
        this.print({ origin, ...entry }, `${origin}/${audience} ${seq} ${type}/${key} ${revision} ${op}`);
      }
  }

  verify() {
    this.lock();
    let damaged = 0;
    for (const { operator } of this.state.peers()) {
      const copies = this.copies(operator);
      for (const [id, record] of [...copies.records]) {
        if (sha256(record.bytes) === record.hash) continue;
        damaged += 1;
        copies.dropRecord(id);
        copies.noteDiverged(record.audience, `${id} was damaged`);
        this.print({ event: "damaged", origin: operator, id }, `damaged: ${operator}/${record.audience} ${id}`);
      }
      copies.commit();
    }
    this.print({ damaged }, `${damaged} damaged records`);
    return damaged ? 1 : 0;
  }

  confirm(operator, audience) {
    this.lock();
    const copies = this.copies(this.peer(operator).operator);
    if (!copies.feed(audience)) throw new Usage(`there is no copy of ${operator}/${audience}`);
    copies.setFeed(audience, { confirmed: true });
    copies.commit();
    this.print({ operator, audience, confirmed: true }, `${operator}/${audience} may remove what is to be removed`);
  }

  rotate() {
    if (this.own.next) throw new Usage("a new key is endorsed already, and does not sign yet");
    const changed = rotate(this.own, newKey());
    this.state.reader = changed;
    const { key, from } = changed.next;
    this.print({ thumbprint: key.kid, from }, `${key.kid} signs in ten minutes`);
  }
}

const COMMANDS = ["init", "serve", "join", "activate", "follow", "list", "records", "verify", "confirm", "rotate"];

async function main() {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const [command, ...rest] = positionals;
  if (!COMMANDS.includes(command)) {
    process.stdout.write(HELP);
    return command === "help" ? 0 : 2;
  }
  return (await new Reader(values)[command](...rest)) ?? 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Usage ? "" : `${error.constructor.name}: `}${error.message}\n`);
  process.exitCode = error instanceof Usage || error.code?.startsWith?.("ERR_PARSE_ARGS") ? 2 : 1;
}
