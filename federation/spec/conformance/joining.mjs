// Joining: invitation, registration, welcome, code, activation (docs/reference/joining.md).

import { createHash, scryptSync } from "node:crypto";
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";

import { isOperator } from "./documents.mjs";
import { parse } from "./json.mjs";
import { follow, ownSet } from "./keys.mjs";
import { Connection, seconds, Unexpected } from "./requests.mjs";
import { BadSignature, keysOf, readJws, signed, verified } from "./signatures.mjs";

const BEGINNING = "federation-invitation-1.";
const MAX_INVITATION_CHARACTERS = 4096;
const CLOCK_SECONDS = 30;
const PROOF_SECONDS = 300;
export const REGISTRATION = "federation-registration+jwt";
export const WELCOME = "federation-welcome+jwt";

export class BadInvitation extends Error {}

/** The URL, the thumbprint and the secret of an invitation. */
export function readInvitation(text) {
  const line = text.replace(/\s+/g, "");
  const bad = (detail) => new BadInvitation(`this is no invitation: ${detail}`);
  if (line.length > MAX_INVITATION_CHARACTERS) throw bad("it is too long");
  if (!line.startsWith(BEGINNING)) throw bad(`it does not begin with ${BEGINNING}`);
  const encoded = line.slice(BEGINNING.length);
  let parts;
  try {
    if (!/^[A-Za-z0-9_-]+$/.test(encoded)) throw new Error("it is not base64url");
    parts = parse(Buffer.from(encoded, "base64url"));
  } catch (error) {
    throw bad(error.message);
  }
  if (!Array.isArray(parts) || parts.length !== 3 || !parts.every((part) => typeof part === "string"))
    throw bad("it has not three texts");
  const [url, thumbprint, secret] = parts;
  if (!isBaseUrl(url)) throw bad("its URL is no address of a node");
  if (!/^[A-Za-z0-9_-]{43}$/.test(thumbprint)) throw bad("its thumbprint is none");
  if (!/^[A-Za-z0-9._~+/-]{22,256}$/.test(secret)) throw bad("its secret is none");
  return { url, thumbprint, secret };
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");
const PRIVATE = new BlockList();
for (const [address, bits] of [
  ["0.0.0.0", 8], ["10.0.0.0", 8], ["100.64.0.0", 10], ["127.0.0.0", 8], ["169.254.0.0", 16], ["172.16.0.0", 12],
  ["192.0.0.0", 24], ["192.168.0.0", 16], ["198.18.0.0", 15], ["224.0.0.0", 3],
])
  PRIVATE.addSubnet(address, bits);
for (const [address, bits] of [["::", 127], ["fc00::", 7], ["fe80::", 10], ["ff00::", 8], ["64:ff9b::", 96]])
  PRIVATE.addSubnet(address, bits, "ipv6");

const hostOf = (url) => new URL(url).hostname.replace(/^\[|\]$/g, "");

/** Whether a text is the base URL of a node: https, or http on the loopback interface. */
export function isBaseUrl(text) {
  if (typeof text !== "string" || text.length > 2048 || !URL.canParse(text) || text.endsWith("/")) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  if (username || password || search || hash || /[?#@\s]/.test(text)) return false;
  const host = hostOf(text);
  const family = isIP(host);
  const loopback = host === "localhost" || (family > 0 && LOOPBACK.check(host, `ipv${family}`));
  return protocol === "https:" || (protocol === "http:" && loopback);
}

/** Refuse an address that is not public, unless the administrator has allowed it. */
export async function checkAddress(url, allowPrivate) {
  if (allowPrivate) return;
  const host = hostOf(url);
  const family = isIP(host);
  const addresses = family ? [{ address: host, family }] : await lookup(host, { all: true });
  for (const { address, family: version } of addresses)
    if (PRIVATE.check(address, `ipv${version}`))
      throw new Unexpected(`${host} is ${address}, which is not public: --private`);
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

export function checkTimes({ exp }, now) {
  if (!Number.isSafeInteger(exp) || exp <= now - CLOCK_SECONDS || exp > now + PROOF_SECONDS + CLOCK_SECONDS)
    throw new BadSignature("it has expired, or the clocks differ");
}

/** The proof of a registration at a node. */
export function registration(reader, inviterUrl, secret, now) {
  const claims = { iss: reader.operator, aud: inviterUrl, url: reader.url, invitation: sha256(secret), iat: now };
  return signed(reader.key, { typ: REGISTRATION, kid: reader.key.kid }, { ...claims, exp: now + PROOF_SECONDS });
}

/** The thumbprint of the key that signed this welcome; BadSignature unless everything is as it must be. */
export function checkWelcome(welcome, { inviter, keys, url, newcomer, secret, now }) {
  const claims = verified(welcome, WELCOME, keys);
  const expected = { iss: inviter, aud: url, newcomer, invitation: sha256(secret) };
  for (const [name, value] of Object.entries(expected))
    if (claims[name] !== value) throw new BadSignature(`${name} of the welcome is not right`);
  checkTimes(claims, now);
  return readJws(welcome).header.kid;
}

/** The sixteen digits that both administrators compare. */
export function codeOf(one, other) {
  const text = [one, other].sort().join("\n");
  const bytes = scryptSync(text, "federation joining code 1", 16, { N: 16_384, r: 8, p: 1, maxmem: 64 * 1024 * 1024 });
  const digits = String(BigInt(`0x${bytes.toString("hex")}`) % 10n ** 16n).padStart(16, "0");
  return digits.match(/.{4}/g).join(" ");
}

/** Join the inviter; returns the peer, which is pending. */
export async function join(reader, invitation, { allowPrivate = false } = {}) {
  const { url, thumbprint, secret } = readInvitation(invitation);
  await checkAddress(url, allowPrivate);
  const connection = new Connection(url);
  const { operator } = await connection.descriptor();
  if (operator === reader.operator) throw new Unexpected("this is an invitation of the reader's own operator");
  const keys = follow(await connection.keySet(), operator, [thumbprint]);
  const body = {
    operator: reader.operator,
    client_name: reader.name,
    client_uri: reader.url,
    jwks: ownSet(reader),
    software_statement: registration(reader, url, secret, seconds()),
    token_endpoint_auth_method: "private_key_jwt",
    grant_types: ["client_credentials"],
  };
  const answer = await connection.json("POST", "/v1/join", {
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify(body),
    expected: [201],
  });
  const newcomer = reader.key.kid;
  const expected = { inviter: operator, keys: keysOf(keys), url: reader.url, newcomer, secret, now: seconds() };
  const signer = checkWelcome(answer.inviter?.proof, expected);
  const name = typeof answer.inviter.name === "string" ? answer.inviter.name : operator;
  const code = codeOf(reader.key.kid, signer);
  return { operator, name, url, keys, code, state: "pending", keysReadAt: seconds(), allowPrivate, failures: 0 };
}

/** Make a pending peer active, after the administrators have compared the code. */
export async function activate(peer, code) {
  const digits = (text) => text.replace(/[^0-9]/g, "");
  if (digits(code) !== digits(peer.code)) throw new BadInvitation("the code differs: activate nothing, and call again");
  if (!isOperator(peer.operator)) throw new Unexpected("no operator");
  const set = await new Connection(peer.url, { operator: peer.operator }).keySet();
  const keys = follow(set, peer.operator, [...keysOf(peer.keys).keys()]);
  return { ...peer, keys, keysReadAt: seconds(), state: "active" };
}
