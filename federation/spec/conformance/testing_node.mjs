// A node for the reader's tests: an origin with feeds in memory, which a test may make lie.

import { createHash } from "node:crypto";
import { createServer } from "node:http";

import { bucketDigests, bucketOf, hasLeaf, leafOf, rootOf } from "./digests.mjs";
import { canonical, sha256 } from "./documents.mjs";
import { ownSet, rotate } from "./keys.mjs";
import { codeOf, WELCOME } from "./joining.mjs";
import { ASSERTION, CHECKPOINT, keysOf, newKey, readJws, RECEIPT, signed, thumbprint, verified } from "./signatures.mjs";

const now = () => Math.floor(Date.now() / 1000);

export class TestingNode {
  constructor(operator = "arnia") {
    Object.assign(this, { operator, name: operator, key: newKey(), epoch: "00f1e2d3c4b5a697", feeds: new Map() });
    Object.assign(this, { peers: new Map(), receipts: [], feedback: [], refusals: new Map(), asked: [], secrets: new Set() });
    this.tokens = new Map();
    this.override = () => undefined; // (method, path, query) → [status, body, headers] of a node that lies
  }

  async start() {
    this.server = createServer((request, response) => this.answer(request, response));
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  feed(audience) {
    if (!this.feeds.has(audience)) this.feeds.set(audience, { seq: 0, retainedFrom: 0, entries: new Map(), except: undefined });
    return this.feeds.get(audience);
  }

  /** Write a record into a feed; without content, retract it. */
  publish(audience, key, content = { name: key }, { revision, type = "later-type", document: members = {} } = {}) {
    const feed = this.feed(audience);
    const id = `${type}/${key}`;
    const next = revision ?? (feed.entries.get(id)?.revision ?? 0) + 1;
    const document = {
      type, origin: this.operator, key, revision: next, created_at: "2026-03-01T08:30:00Z",
      updated_at: "2026-03-01T08:30:00Z", tlp: { public: "CLEAR", federation: "GREEN" }[audience] ?? "AMBER", ...members,
    };
    if (!["public", "federation"].includes(audience)) document.audience = audience;
    if (content) document.content = content;
    const text = canonical(document);
    const entry = { seq: (feed.seq += 1), op: content ? "upsert" : "delete", type, key, revision: next, hash: sha256(text), text };
    feed.entries.set(id, entry);
    return entry;
  }

  withdraw(audience, key, type = "later-type") {
    const feed = this.feed(audience);
    const id = `${type}/${key}`;
    const { revision } = feed.entries.get(id);
    feed.entries.set(id, { seq: (feed.seq += 1), op: "withdraw", type, key, revision: revision + 1 });
  }

  dropTombstones(audience, upTo) {
    const feed = this.feed(audience);
    for (const [id, entry] of feed.entries) if (entry.op !== "upsert" && entry.seq <= upTo) feed.entries.delete(id);
    feed.retainedFrom = upTo;
  }

  records(audience) {
    return [...this.feed(audience).entries.values()].filter((entry) => entry.op !== "withdraw");
  }

  checkpoint(audience, changes = {}, { iat = now(), key = this.key } = {}) {
    const feed = this.feed(audience);
    const records = this.records(audience);
    const claims = {
      iss: this.operator, feed: `${this.operator}/${audience}`, epoch: this.epoch, seq: feed.seq,
      retained_from: feed.retainedFrom, count: records.filter((entry) => entry.op === "upsert").length,
      root: rootOf(bucketDigests(records, feed.retainedFrom)), iat, exp: iat + 3600, ...changes,
    };
    if (feed.except) claims.except = feed.except;
    return signed(key, { typ: CHECKPOINT, kid: key.kid }, claims);
  }

  head(audience) {
    const { seq, retainedFrom } = this.feed(audience);
    const count = this.records(audience).filter((entry) => entry.op === "upsert").length;
    const head = { origin: this.operator, audience, epoch: this.epoch, seq, retained_from: retainedFrom, count };
    return { ...head, checkpoint: this.checkpoint(audience) };
  }

  /** A state of this node that a relay may go on serving. */
  copied() {
    const copy = Object.create(this);
    copy.feeds = new Map([...this.feeds].map(([name, feed]) => [name, { ...feed, entries: new Map([...feed.entries].map(([id, entry]) => [id, { ...entry }])) }]));
    const heads = new Map([...copy.feeds.keys()].map((audience) => [audience, copy.head(audience)]));
    copy.checkpoint = (audience) => heads.get(audience).checkpoint;
    return copy;
  }

  line(entry) {
    const { text, ...members } = entry;
    return text === undefined ? JSON.stringify(members) : `${JSON.stringify(members).slice(0, -1)},"document":${text}}`;
  }

  async answer(request, response) {
    const url = new URL(request.url, this.url);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    this.asked.push(`${request.method} ${url.pathname}${url.search}`);
    const lied = this.override(request.method, url.pathname, url.searchParams);
    const [status, body, headers = {}] = lied ?? this.respond(request, url, Buffer.concat(chunks).toString());
    const bytes = typeof body === "string" ? body : JSON.stringify(body ?? null);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(status === 204 || status === 304 ? undefined : bytes);
  }

  problem(status, code) {
    return [status, { code, status, detail: code }];
  }

  respond(request, url, body) {
    const path = url.pathname;
    if (path === "/.well-known/federation")
      return [200, { operator: this.operator, name: this.name, url: this.url, jwks_uri: `${this.url}/keys` }];
    if (path === "/keys") return [200, ownSet(this)];
    if (path === "/v1/join") return this.register(request, JSON.parse(body));
    if (path === "/oauth2/token") return this.token(request, new URLSearchParams(body));
    const caller = this.authenticated(request, path);
    if (!caller) return this.problem(401, "unauthenticated");
    if (path === "/v1/receipts") {
      const keys = keysOf({ keys: [this.peers.get(caller)] });
      this.receipts.push(verified(JSON.parse(body).receipt, RECEIPT, keys));
      return [204];
    }
    if (path === "/v1/feedback") {
      this.feedback.push(JSON.parse(body));
      return [204];
    }
    const origin = this.relays?.get(url.searchParams.get("origin") ?? path.split("/")[3]) ?? this;
    if (path === "/v1/feeds") {
      const shown = [...origin.feeds.keys()].filter((audience) => !this.refusals.has(audience));
      const list = `${JSON.stringify({ feeds: shown.map((audience) => origin.head(audience)) })}\n`;
      const etag = `"${createHash("sha256").update(list).digest("hex").slice(0, 16)}"`;
      if (request.headers["if-none-match"] === etag) return [304, "", { etag }];
      return [200, list, { etag }];
    }
    return this.read(origin, path.split("/")[4], path.split("/")[5], url.searchParams);
  }

  read(origin, audience, what, query) {
    if (this.refusals.has(audience)) return this.problem(...this.refusals.get(audience));
    const feed = origin.feed(audience);
    const state = { epoch: origin.epoch, seq: feed.seq, retained_from: feed.retainedFrom };
    if (what === "digest" && query.has("bucket")) {
      const bucket = query.get("bucket");
      const listed = origin.records(audience).filter((entry) => bucketOf(entry.type, entry.key) === bucket);
      return [200, { ...state, bucket, leaves: listed.filter((entry) => hasLeaf(entry, feed.retainedFrom)).map(leafOf) }];
    }
    if (what === "digest") {
      const buckets = bucketDigests(origin.records(audience), feed.retainedFrom);
      return [200, { ...state, root: rootOf(buckets), buckets, checkpoint: origin.checkpoint(audience) }];
    }
    const numbers = query.get("numbers")?.split(",").map(Number);
    const [epoch, after] = (query.get("after") ?? `${origin.epoch}.0`).split(".");
    if (epoch !== origin.epoch) return this.problem(409, "epoch-changed");
    if (Number(after) > feed.seq) return this.problem(400, "cursor-in-future");
    if (Number(after) > 0 && Number(after) < feed.retainedFrom) return this.problem(410, "cursor-expired");
    const entries = [...feed.entries.values()].sort((a, b) => a.seq - b.seq);
    const chosen = entries.filter((entry) => (numbers ? numbers.includes(entry.seq) : entry.seq > Number(after)));
    return [200, chosen.map((entry) => `${origin.line(entry)}\n`).join(""), { "federation-epoch": origin.epoch }];
  }

  invite() {
    const secret = createHash("sha256").update(String(Math.random())).digest("base64url");
    this.secrets.add(secret);
    const parts = JSON.stringify([this.url, this.key.kid, secret]);
    return `federation-invitation-1.${Buffer.from(parts).toString("base64url")}`;
  }

  register(request, body) {
    const secret = request.headers.authorization.slice("Bearer ".length);
    const { header } = readJws(body.software_statement);
    const key = keysOf(body.jwks).get(header.kid);
    const claims = verified(body.software_statement, "federation-registration+jwt", new Map([[header.kid, key]]));
    const invitation = sha256(secret);
    const right = claims.aud === this.url && claims.url === body.client_uri && claims.invitation === invitation;
    if (!right || !this.secrets.delete(secret)) return this.problem(401, "unauthenticated");
    this.peers.set(body.operator, key);
    const welcome = { iss: this.operator, aud: body.client_uri, newcomer: key.kid, invitation, iat: now(), exp: now() + 300 };
    const proof = signed(this.key, { typ: WELCOME, kid: this.key.kid }, { ...welcome, ...this.welcomes });
    this.code = codeOf(key.kid, this.key.kid);
    return [201, { client_id: body.operator, inviter: { operator: this.operator, name: this.name, url: this.url, proof } }];
  }

  token(request, form) {
    const assertion = form.get("client_assertion");
    const { iss } = readJws(assertion).claims;
    const key = this.peers.get(iss);
    if (!key || this.suspended) return [401, { error: "invalid_client" }];
    const claims = verified(assertion, ASSERTION, new Map([[key.kid, key]]));
    if (claims.aud !== this.url || claims.sub !== iss) return [401, { error: "invalid_client" }];
    const value = `token-${iss}-${Math.random()}`;
    this.tokens.set(value, { caller: iss, prover: this.prover(request, "/oauth2/token") });
    return [200, { access_token: value, token_type: "DPoP", expires_in: 300, scope: "feeds.read" }];
  }

  /** The thumbprint of the key that made the DPoP proof of a request. */
  prover(request, path, token) {
    const jwk = readJws(request.headers.dpop).header.jwk;
    const kid = thumbprint(jwk);
    const claims = verified(request.headers.dpop, "dpop+jwt", new Map([[undefined, { ...jwk, kid }]]));
    const ath = token && createHash("sha256").update(token).digest("base64url");
    const right = claims.htm === request.method && claims.htu === `${this.url}${path}` && claims.ath === ath;
    if (!right || this.proofs?.has(claims.jti)) throw new Error("a wrong proof");
    (this.proofs ??= new Set()).add(claims.jti);
    return kid;
  }

  authenticated(request, path) {
    const [scheme, value] = (request.headers.authorization ?? "").split(" ");
    const token = this.tokens.get(value);
    return scheme === "DPoP" && token && this.prover(request, path, value) === token.prover ? token.caller : undefined;
  }

  /** Give this node another key, which its present key endorses. */
  changeKey() {
    const next = newKey();
    const changed = rotate({ ...this, former: this.former }, next);
    Object.assign(this, { key: next, succession: changed.succession, former: [this.key, ...(this.former ?? [])] });
  }
}


