// Requests to a node: without redirects and compression, with bounds of size and time, with a token that is bound
// to a key of this process (docs/reference/protocol.md, "Between two nodes").

import { isOperator, MAX_ENTRY_BYTES } from "./documents.mjs";
import { parse } from "./json.mjs";
import { assertion, dpop, newKey } from "./signatures.mjs";

export const MAX_ANSWER_BYTES = 1024 * 1024;
const MAX_SILENCE_SECONDS = 30;
const MAX_STREAM_SECONDS = 3600;
const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** The node does not answer, or answers 5xx: relays may be asked. */
export class Outage extends Error {}

/** The node has decided to refuse: nobody else is asked. */
export class Refusal extends Error {
  constructor(message, status, code, retryAfter) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** The answer is none that the protocol has. */
export class Unexpected extends Error {}

export const seconds = () => Math.floor(Date.now() / 1000);

/** One node, at the address that was registered; all requests go there alone. */
export class Connection {
  constructor(url, { reader, operator } = {}) {
    this.url = url;
    this.reader = reader; // who asks: its operator and its key; absent for requests without a token
    this.operator = operator;
    this.prover = newKey();
    this.token = undefined;
    this.clockAhead = undefined; // the node's clock before ours, in seconds
  }

  /** The response of one request. Outage, Refusal or Unexpected if it is none of `expected`. */
  async request(method, path, { headers = {}, body, expected = [200], token = false, wait = 0 } = {}) {
    const url = new URL(this.url + path);
    const bare = `${url.origin}${url.pathname}`;
    const own = token ? await this.proof(method, bare) : {};
    let response = await this.send(method, url, { ...headers, ...own }, body, wait);
    if (response.status === 401 && token) {
      await response.body?.cancel();
      this.token = undefined;
      response = await this.send(method, url, { ...headers, ...(await this.proof(method, bare)) }, body, wait);
    }
    if (expected.includes(response.status)) return response;
    throw await refusal(response, `${method} ${url.pathname}`);
  }

