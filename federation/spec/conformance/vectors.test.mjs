// Every case of schemas/vectors/, and what they do not have. Run: node --test federation/spec/conformance/

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Copies } from "./copies.mjs";
import { bucketDigest, bucketDigests, bucketOf, hasLeaf, leafOf, readLeaf, rootOf } from "./digests.mjs";
import { canonical, Rejected, sha256, verifyEntry } from "./documents.mjs";
import { BadInvitation, checkWelcome, codeOf, readInvitation } from "./joining.mjs";
import { parse } from "./json.mjs";
import { judge } from "./judge.mjs";
import { follow } from "./keys.mjs";
import { action, refusal } from "./requests.mjs";
import { loadSchemas } from "./schemas.mjs";
import { BadSignature, keysOf, RECEIPT, signed, verified, verifyCheckpoint } from "./signatures.mjs";
import { Journal } from "./state.mjs";
import { checkRegistration, Used, verifyAssertion, verifyProof, verifyReceipt } from "./tokens.mjs";

const SCHEMAS = process.env.FEDERATION_SCHEMAS ?? new URL("../../../schemas/", import.meta.url).pathname;
const DIRECTORY = join(SCHEMAS, "vectors");
const skip = existsSync(DIRECTORY) ? false : "no schemas/vectors: FEDERATION_SCHEMAS names their directory";
const schemas = skip ? undefined : loadSchemas(SCHEMAS);
const files = skip ? [] : readdirSync(DIRECTORY).map((name) => name.replace(/\.json$/, ""));

/** A value with its repetitions written out. */
function expanded(value) {
  const repeated = (part) => part !== null && typeof part === "object" && "repeat" in part;
  if (Array.isArray(value))
    return value.flatMap((part) => (repeated(part) ? Array(part.times).fill(expanded(part.repeat)) : [expanded(part)]));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, expanded(part)]));
}

const vectors = (name) => parse(readFileSync(join(DIRECTORY, `${name}.json`)), 100);
const lineOf = (line) => Buffer.from(typeof line === "string" ? line : expanded(line).join(""));

/** `yes` if the check succeeds, `no` if it says that a signature is not right. */
function outcome(check, yes, no) {
  try {
    check();
    return yes;
  } catch (error) {
    if (!(error instanceof BadSignature || error instanceof BadInvitation)) throw error;
    return no;
  }
}

test("every file of vectors is read here", { skip }, () => {
  const read = ["documents", "digests", "moves", "exchanges", "checkpoint", "receipt", "succession", "joining", "assertion", "dpop"];
  assert.deepEqual(files.sort(), read.sort());
});

test("documents: canonical texts and hashes", { skip }, () => {
  for (const { name, value, canonical: text, sha256: hash } of vectors("documents").canonical) {
    assert.equal(canonical(value), text, name);
    assert.equal(sha256(Buffer.from(text)), hash, name);
  }
});

test("documents: the verdict on each entry", { skip }, () => {
  for (const { name, feed, line, verdict, reason } of vectors("documents").entries) {
    const found = judge(lineOf(line), feed, schemas);
    assert.equal(found.verdict, verdict === "rejected" ? reason : verdict, `${name}: ${found.detail}`);
  }
});

