// The reader against a node in this process, honest and lying.

import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as pathOf } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { Copies } from "./copies.mjs";
import { sha256 } from "./documents.mjs";
import { Origin } from "./follow.mjs";
import { activate, BadInvitation, codeOf, isBaseUrl, join, readInvitation } from "./joining.mjs";
import { current, follow, ownSet, rotate } from "./keys.mjs";
import { followRelay } from "./relays.mjs";
import { Forged } from "./repair.mjs";
import { Connection, Outage, Refusal } from "./requests.mjs";
import { Schemas } from "./schemas.mjs";
import { Answers } from "./serve.mjs";
import { assertion, BadSignature, dpop, newKey } from "./signatures.mjs";
import { State } from "./state.mjs";
import { TestingNode } from "./testing_node.mjs";

let directory, state, reader, arnia, megalis, reported;

beforeEach(async () => {
  directory = mkdtempSync(pathOf(tmpdir(), "reader-"));
  state = new State(directory);
  reader = { operator: "reader", name: "A reader", url: "https://reader.example.org", key: newKey() };
  [arnia, megalis] = [new TestingNode("arnia"), new TestingNode("megalis")];
  await Promise.all([arnia.start(), megalis.start()]);
  reported = [];
});

afterEach(async () => {
  await Promise.all([arnia.stop(), megalis.stop()]);
  rmSync(directory, { recursive: true });
});

async function joined(node) {
  const peer = await join(reader, node.invite(), { allowPrivate: true });
  assert.equal(peer.code, node.code);
  return activate(peer, node.code.replaceAll(" ", "-"));
}

async function following(node) {
  const peer = await joined(node);
  const connection = new Connection(peer.url, { reader, operator: peer.operator });
  const copies = new Copies(peer.operator, state.journal(peer.operator));
  const report = (what, detail) => reported.push(`${what}: ${detail}`);
  return new Origin({ peer, copies, connection, schemas: new Schemas(new Map()), reader, report, saved: () => undefined });
}

/** The copies as another process reads them from the journal. */
const reread = (origin) => new Copies(origin.name, state.journal(origin.name));

function same(origin, node, audience) {
  const stored = reread(origin).recordsOf(audience).map(({ key, seq, hash, bytes }) => [key, seq, hash, bytes]);
  const served = node.records(audience).map(({ key, seq, hash, text }) => [key, seq, hash, text]);
  assert.deepEqual(stored.sort(), served.sort());
  assert.equal(origin.copies.stateOf(audience), "verified");
}

test("joining: an invitation, a welcome, a code, an activation", async () => {
  const peer = await join(reader, arnia.invite().replace(/(.{40})/g, "$1\n"), { allowPrivate: true });
  assert.deepEqual([peer.operator, peer.state, peer.code], ["arnia", "pending", codeOf(reader.key.kid, arnia.key.kid)]);
  assert.match(peer.code, /^(\d{4} ){3}\d{4}$/);
  await assert.rejects(activate(peer, "0000 0000 0000 0000"), BadInvitation);
  assert.equal((await activate(peer, peer.code)).state, "active");
});

test("joining: what is altered on the way is refused", async () => {
  await assert.rejects(join(reader, arnia.invite()), /not public/);
  for (const [name, value] of Object.entries({ iss: "recia", aud: "https://other", newcomer: "x", invitation: "y", exp: 1 })) {
    arnia.welcomes = { [name]: value };
    await assert.rejects(join(reader, arnia.invite(), { allowPrivate: true }), BadSignature, name);
  }
  arnia.welcomes = undefined;
  const invitation = arnia.invite();
  arnia.key = newKey();
  await assert.rejects(join(reader, invitation, { allowPrivate: true }), BadSignature);
});

test("invitations and base URLs are read strictly", () => {
  const written = (parts) => `federation-invitation-1.${Buffer.from(JSON.stringify(parts)).toString("base64url")}`;
  const right = ["https://node.example.org", "x".repeat(43), "s".repeat(43)];
  assert.equal(readInvitation(written(right)).url, right[0]);
  const wrong = [
    "", "federation-invitation-2.WzFd", `${written(right)}!`, written(right.slice(1)), written([...right, "x"]), written("x"),
    written(["http://node.example.org", ...right.slice(1)]), written([right[0], "x", right[2]]), written([...right.slice(0, 2), "s"]),
  ];
  for (const text of wrong) assert.throws(() => readInvitation(text), BadInvitation, text);
  for (const url of ["https://a.example", "https://a.example:8443/x", "http://127.0.0.1:1", "http://localhost", "http://[::1]:2"])
    assert.ok(isBaseUrl(url), url);
  for (const url of ["https://a.example/", "https://u@a.example", "https://a.example?x", "https://a.example#", "http://10.0.0.1", "ftp://x"])
    assert.ok(!isBaseUrl(url), url);
});

