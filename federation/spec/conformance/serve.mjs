// What a reader that publishes nothing answers to its peers (docs/reference/joining.md, "Readers that publish nothing").

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { current, ownSet } from "./keys.mjs";
import { seconds } from "./requests.mjs";
import { BadSignature, keysOf } from "./signatures.mjs";
import { Used, verifyAssertion, verifyProof } from "./tokens.mjs";

const MAX_FORM_BYTES = 16_384;
const TOKEN_SECONDS = 300;
const MAX_WAIT_SECONDS = 30;
const MAX_TOKENS = 10_000;
const NO_FEEDS = JSON.stringify({ feeds: [] });
const ETAG = '"no-feeds"';

/** The descriptor of a reader. */
export function descriptorOf({ operator, name, url }, types) {
  return {
    operator, name, url, protocols: { v1: `${url}/v1` }, issuer: url, token_endpoint: `${url}/oauth2/token`,
    jwks_uri: `${url}/.well-known/jwks.json`, types, tombstones_kept_days: 0,
  };
}

function problem(status, code, detail) {
  const body = { type: `urn:federation:problem:${code}`, code, title: code, status, detail };
  return [status, body, { "content-type": "application/problem+json" }];
}

const refused = (error, description) => [error === "invalid_client" ? 401 : 400, { error, error_description: description }];

/** The answers of a reader. `reader()` and `peers()` return what is stored now; `left(operator)` ends a relation. */
export class Answers {
  constructor({ reader, peers, left, types }) {
    Object.assign(this, { stored: reader, peers, left, types });
    this.assertions = new Used();
    this.proofs = new Used();
    this.tokens = new Map();
  }

  get reader() {
    return current(this.stored());
  }

  /** [status, body, headers] of the answer to a request: { method, path, headers, proofs, body, signal }. */
  async to({ method, path, headers = {}, proofs = [], body = "", signal }) {
    const { reader } = this;
    if (method === "GET" || method === "HEAD") {
      if (path === "/.well-known/federation") return [200, descriptorOf(reader, this.types)];
      if (path === "/.well-known/jwks.json") return [200, ownSet(reader)];
    }
    if (method === "POST" && path === "/oauth2/token") return this.token(new URLSearchParams(body), proofs);
    let caller;
    try {
      caller = headers.authorization && this.caller(method, path, headers.authorization, proofs);
    } catch (error) {
      if (!(error instanceof BadSignature)) throw error;
      return problem(401, "unauthenticated", error.message);
    }
    if (method === "DELETE" && path === "/v1/peers/self") {
      if (!caller) return problem(401, "unauthenticated", "a token is needed");
      this.left(caller);
      return [204];
    }
    if (method !== "GET" && method !== "HEAD") return problem(404, "not-found", "this node only reads");
    if (path === "/v1/feeds") return this.feeds(headers, caller, signal);
    if (/^\/v1\/feeds\/[^/]+\/[^/]+\/(changes|digest)$/.test(path))
      return problem(403, "audience-revoked", "this node publishes nothing");
    return problem(404, "not-found", "this node only reads");
  }

  async feeds(headers, caller, signal) {
    if (headers["if-none-match"] !== ETAG) return [200, `${NO_FEEDS}\n`, { etag: ETAG }];
    const wait = /(?:^|[ ,;])wait=([0-9]{1,3})(?:$|[ ,;])/.exec(headers.prefer ?? "");
    const milliseconds = wait && caller ? Math.min(Number(wait[1]), MAX_WAIT_SECONDS) * 1000 : 0;
    await sleep(milliseconds, undefined, { signal }).catch(() => undefined); // the caller has gone
    return [304, undefined, { etag: ETAG }];
  }

  token(form, proofs) {
    const now = seconds();
    const { url } = this.reader;
    let operator, jkt;
    try {
      const keysOfPeer = (name) => {
        const peer = this.peers().find(({ operator: id, state }) => id === name && state === "active");
        return peer && keysOf(peer.keys);
      };
      const expected = { issuer: url, keysOfPeer, now, used: this.assertions };
      operator = verifyAssertion(form.get("client_assertion"), expected);
    } catch (error) {
      if (!(error instanceof BadSignature)) throw error;
      return refused("invalid_client", "the assertion is not accepted");
    }
    try {
      jkt = verifyProof(proofs, { method: "POST", url: `${url}/oauth2/token`, now, used: this.proofs });
    } catch (error) {
      if (!(error instanceof BadSignature)) throw error;
      return refused("invalid_dpop_proof", error.message);
    }
    if (form.get("grant_type") !== "client_credentials") return refused("unsupported_grant_type", "client_credentials alone");
    if ((form.get("resource") ?? url) !== url) return refused("invalid_target", "resource is not this node");
    if ((form.get("scope") ?? "feeds.read") !== "feeds.read") return refused("invalid_scope", "feeds.read alone");
    for (const [token, { until }] of this.tokens)
      if (until <= now || this.tokens.size >= MAX_TOKENS) this.tokens.delete(token);
    const value = randomBytes(32).toString("base64url");
    this.tokens.set(value, { operator, jkt, until: now + TOKEN_SECONDS });
    const answer = { access_token: value, token_type: "DPoP", expires_in: TOKEN_SECONDS, scope: "feeds.read" };
    return [200, answer, { "cache-control": "no-store" }];
  }

  /** The peer whose token this is. */
  caller(method, path, authorization, proofs) {
    const [scheme, value] = authorization.split(" ");
    const token = this.tokens.get(value);
    const now = seconds();
    if (scheme.toLowerCase() !== "dpop" || !token || token.until <= now) throw new BadSignature("no valid token");
    if (!this.peers().some((peer) => peer.operator === token.operator && peer.state === "active"))
      throw new BadSignature("no active peer");
    const expected = { method, url: `${this.reader.url}${path}`, token: value, jkt: token.jkt };
    verifyProof(proofs, { ...expected, now, used: this.proofs });
    return token.operator;
  }
}

async function bodyOf(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length <= MAX_FORM_BYTES) chunks.push(chunk);
  }
  return length > MAX_FORM_BYTES ? undefined : Buffer.concat(chunks).toString();
}

async function respond(answers, request, response) {
  const abort = new AbortController();
  response.once("close", () => abort.abort());
  const base = new URL(answers.reader.url).pathname.replace(/\/$/, "");
  const [asked] = request.url.split("?");
  const path = asked.startsWith(base) ? asked.slice(base.length) : asked;
  const proofs = request.headersDistinct.dpop ?? [];
  const body = await bodyOf(request);
  const { method, headers } = request;
  const { signal } = abort;
  const [status, value, more = {}] =
    body === undefined
      ? problem(413, "too-large", "the body is too long")
      : await answers.to({ method, path, headers, proofs, body, signal });
  const text = value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "x-content-type-options": "nosniff", ...more });
  response.end(method === "HEAD" ? undefined : text);
}

/** Answer peers on a port of this machine. */
export function serve(answers, { port, host = "127.0.0.1" }) {
  const options = { requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 16_384 };
  const server = createServer(options, (request, response) => {
    respond(answers, request, response).catch((error) => {
      process.stderr.write(`${error.stack}\n`);
      response.destroy();
    });
  });
  server.maxConnections = 256;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve(server));
  });
}
