// The other side: assertions, DPoP proofs and registrations as the node verifies them that receives them
// (docs/reference/tokens.md, docs/reference/joining.md "Registration").

import { createHash } from "node:crypto";

import { isAudience, isNumber, isOperator, sha256 } from "./documents.mjs";
import { checkTimes, isBaseUrl, REGISTRATION } from "./joining.mjs";
import { ASSERTION, BadSignature, isEpoch, keysOf, publicKey, readJws, RECEIPT, verified } from "./signatures.mjs";

const CLOCK_SECONDS = 30;
const MAX_ASSERTION_SECONDS = 300;
const MAX_PROOF_AGE_SECONDS = 60;
const MAX_PROOF_BYTES = 8192;
const REMEMBER_ASSERTION_SECONDS = 60;
const REMEMBER_PROOF_SECONDS = 120;
const MAX_REMEMBERED = 100_000;

/** Identifiers that were used, each until its time. */
export class Used {
  constructor() {
    this.until = new Map();
  }

  /** Note an identifier; BadSignature if it was used before. */
  use(id, until, now) {
    if ((this.until.get(id) ?? 0) > now) throw new BadSignature("it was used before");
    if (this.until.size >= MAX_REMEMBERED)
      for (const [other, end] of this.until) if (end <= now) this.until.delete(other);
    if (this.until.size >= MAX_REMEMBERED) throw new BadSignature("too many are remembered");
    this.until.set(id, until);
  }
}

const isTime = (value) => typeof value === "number" && value >= 0;

function identifier({ jti }) {
  if (typeof jti !== "string" || jti.length < 8 || jti.length > 255)
    throw new BadSignature("jti has not 8 to 255 characters");
  return jti;
}

/** The operator that signed an assertion for this issuer; `keysOfPeer(operator)` has the keys of an active peer. */
export function verifyAssertion(jws, { issuer, keysOfPeer, now, used }) {
  const { iss } = readJws(jws).claims; // readJws refuses what is no text
  const keys = isOperator(iss) ? keysOfPeer(iss) : undefined;
  if (!keys) throw new BadSignature("it is of no active peer");
  const claims = verified(jws, [ASSERTION, "jwt", undefined], keys);
  const { sub, aud, iat = now, exp, nbf = now } = claims;
  if (sub !== iss) throw new BadSignature("sub is not iss");
  if (!(aud === issuer || (Array.isArray(aud) && aud.length === 1 && aud[0] === issuer)))
    throw new BadSignature("aud is not this node");
  if (![iat, exp, nbf].every(isTime)) throw new BadSignature("a time is none");
  if (exp <= now - CLOCK_SECONDS) throw new BadSignature("it has expired");
  if (iat > now + CLOCK_SECONDS || nbf > now + CLOCK_SECONDS) throw new BadSignature("it is of the future");
  if (exp > Math.max(now, iat) + MAX_ASSERTION_SECONDS) throw new BadSignature("it holds for too long");
  used.use(`${iss} ${identifier(claims)}`, exp + REMEMBER_ASSERTION_SECONDS, now);
  return iss;
}

const decoded = (url) => {
  try {
    return decodeURIComponent(url);
  } catch {
    return undefined;
  }
};

/** The thumbprint of the key that made the proof of a request; with a token, the key to which it is bound. */
export function verifyProof(headers, { method, url, token, jkt, now, used }) {
  if (headers.length !== 1 || headers[0].length > MAX_PROOF_BYTES) throw new BadSignature("not exactly one proof");
  const [proof] = headers;
  const { jwk, kid } = readJws(proof).header;
  if (jwk === null || typeof jwk !== "object" || "d" in jwk) throw new BadSignature("no public key in the header");
  const key = publicKey(jwk);
  const claims = verified(proof, "dpop+jwt", new Map([[kid, key]]));
  const { htm, htu, iat, ath } = claims;
  if (htm !== method) throw new BadSignature("htm is another method");
  if (typeof htu !== "string" || decoded(htu.split(/[?#]/)[0]) !== decoded(url))
    throw new BadSignature("htu is another URL");
  if (!isTime(iat) || now - iat > MAX_PROOF_AGE_SECONDS || iat - now > CLOCK_SECONDS)
    throw new BadSignature("iat is not now");
  const expected = token === undefined ? undefined : createHash("sha256").update(token).digest("base64url");
  if (token !== undefined && ath !== expected) throw new BadSignature("ath is not that of the token");
  if (jkt !== undefined && key.kid !== jkt) throw new BadSignature("the token is bound to another key");
  used.use(`${key.kid} ${identifier(claims)}`, iat + REMEMBER_PROOF_SECONDS, now);
  return key.kid;
}

const MEMBERS = {
  operator: isOperator,
  client_name: (value) => typeof value === "string" && /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Cn}]{1,200}$/u.test(value),
  client_uri: (value) => typeof value === "string",
  jwks: (value) => value !== null && typeof value === "object" && !Array.isArray(value),
  software_statement: (value) => typeof value === "string",
  token_endpoint_auth_method: (value) => value === undefined || value === "private_key_jwt",
  grant_types: (value) => value === undefined || (Array.isArray(value) && value.every((item) => typeof item === "string")),
};

/** Status and code with which an inviter answers a registration, whose invitation with this secret is unused. */
export function checkRegistration(body, { url, secret, now }) {
  const isKnown = Object.keys(body).every((name) => Object.hasOwn(MEMBERS, name));
  if (!isKnown || !Object.entries(MEMBERS).every(([name, check]) => check(body[name]))) return [400, "invalid"];
  try {
    const claims = verified(body.software_statement, REGISTRATION, keysOf(body.jwks));
    const expected = { iss: body.operator, aud: url, url: body.client_uri, invitation: sha256(secret) };
    for (const [name, value] of Object.entries(expected))
      if (claims[name] !== value) throw new BadSignature(`${name} is not right`);
    checkTimes(claims, now);
  } catch (error) {
    if (!(error instanceof BadSignature)) throw error;
    return [401, "unauthenticated"];
  }
  return isBaseUrl(body.client_uri) ? [201] : [400, "invalid"];
}

const MAX_RECEIPT_BYTES = 8192;
const MAX_RECEIPT_SECONDS = 300;

/** The claims of a receipt of this peer, as its origin accepts them. */
export function verifyReceipt(jws, { keys, peer, origin, now }) {
  if (jws.length > MAX_RECEIPT_BYTES) throw new BadSignature("it is too long");
  const claims = verified(jws, RECEIPT, keys);
  const { iss, aud, feed, epoch, seq, iat, purged = false } = claims;
  if (iss !== peer || aud !== origin) throw new BadSignature("it is of another peer, or for another origin");
  const [of, audience, ...more] = typeof feed === "string" ? feed.split("/") : [];
  if (of !== origin || !isAudience(audience) || more.length) throw new BadSignature("feed is none of the origin");
  if (!isEpoch(epoch) || !isNumber(seq) || typeof purged !== "boolean") throw new BadSignature("a claim is not right");
  if (!isNumber(iat) || Math.abs(now - iat) > MAX_RECEIPT_SECONDS) throw new BadSignature("iat is not now");
  return claims;
}