test("moves: what a reader stores after each entry", { skip }, () => {
  for (const { name, steps } of vectors("moves").sequences) {
    const copies = new Copies("arnia", new Journal(join(mkdtempSync(join(tmpdir(), "moves-")), "arnia.jsonl")));
    steps.forEach(({ feed, line, verdict, reason, records }, n) => {
      const [origin, audience] = feed.split("/");
      let found = "accepted";
      try {
        copies.store(audience, verifyEntry(lineOf(line), origin, audience, schemas));
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        found = error.reason;
      }
      assert.equal(found, verdict === "rejected" ? reason : verdict, `${name}, step ${n}`);
      const stored = [...copies.records.values()].map(({ type, key, op, revision, seq, audience: of }) => ({
        feed: `${origin}/${of}`, type, key, op, revision, seq,
      }));
      const order = (a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
      assert.deepEqual(stored.sort(order), records.map((record) => ({ ...record })).map(({ feed: of, type, key, op, revision, seq }) => ({
        feed: of, type, key, op, revision, seq,
      })).sort(order), `${name}, step ${n}`);
    });
  }
});

test("exchanges: what a reader does with an answer", { skip }, async () => {
  for (const { name, from, request, answer, does, at_least_seconds: least } of vectors("exchanges").exchanges) {
    const error = answer ? await refusal(new Response(answer.body, { status: answer.status, headers: { ...answer.headers } }), name) : undefined;
    const found = action(error, { relay: from === "relay", path: request.path });
    assert.equal(found.does, does, name);
    if (least !== undefined) assert.equal(found.seconds, least, name);
  }
});

test("digests: buckets", { skip }, () => {
  for (const { type, key, bucket } of vectors("digests").buckets) assert.equal(bucketOf(type, key), bucket);
});

test("digests: leaves, buckets and roots of feeds", { skip }, () => {
  for (const feed of vectors("digests").feeds) {
    const digests = bucketDigests(feed.records, feed.retained_from);
    assert.equal(rootOf(digests), feed.root, feed.name);
    digests.forEach((digest, n) => {
      const bucket = n.toString(16).padStart(2, "0");
      assert.equal(digest, feed.buckets[bucket] ?? feed.every_other_bucket, `${feed.name}: ${bucket}`);
      assert.equal(digest, bucketDigest(feed.leaves[bucket] ?? []), feed.name);
    });
    const leaves = feed.records.filter((record) => hasLeaf(record, feed.retained_from)).map(leafOf);
    assert.deepEqual(leaves.sort(), Object.values(feed.leaves).flat().sort(), feed.name);
    for (const leaf of leaves) assert.equal(leafOf(readLeaf(leaf)), leaf);
    const live = feed.records.filter((record) => record.op === "upsert");
    assert.equal(live.length, feed.count, feed.name);
  }
});

test("checkpoints: the verdict on each", { skip }, () => {
  const { cases, jwks } = vectors("checkpoint");
  const keys = keysOf(jwks);
  for (const { name, feed, jws, now, verdict, claims } of cases) {
    const [origin, audience] = feed.split("/");
    let found;
    try {
      const checkpoint = verifyCheckpoint(jws, origin, audience, keys, now);
      found = checkpoint.expired ? "expired" : "valid";
      assert.equal(checkpoint.root, claims.root, name);
      assert.deepEqual(checkpoint.except, claims.except ?? [], name);
    } catch (error) {
      if (!(error instanceof BadSignature)) throw error;
      found = "refused";
    }
    assert.equal(found, verdict, name);
  }
});

test("receipts: signed, and verified as their origin does", { skip }, () => {
  const { cases, jwks, private_key: key, peer, origin } = vectors("receipt");
  const keys = keysOf(jwks);
  const [kid] = keys.keys();
  for (const { name, claims, jws, now, verdict } of cases) {
    const check = () => verifyReceipt(jws, { keys, peer, origin, now });
    assert.equal(outcome(check, "accepted", "refused"), verdict, name);
    if (verdict === "accepted") assert.deepEqual({ ...verified(signed(key, { typ: RECEIPT, kid }, claims), RECEIPT, keys) }, { ...claims });
  }
});

test("succession: which keys are trusted", { skip }, () => {
  const { operator, cases } = vectors("succession");
  for (const { name, known, jwks, verdict, trusted } of cases) {
    let found;
    const check = () => (found = follow(expanded(jwks), operator, known).keys.map(({ kid }) => kid));
    assert.equal(outcome(check, "trusted", "refused"), verdict, name);
    if (verdict === "trusted") assert.deepEqual(found, trusted, name);
  }
});

test("joining: invitations, codes, registrations, welcomes", { skip }, () => {
  const { invitations, codes, registration, welcome } = vectors("joining");
  for (const { name, text, verdict, ...parts } of invitations) {
    let found;
    const check = () => (found = readInvitation(lineOf(text).toString()));
    assert.equal(outcome(check, "read", "refused"), verdict, name);
    if (verdict === "read") assert.deepEqual(found, { ...parts }, name);
  }
  for (const { thumbprints, code } of codes) assert.equal(codeOf(...thumbprints), code);
  const { inviter, secret, now } = registration;
  for (const { name, body, status, code } of registration.cases)
    assert.deepEqual(checkRegistration(expanded(body), { url: inviter.url, secret, now }), code ? [status, code] : [status], name);
  for (const { name, proof, verdict } of welcome.cases) {
    const expected = {
      inviter: welcome.inviter.operator, keys: keysOf(welcome.inviter.jwks), url: welcome.newcomer.url,
      newcomer: welcome.newcomer.thumbprint, secret: welcome.secret, now: welcome.now,
    };
    assert.equal(outcome(() => checkWelcome(proof, expected), "accepted", "refused"), verdict, name);
  }
});

test("assertions, as a token endpoint verifies them", { skip }, () => {
  const { issuer, peer, cases, sequences } = vectors("assertion");
  const keysOfPeer = (operator) => (operator === peer.operator ? keysOf(peer.jwks) : undefined);
  const check = ({ assertion, now, verdict }, used, name) => {
    const verify = () => verifyAssertion(assertion, { issuer, keysOfPeer, now, used });
    assert.equal(outcome(verify, "accepted", "refused"), verdict, name);
  };
  for (const one of cases) check(one, new Used(), one.name);
  for (const { name, steps } of sequences) {
    const used = new Used();
    steps.forEach((step, n) => check(step, used, `${name}, step ${n}`));
  }
});

test("proofs of DPoP, as a node verifies them", { skip }, () => {
  const { jkt, cases, sequences } = vectors("dpop");
  const check = ({ headers, method, url, token, now, verdict }, used, name) => {
    const bound = token === undefined ? undefined : jkt;
    const verify = () => verifyProof(headers, { method, url, token, jkt: bound, now, used });
    assert.equal(outcome(verify, "accepted", "refused"), verdict, name);
  };
  for (const one of cases) check(one, new Used(), one.name);
  for (const { name, steps, ...request } of sequences) {
    const used = new Used();
    steps.forEach((step, n) => check({ ...request, ...step }, used, `${name}, step ${n}`));
  }
});
