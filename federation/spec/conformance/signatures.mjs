// Signatures: JWS with ES256 in compact form, key sets, checkpoints, receipts, and the proofs of a token request
// (RFC 7515, 7517, 7523, 7638, 9449; docs/reference/protocol.md, "Checkpoints").

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign, verify } from "node:crypto";

import { isHash, isNumber, isOperator } from "./documents.mjs";
import { parse } from "./json.mjs";

export const MAX_CHECKPOINT_SECONDS = 3600;
export const MAX_CLOCK_AHEAD_SECONDS = 300;
export const MAX_EXCLUDED = 32;
export const MAX_JWS_CHARACTERS = 16_384;

const COORDINATE = /^[A-Za-z0-9_-]{43}$/;
const BASE64URL = /^[A-Za-z0-9_-]*$/;

export class BadSignature extends Error {}

/** The public part of a key on P-256, with its thumbprint (RFC 7638) as kid; BadSignature if it is none. */
export function publicKey(jwk) {
  const { kty, crv, x, y } = jwk ?? {};
  if (kty !== "EC" || crv !== "P-256" || !isCoordinate(x) || !isCoordinate(y)) throw new BadSignature("no key on P-256");
  const kid = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
  return { kty, crv, x, y, kid };
}

const isCoordinate = (text) => typeof text === "string" && COORDINATE.test(text);

export const thumbprint = (jwk) => publicKey(jwk).kid;

/** The keys of a set by their thumbprints, whatever kid the set gives; those of other kinds are left out. */
export function keysOf(jwks) {
  const keys = new Map();
  for (const jwk of Array.isArray(jwks?.keys) ? jwks.keys : [])
    try {
      const key = publicKey(jwk);
      keys.set(key.kid, key);
    } catch (error) {
      if (!(error instanceof BadSignature)) throw error;
    }
  return keys;
}

/** A new private key, as JWK with its kid. */
export function newKey() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = privateKey.export({ format: "jwk" });
  return { ...jwk, kid: thumbprint(jwk) };
}

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A JWS in compact form over these claims, signed with a private JWK. */
export function signed(key, header, claims) {
  const text = `${part({ alg: "ES256", ...header })}.${part(claims)}`;
  const privateKey = createPrivateKey({ key, format: "jwk" });
  const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

function decoded(text, what) {
  if (!BASE64URL.test(text)) throw new BadSignature(`${what} is not base64url`);
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) throw new BadSignature(`${what} is not base64url`);
  return bytes;
}

/** Header and claims of a JWS, not verified; BadSignature if it is none. */
export function readJws(jws) {
  const parts = typeof jws === "string" && jws.length <= MAX_JWS_CHARACTERS ? jws.split(".") : [];
  if (parts.length !== 3) throw new BadSignature("no JWS in compact form");
  const [header, claims] = ["its header", "its claims"].map((what, n) => {
    let value;
    try {
      value = parse(decoded(parts[n], what));
    } catch (error) {
      throw new BadSignature(`${what}: ${error.message}`);
    }
    if (value === null || typeof value !== "object" || Array.isArray(value)) throw new BadSignature(`${what}: no object`);
    return value;
  });
  return { header, claims, text: Buffer.from(`${parts[0]}.${parts[1]}`), signature: decoded(parts[2], "its signature") };
}

/** The claims of a JWS of this type, or of one of these, that one of these keys has signed; BadSignature otherwise. */
export function verified(jws, typ, keys) {
  const { header, claims, text, signature } = readJws(jws);
  if (header.alg !== "ES256") throw new BadSignature("alg is not ES256");
  const kind = typeof header.typ === "string" ? header.typ.toLowerCase() : header.typ;
  if (![typ].flat().includes(kind)) throw new BadSignature(`typ is not ${typ}`);
  if (header.crit !== undefined) throw new BadSignature("crit names what is not known here");
  const key = keys.get(header.kid);
  if (!key) throw new UnknownKey(`no key ${String(header.kid).slice(0, 60)}`);
  const options = { key: createPublicKey({ key, format: "jwk" }), dsaEncoding: "ieee-p1363" };
  if (signature.length !== 64 || !verify("sha256", text, options, signature))
    throw new BadSignature("the signature is not that of the key");
  return claims;
}

/** The kid is none of the set's: it may be newer, so the set is read again. */
export class UnknownKey extends BadSignature {}

export const isEpoch = (value) => typeof value === "string" && /^[0-9a-f]{16}$/.test(value);

export const CHECKPOINT = "federation-checkpoint+jwt";
export const ASSERTION = "client-authentication+jwt";
export const RECEIPT = "federation-receipt+jwt";

/**
 * The claims of a checkpoint of this feed, with `expired` at `now` (seconds). BadSignature if a check fails: the
 * protocol calls that forged. `ClockAhead` if only the clocks differ too much.
 */
export function verifyCheckpoint(jws, origin, audience, keys, now) {
  const claims = verified(jws, CHECKPOINT, keys);
  const { iss, feed, epoch, seq, retained_from: retainedFrom, count, root, iat, exp, except } = claims;
  if (iss !== origin || feed !== `${origin}/${audience}`) throw new BadSignature("it is of another feed");
  if (!isEpoch(epoch)) throw new BadSignature("epoch is none");
  for (const [name, value] of Object.entries({ seq, retainedFrom, count, iat, exp }))
    if (!isNumber(value)) throw new BadSignature(`${name} is no number`);
  if (!isHash(root)) throw new BadSignature("root is no SHA-256");
  if (iat > exp || exp > iat + MAX_CHECKPOINT_SECONDS) throw new BadSignature("it lasts longer than an hour, or ends first");
  if (except !== undefined && !(Array.isArray(except) && except.length <= MAX_EXCLUDED && except.every(isOperator)))
    throw new BadSignature("except is no list of at most 32 operators");
  if (iat > now + MAX_CLOCK_AHEAD_SECONDS) throw new ClockAhead(`it was signed ${iat - now} s in the future`);
  return { epoch, seq, retainedFrom, count, root, iat, exp, except: except ?? [], expired: exp <= now };
}

export class ClockAhead extends BadSignature {}

/** A receipt: the withdrawals of a feed up to `seq` are carried out. */
export function receipt(key, { reader, origin, audience, epoch, seq, purged, now }) {
  const claims = { iss: reader, aud: origin, feed: `${origin}/${audience}`, epoch, seq, iat: now, purged };
  return signed(key, { typ: RECEIPT, kid: key.kid }, claims);
}

/** The assertion with which a node authenticates at a token endpoint (RFC 7523). */
export function assertion(key, operator, issuer, now) {
  const claims = { iss: operator, sub: operator, aud: issuer, iat: now, exp: now + 60, jti: randomUUID() };
  return signed(key, { typ: ASSERTION, kid: key.kid }, claims);
}

/** A DPoP proof for one request (RFC 9449): `url` without query and fragment, `token` once there is one. */
export function dpop(key, method, url, now, token) {
  const { kty, crv, x, y } = key;
  const claims = { jti: randomUUID(), htm: method, htu: url, iat: now };
  if (token !== undefined) claims.ath = createHash("sha256").update(token).digest("base64url");
  return signed(key, { typ: "dpop+jwt", jwk: { kty, crv, x, y } }, claims);
}
