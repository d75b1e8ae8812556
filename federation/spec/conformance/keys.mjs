// Keys of peers, and how one follows another (docs/reference/joining.md, "Keys", "Succession").

import { Unexpected, seconds } from "./requests.mjs";
import { BadSignature, keysOf, publicKey, readJws, signed, verified } from "./signatures.mjs";

export const ENDORSEMENT = "federation-key+jwt";
export const MAX_SUCCESSION = 500;
const MIN_SECONDS_BETWEEN_READS = 60;
export const MAX_KEYS_AGE_SECONDS = 300;
const MIN_SECONDS_BEFORE_USE = 600;

/**
 * The keys of a set that are trusted: those that are trusted now, and those that these endorsed. BadSignature
 * refuses the set.
 */
export function follow(jwks, operator, thumbprints) {
  const { succession = [] } = jwks;
  if (!Array.isArray(succession) || succession.length > MAX_SUCCESSION)
    throw new BadSignature(`the succession is no list of at most ${MAX_SUCCESSION} endorsements`);
  const trusted = new Set(thumbprints);
  for (const endorsement of succession) {
    const signer = publicKey(readJws(endorsement).header.jwk);
    if (!trusted.has(signer.kid)) continue;
    const claims = endorsed(endorsement, signer);
    if (claims.iss === operator) trusted.add(publicKey(claims.jwk).kid);
  }
  const keys = [...keysOf(jwks).values()].filter(({ kid }) => trusted.has(kid));
  if (keys.length === 0) throw new BadSignature(`no key of ${operator} is known here, or endorsed by one that is`);
  return { keys };
}

/** The claims of an endorsement by this key. Its kid may be absent. */
function endorsed(endorsement, signer) {
  const { header } = readJws(endorsement);
  if (header.kid !== undefined && header.kid !== signer.kid) throw new BadSignature("kid is not the thumbprint of jwk");
  return verified(endorsement, ENDORSEMENT, new Map([[header.kid, signer]]));
}

/**
 * Read the keys of a peer again, and change `peer.keys`. False if they were read less than a minute ago, or nothing
 * that is read can be trusted: the reader goes on with those that it has.
 */
export async function updateKeys(peer, connection) {
  if (seconds() - (peer.keysReadAt ?? 0) < MIN_SECONDS_BETWEEN_READS) return false;
  peer.keysReadAt = seconds();
  try {
    peer.keys = follow(await connection.keySet(), peer.operator, [...keysOf(peer.keys).keys()]);
    peer.keysRefused = null;
  } catch (error) {
    if (!(error instanceof BadSignature || error instanceof Unexpected)) throw error;
    peer.keysRefused = error.message;
  }
  return true;
}

/** The reader's own set: what signs, what will sign, what signed before; and how they followed each other. */
export function ownSet(reader) {
  const { key, next, former = [], succession = [] } = reader;
  const all = [...(next ? [next.key] : []), key, ...former];
  return { keys: all.map((jwk) => ({ ...publicKey(jwk), use: "sig", alg: "ES256" })), succession };
}

/** Endorse a new key, which signs ten minutes later. */
export function rotate(reader, next) {
  const header = { typ: ENDORSEMENT, kid: reader.key.kid, jwk: bare(reader.key) };
  const endorsement = signed(reader.key, header, { iss: reader.operator, iat: seconds(), jwk: bare(next) });
  const succession = [...(reader.succession ?? []), endorsement].slice(-MAX_SUCCESSION);
  return { ...reader, next: { key: next, from: seconds() + MIN_SECONDS_BEFORE_USE }, succession };
}

/** The reader with the key that signs now; the former one stays published. */
export function current(reader) {
  if (!reader.next || reader.next.from > seconds()) return reader;
  const { next, former = [], ...rest } = reader;
  return { ...rest, key: next.key, former: [publicKey(reader.key), ...former] };
}

const bare = ({ kty, crv, x, y }) => ({ kty, crv, x, y });