test("following: records, moves, tombstones and withdrawals, as they were written", async () => {
  arnia.publish("public", "a");
  arnia.publish("federation", "b", { name: "Élégant 漢字 😀" });
  arnia.publish("public", "gone");
  arnia.publish("public", "gone", null);
  const origin = await following(arnia);
  await origin.round();
  for (const audience of ["public", "federation"]) same(origin, arnia, audience);
  arnia.withdraw("public", "a");
  arnia.publish("federation", "a", { name: "a" }, { revision: 2 });
  await origin.round();
  for (const audience of ["public", "federation"]) same(origin, arnia, audience);
  assert.deepEqual(arnia.receipts.map(({ feed, seq, purged }) => [feed, seq, purged]).at(-1), ["arnia/public", 4, false]);
  assert.equal(origin.copies.records.get("later-type/a").audience, "federation");
});

test("following: entries that come with the heads are stored, and others are fetched", async () => {
  arnia.publish("public", "a");
  const origin = await following(arnia);
  await origin.round();
  arnia.publish("public", "b");
  const answer = (after) => (method, path) => {
    if (path !== "/v1/feeds") return undefined;
    const list = JSON.stringify({ feeds: [arnia.head("public")] });
    const entry = arnia.line(arnia.records("public").at(-1));
    return [200, `${list}\n${JSON.stringify({ feed: "arnia/public", after: `${arnia.epoch}.${after}` })}\n${entry}\n`];
  };
  arnia.override = answer(1);
  arnia.asked.length = 0;
  await origin.round();
  same(origin, arnia, "public");
  assert.ok(!arnia.asked.some((asked) => asked.includes("/changes")));
  arnia.publish("public", "c");
  arnia.override = answer(7);
  await origin.round();
  same(origin, arnia, "public");
  assert.ok(arnia.asked.some((asked) => asked.includes("/changes")));
});

test("following: nothing beyond the head is stored, and no number that goes back", async () => {
  for (const key of ["a", "b", "c"]) arnia.publish("public", key);
  const head = arnia.head("public");
  arnia.publish("public", "beyond");
  const origin = await following(arnia);
  arnia.override = (method, path) => (path === "/v1/feeds" ? [200, `${JSON.stringify({ feeds: [head] })}\n`] : undefined);
  await origin.round();
  assert.equal(origin.copies.feed("public").seq, 3);
  assert.equal(origin.copies.records.has("later-type/beyond"), false);
  const [first, second] = arnia.records("public").map((entry) => arnia.line(entry));
  const again = [...arnia.records("public").slice(3).map((entry) => arnia.line(entry)), first, second];
  arnia.override = (method, path) =>
    path.endsWith("/changes") ? [200, `${again.join("\n")}\n`, { "federation-epoch": arnia.epoch }] : undefined;
  await assert.rejects(origin.round(), /follows/);
  arnia.override = () => undefined;
  await origin.round();
  same(origin, arnia, "public");
});

test("following: a line without its line feed, and a broken journal, were never written", async () => {
  for (const key of ["a", "b", "c"]) arnia.publish("public", key);
  const origin = await following(arnia);
  const cut = arnia.records("public").slice(0, 2).map((entry) => arnia.line(entry)).join("\n");
  arnia.override = (method, path) => (path.endsWith("/changes") ? [200, cut, { "federation-epoch": arnia.epoch }] : undefined);
  await origin.round().catch(() => undefined);
  assert.equal(reread(origin).feed("public").seq, 1);
  arnia.override = () => undefined;
  appendFileSync(pathOf(directory, "copies", "arnia.jsonl"), '0123456789abcdef [["records","later-type/a",null]]');
  const again = await following(arnia);
  await again.round();
  same(again, arnia, "public");
  const text = readFileSync(pathOf(directory, "copies", "arnia.jsonl"), "utf8");
  assert.ok(text.endsWith("\n") && !text.includes("0123456789abcdef"));
});