  async send(method, url, headers, body, wait) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), (MAX_SILENCE_SECONDS + wait) * 1000);
    try {
      const response = await fetch(url, {
        method,
        headers: { "accept-encoding": "identity", ...headers },
        body,
        redirect: "manual",
        signal: abort.signal,
      });
      const date = Date.parse(response.headers.get("date") ?? "");
      if (Number.isFinite(date)) this.clockAhead = Math.round((date - Date.now()) / 1000);
      response.abort = abort;
      return response;
    } catch (error) {
      const cause = error.cause?.code ?? error.cause?.message ?? error.message;
      throw new Outage(`${this.url} cannot be reached: ${abort.signal.aborted ? "no answer in time" : cause}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The headers that authenticate a request. */
  async proof(method, url) {
    if (!this.token || this.token.until <= seconds()) this.token = await this.newToken();
    const { value } = this.token;
    return { authorization: `DPoP ${value}`, dpop: dpop(this.prover, method, url, seconds(), value) };
  }

  async newToken() {
    const url = new URL(`${this.url}/oauth2/token`);
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      scope: "feeds.read",
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: assertion(this.reader.key, this.reader.operator, this.url, seconds()),
    });
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      dpop: dpop(this.prover, "POST", url.href, seconds()),
    };
    const response = await this.send("POST", url, headers, form.toString(), 0);
    if (response.status !== 200) throw await refusal(response, "no token");
    const answer = await json(response);
    if (typeof answer.access_token !== "string" || String(answer.token_type).toLowerCase() !== "dpop")
      throw new Unexpected(`${this.url} gave a token of the type ${answer.token_type}`);
    const life = typeof answer.expires_in === "number" ? answer.expires_in : 300;
    return { value: answer.access_token, until: seconds() + Math.max(life - 60, 1) };
  }

  /** How the node describes itself; Unexpected if it is not the node that is asked (joining.md, "The descriptor"). */
  async descriptor() {
    const described = await this.json("GET", "/.well-known/federation");
    const { operator, url, jwks_uri: jwksUri } = described;
    if (!isOperator(operator) || typeof jwksUri !== "string") throw new Unexpected(`${this.url} does not describe a node`);
    if (url !== this.url) throw new Unexpected(`${this.url} says that its URL is ${String(url).slice(0, 200)}`);
    if (!URL.canParse(jwksUri) || new URL(jwksUri).origin !== new URL(this.url).origin)
      throw new Unexpected(`${this.url} says that its keys are at another host`);
    if (this.operator !== undefined && operator !== this.operator)
      throw new Unexpected(`${this.url} is the node of ${operator}, not of ${this.operator}`);
    return described;
  }

  /** The key set of the node: nothing says yet which of its keys to trust. */
  async keySet() {
    const { jwks_uri: jwksUri } = await this.descriptor();
    const response = await this.send("GET", new URL(jwksUri), {}, undefined, 0);
    if (response.status !== 200) throw await refusal(response, "no keys");
    return json(response);
  }

  /** The value of a JSON answer. */
  async json(method, path, { maxBytes, ...options } = {}) {
    return json(await this.request(method, path, options), maxBytes);
  }

  /** The complete lines of an NDJSON answer. */
  async *lines(path, options) {
    const headers = { ...options.headers, accept: "application/x-ndjson" };
    const response = await this.request("GET", path, { ...options, headers });
    options.opened?.(response.headers);
    yield* linesOf(response);
  }
}

async function* chunks(response) {
  const reader = response.body.getReader();
  const end = Date.now() + MAX_STREAM_SECONDS * 1000;
  try {
    for (;;) {
      let timer;
      const silence = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Outage("the answer stopped in the middle")), MAX_SILENCE_SECONDS * 1000);
      });
      let read;
      try {
        read = await Promise.race([reader.read(), silence]);
      } catch (error) {
        throw error instanceof Outage ? error : new Outage(`the answer broke off: ${error.cause?.code ?? error.message}`);
      } finally {
        clearTimeout(timer);
      }
      if (read.done) return;
      if (Date.now() > end) throw new Outage("the answer does not end");
      yield Buffer.from(read.value.buffer, read.value.byteOffset, read.value.byteLength);
    }
  } finally {
    reader.cancel().catch(() => undefined);
    response.abort?.abort();
  }
}

/** The lines of an answer that end with a line feed; the rest after the last one is no line. */
export async function* linesOf(response) {
  let parts = [], length = 0;
  for await (const chunk of chunks(response)) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      yield Buffer.concat(parts);
      [parts, length, start] = [[], 0, end + 1];
    }
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > MAX_ENTRY_BYTES) throw new Unexpected("a line is longer than any entry");
  }
}

/** All bytes of an answer, if they are no more than that. */
export async function bytesOf(response, maxBytes = MAX_ANSWER_BYTES) {
  const parts = [];
  let length = 0;
  if (!response.body) return Buffer.alloc(0);
  for await (const chunk of chunks(response)) {
    length += chunk.length;
    if (length > maxBytes) throw new Unexpected(`the answer is longer than ${maxBytes} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

async function json(response, maxBytes) {
  const bytes = await bytesOf(response, maxBytes);
  let value;
  try {
    value = parse(bytes);
  } catch (error) {
    throw new Unexpected(`the answer is no JSON: ${error.message}`);
  }
  if (value === null || typeof value !== "object") throw new Unexpected("the answer is no object");
  return value;
}

/** What an answer that was not expected means. */
export async function refusal(response, what) {
  const { status } = response;
  let problem = {};
  try {
    problem = await json(response, 64 * 1024);
  } catch (error) {
    if (!(error instanceof Unexpected || error instanceof Outage)) throw error;
  }
  const code = String(problem.code ?? problem.error ?? String(problem.type ?? "").split(/[/:]/).at(-1));
  const detail = problem.detail ?? problem.error_description ?? "";
  const message = `${what}: it answered ${status} ${code} ${detail}`.trim().slice(0, 500);
  const retryAfter = Number(response.headers.get("retry-after")) || undefined;
  if (status >= 500) return Object.assign(new Outage(message), { retryAfter });
  if (status >= 400) return new Refusal(message, status, code, retryAfter);
  return new Unexpected(message);
}

const CURSORS = { "epoch-changed": 409, "cursor-expired": 410, "cursor-in-future": 400, "audience-revoked": 403 };

/** What a reader does with an answer that is no success, in the words of `exchanges.json`, and after how many seconds. */
export function action(error, { relay = false, path = "/v1/feeds/" } = {}) {
  if (error instanceof Outage) return { does: "wait-or-ask-relays", seconds: error.retryAfter };
  if (!(error instanceof Refusal)) return { does: "wait" };
  if (relay && error.status < 429) return { does: "nothing" };
  const { status, code, retryAfter } = error;
  if (path.startsWith("/v1/feeds/") && CURSORS[code] === status) {
    if (status === 403) return { does: "drop-the-feed" };
    return { does: status === 400 ? "stop-with-an-alarm" : "compare-and-repair" };
  }
  if (status === 401 && path !== "/oauth2/token") return { does: "new-token", seconds: retryAfter };
  return { does: "wait", seconds: retryAfter };
}