test("repair: altered, omitted and forged lists and records", async () => {
  for (let n = 0; n < 20; n += 1) arnia.publish("public", `k${n}`);
  const origin = await following(arnia);
  await origin.round();
  const stored = [...origin.copies.snapshot()].filter(([map]) => map === "records");
  origin.copies.set("records", "later-type/k3", null);
  origin.copies.set("records", "later-type/k4", { ...origin.copies.records.get("later-type/k4"), seq: 99 });
  const listed = (change) => (method, path, query) => {
    const answer = arnia.read(arnia, "public", path.split("/")[5], query);
    return path.endsWith("/digest") && query.has("bucket") ? [200, change(answer[1])] : undefined;
  };
  const lies = [
    listed((body) => ({ ...body, leaves: [] })),
    listed((body) => ({ ...body, leaves: body.leaves.map((leaf) => leaf.replace(/ \d+$/, " 7")) })),
    listed((body) => ({ ...body, leaves: Array(2000).fill("x") })),
    (method, path, query) => {
      const [status, body] = arnia.read(arnia, "public", path.split("/")[5], query);
      return path.endsWith("/digest") && !query.has("bucket") ? [status, { ...body, buckets: [...body.buckets].reverse() }] : undefined;
    },
    (method, path, query) => (query.has("numbers") ? [200, `${arnia.line(arnia.records("public")[0])}\n`] : undefined),
    (method, path, query) => {
      const entry = arnia.feed("public").entries.get("later-type/k3");
      const text = entry.text.replace('"k3"', '"k9"');
      return query.has("numbers") ? [200, `${arnia.line({ ...entry, text, hash: sha256(text) })}\n`] : undefined;
    },
  ];
  for (const lie of lies) {
    arnia.override = lie;
    await assert.rejects(origin.repairFrom({ connection: origin.connection, operator: "arnia", token: true }, "public"), Forged);
  }
  arnia.override = () => undefined;
  await origin.round();
  same(origin, arnia, "public");
  assert.deepEqual([...origin.copies.records.keys()].sort(), stored.map(([, id]) => id).sort());
});

test("refusals: 403 drops the feed, 409 and 410 repair it, a lower head changes nothing", async () => {
  for (const key of ["a", "b", "c"]) arnia.publish("public", key);
  arnia.publish("rssi", "secret");
  const origin = await following(arnia);
  await origin.round();
  arnia.refusals.set("rssi", [403, "audience-revoked"]);
  await origin.round();
  assert.equal(reread(origin).feed("rssi"), undefined);
  assert.equal(origin.copies.records.has("later-type/secret"), false);
  assert.deepEqual(arnia.receipts.filter(({ purged }) => purged).map(({ feed }) => feed), ["arnia/rssi"]);

  arnia.epoch = "1111111111111111";
  arnia.asked.length = 0;
  await origin.round();
  same(origin, arnia, "public");
  assert.ok(!arnia.asked.some((asked) => asked.includes("/changes") || asked.includes("bucket")));
  arnia.epoch = "2222222222222222";
  arnia.feed("public").entries.delete("later-type/a");
  arnia.publish("public", "b", { name: "restored" }, { revision: 1 });
  await origin.round();
  same(origin, arnia, "public");

  arnia.publish("public", "c", null);
  arnia.publish("public", "d");
  arnia.publish("public", "e");
  arnia.dropTombstones("public", arnia.feed("public").seq - 1);
  await origin.round();
  same(origin, arnia, "public");

  const before = [...origin.copies.snapshot()].filter(([map]) => map === "records");
  arnia.feed("public").seq -= 2;
  await assert.rejects(origin.round(), /went back/);
  assert.deepEqual([...origin.copies.snapshot()].filter(([map]) => map === "records"), before);
});

test("rejected entries are reported once, and cleared by a later one", async () => {
  arnia.publish("public", "a");
  const origin = await following(arnia);
  await origin.round();
  const entry = arnia.publish("public", "a", { name: "a" }, { document: { tlp: "GREEN" } });
  await origin.round();
  await origin.round();
  assert.equal(origin.copies.stateOf("public"), "diverged");
  assert.deepEqual(arnia.feedback.map(({ audience, entries }) => [audience, entries.map(({ seq, reason }) => [seq, reason])]), [
    ["public", [[entry.seq, "wrong-audience"]]],
  ]);
  arnia.publish("public", "a", { name: "right" });
  await origin.round();
  same(origin, arnia, "public");
});

test("what is not understood is stored, verified, and read again with later schemas", async () => {
  arnia.publish("public", "a");
  const origin = await following(arnia);
  await origin.round();
  same(origin, arnia, "public");
  const fault = (copies) => copies.records.get("later-type/a").fault;
  assert.match(fault(origin.copies), /not known/);
  origin.copies.readAgain(new Schemas(new Map([["later-type", () => "/content is wrong"]])));
  assert.match(fault(reread(origin)), /wrong/);
  origin.copies.readAgain(new Schemas(new Map([["later-type", () => undefined]])));
  assert.equal(fault(reread(origin)), undefined);
  same(origin, arnia, "public");
});

test("mass deletion: the removals beyond the bound wait, withdrawals do not", async () => {
  for (let n = 0; n < 130; n += 1) arnia.publish("public", `k${n}`);
  const origin = await following(arnia);
  await origin.round();
  for (let n = 0; n < 110; n += 1) arnia.publish("public", `k${n}`, null);
  arnia.withdraw("public", "k129");
  await origin.round();
  assert.equal(origin.copies.count("public"), 29);
  assert.ok(origin.copies.feed("public").paused);
  const { seq } = origin.copies.feed("public");
  await origin.round();
  assert.equal(origin.copies.feed("public").seq, seq);
  origin.copies.setFeed("public", { confirmed: true });
  await origin.round();
  same(origin, arnia, "public");
  assert.equal(origin.copies.feed("public").paused, null);
});

test("mass deletion: what a repair would remove waits, too", async () => {
  for (let n = 0; n < 130; n += 1) arnia.publish("public", `k${n}`);
  const origin = await following(arnia);
  await origin.round();
  for (let n = 0; n < 120; n += 1) arnia.publish("public", `k${n}`, null);
  arnia.dropTombstones("public", arnia.feed("public").seq);
  await origin.round();
  assert.match(origin.copies.feed("public").paused, /120 of 130/);
  await origin.round();
  assert.equal(origin.copies.count("public"), 130);
  assert.match(origin.copies.feed("public").paused, /120 of 130/);
  origin.copies.setFeed("public", { confirmed: true });
  await origin.round();
  same(origin, arnia, "public");
  const { paused, confirmed } = origin.copies.feed("public");
  assert.deepEqual([paused, confirmed], [null, false]);
});

test("the directory is for one process at a time", () => {
  assert.ok(state.lock());
  assert.equal(state.lock(), false);
  writeFileSync(pathOf(directory, "lock"), "999999999");
  assert.ok(state.lock());
});

test("keys: an endorsed one is followed, another is not", async () => {
  arnia.publish("public", "a");
  const origin = await following(arnia);
  await origin.round();
  for (let n = 0; n < 3; n += 1) {
    arnia.changeKey();
    arnia.publish("public", `b${n}`);
    origin.peer.keysReadAt = 0;
    await origin.round();
    same(origin, arnia, "public");
  }
  const known = [origin.peer.keys.keys[0].kid];
  assert.throws(() => follow({ keys: [newKey()], succession: arnia.succession }, "arnia", known), BadSignature);
  assert.throws(() => follow({ ...ownSet(arnia), succession: ["x"] }, "arnia", known), BadSignature);
  assert.throws(() => follow({ ...ownSet(arnia), succession: Array(501).fill("x") }, "arnia", known), BadSignature);
  assert.throws(() => follow(ownSet(arnia), "megalis", [arnia.former.at(-1).kid].slice(1)), BadSignature);
  arnia.key = newKey();
  arnia.publish("public", "c");
  origin.peer.keysReadAt = 0;
  await assert.rejects(origin.round(), BadSignature);
  assert.equal(origin.copies.records.has("later-type/c"), false);
});

test("keys: the reader's own follows, ten minutes after it was endorsed", () => {
  const changed = rotate(reader, newKey());
  assert.equal(current(changed).key.kid, reader.key.kid);
  const later = current({ ...changed, next: { ...changed.next, from: 0 } });
  assert.equal(later.key.kid, changed.next.key.kid);
  for (const set of [ownSet(changed), ownSet(later)])
    assert.deepEqual(follow(set, "reader", [reader.key.kid]).keys.map(({ kid }) => kid), [later.key.kid, reader.key.kid]);
  assert.ok(ownSet(later).keys.every((key) => key.d === undefined));
});

test("relays: the origin's signature counts, and it alone", async () => {
  for (let n = 0; n < 8; n += 1) arnia.publish("federation", `k${n}`);
  const origin = await following(arnia);
  const relay = await following(megalis);
  megalis.relays = new Map([["arnia", arnia.copied()]]);
  const source = { connection: relay.connection, operator: "megalis" };
  assert.deepEqual(await followRelay(origin, source), ["federation: verified"]);
  same(origin, arnia, "federation");
  assert.equal(origin.copies.feed("federation").via, "megalis");

  const altered = arnia.copied();
  const entry = altered.feed("federation").entries.get("later-type/k1");
  entry.text = entry.text.replace('"k1"', '"k9"');
  megalis.relays.set("arnia", altered);
  origin.copies.set("records", "later-type/k1", null);
  await assert.rejects(followRelay(origin, source), (error) => error instanceof Forged && /megalis/.test(error.message));
  megalis.relays.set("arnia", arnia.copied());

  arnia.feed("federation").except = ["reader"];
  arnia.publish("federation", "secret");
  megalis.relays.set("arnia", arnia.copied());
  assert.deepEqual(await followRelay(origin, source), []);
  assert.deepEqual(origin.copies.feed("federation").except, ["reader"]);
  assert.equal(origin.copies.records.has("later-type/secret"), false);

  const old = arnia.copied();
  old.checkpoint = (audience) => arnia.checkpoint(audience, {}, { iat: Math.floor(Date.now() / 1000) - 7200 });
  megalis.relays.set("arnia", old);
  await assert.rejects(followRelay(origin, source), /megalis replays/);
});

test("requests: an outage, a refusal, a redirect, an endless line", async () => {
  const origin = await following(arnia);
  arnia.override = () => [503, {}, { "retry-after": "7" }];
  await assert.rejects(origin.round(), Outage);
  arnia.override = () => [403, { code: "missing-scope" }];
  await assert.rejects(origin.round(), Refusal);
  arnia.override = (method, path) => (path === "/v1/feeds" ? [302, "", { location: megalis.url }] : undefined);
  megalis.asked.length = 0;
  await assert.rejects(origin.round());
  assert.deepEqual(megalis.asked, []);
  arnia.override = (method, path) => (path === "/v1/feeds" ? [200, "x".repeat(3 * 1024 * 1024)] : undefined);
  await assert.rejects(origin.round(), /longer than any entry/);
  arnia.override = () => undefined;
  arnia.suspended = true;
  arnia.tokens.clear();
  await assert.rejects(origin.round(), (error) => error instanceof Refusal && error.code === "invalid_client");
});

test("serving: a descriptor, keys, no feeds, and tokens for active peers", async () => {
  const peer = { operator: "arnia", state: "active", keys: ownSet(arnia) };
  const left = [];
  const answers = new Answers({ reader: () => reader, peers: () => [peer], left: (name) => left.push(name), types: ["solution"] });
  const get = (path, headers) => answers.to({ method: "GET", path, headers });
  const [status, described] = await get("/.well-known/federation");
  assert.deepEqual([status, described.operator, described.jwks_uri], [200, "reader", `${reader.url}/.well-known/jwks.json`]);
  const [, set] = await get("/.well-known/jwks.json");
  assert.deepEqual(set.keys.map(({ kid, d }) => [kid, d]), [[reader.key.kid, undefined]]);
  assert.deepEqual((await get("/v1/feeds")).slice(0, 2), [200, '{"feeds":[]}\n']);
  assert.equal((await get("/v1/feeds", { "if-none-match": '"no-feeds"', prefer: "wait=30" }))[0], 304);
  assert.equal((await get("/v1/feeds/reader/public/changes"))[0], 403);
  assert.equal((await get("/v1/solutions"))[0], 404);

  const prover = newKey();
  const now = Math.floor(Date.now() / 1000);
  const asked = (changes = {}, key = arnia.key) => {
    const form = new URLSearchParams({ grant_type: "client_credentials", client_assertion: assertion(key, "arnia", reader.url, now), ...changes });
    return answers.to({ method: "POST", path: "/oauth2/token", body: form.toString(), proofs: [dpop(prover, "POST", `${reader.url}/oauth2/token`, now)] });
  };
  const [granted, { access_token: token, token_type: type }] = await asked();
  assert.deepEqual([granted, type], [200, "DPoP"]);
  assert.deepEqual((await asked({}, newKey()))[0], 401);
  assert.deepEqual((await asked({ scope: "node.admin" }))[1].error, "invalid_scope");
  const request = (method, path, key = prover, scheme = "DPoP") => answers.to({
    method, path, headers: { authorization: `${scheme} ${token}` }, proofs: [dpop(key, method, reader.url + path, now, token)],
  });
  assert.equal((await request("GET", "/v1/feeds"))[0], 200);
  assert.equal((await request("GET", "/v1/feeds", newKey()))[0], 401);
  assert.equal((await request("GET", "/v1/feeds", prover, "Bearer"))[0], 401);
  assert.equal((await answers.to({ method: "DELETE", path: "/v1/peers/self" }))[0], 401);
  assert.equal((await request("DELETE", "/v1/peers/self"))[0], 204);
  assert.deepEqual(left, ["arnia"]);
  peer.state = "left";
  assert.equal((await request("GET", "/v1/feeds"))[0], 401);
  assert.equal((await asked())[0], 401);
});
