// Leaves, buckets and roots: what a signature of a feed covers (docs/reference/protocol.md, "Digests").

import { createHash } from "node:crypto";

import { isHash, isKey, isNumber, isType } from "./documents.mjs";

export const BUCKETS = 256;
export const MAX_LEAF_BYTES = 300;

const hex = (number) => number.toString(16).padStart(2, "0");

/** The bucket of a record, two hexadecimal digits. */
export const bucketOf = (type, key) => createHash("sha256").update(`${type}/${key}`).digest("hex").slice(0, 2);

export const leafOf = ({ type, key, revision, op, hash, seq }) => `${type}/${key} ${revision} ${op} ${hash} ${seq}`;

/** Whether a record of a copy has a leaf. */
export const hasLeaf = (record, retainedFrom) => record.op === "upsert" || record.seq > retainedFrom;

/** What a leaf says, or undefined if it is none. */
export function readLeaf(leaf) {
  const parts = typeof leaf === "string" && leaf.length <= MAX_LEAF_BYTES ? leaf.split(" ") : [];
  if (parts.length !== 5) return undefined;
  const [name, revision, op, hash, seq] = parts;
  const slash = name.indexOf("/");
  const parsed = { type: name.slice(0, slash), key: name.slice(slash + 1), revision: Number(revision), op, hash };
  parsed.seq = Number(seq);
  const right =
    slash > 0 && isType(parsed.type) && isKey(parsed.key) && isNumber(parsed.revision, 1) && isNumber(parsed.seq, 1) &&
    (op === "upsert" || op === "delete") && isHash(hash) && leafOf(parsed) === leaf;
  return right ? parsed : undefined;
}

/** The digest of a bucket with these leaves. */
export function bucketDigest(leaves) {
  const digest = createHash("sha256");
  const sorted = [...leaves].sort((a, b) => (a < b ? -1 : Number(a > b))); // leaves are ASCII
  for (const leaf of sorted) digest.update(`${leaf}\n`);
  return digest.digest("hex");
}

/** The 256 digests of a copy, in hexadecimal. */
export function bucketDigests(records, retainedFrom) {
  const leaves = new Map();
  for (const record of records) {
    if (!hasLeaf(record, retainedFrom)) continue;
    const bucket = record.bucket ?? bucketOf(record.type, record.key);
    if (!leaves.has(bucket)) leaves.set(bucket, []);
    leaves.get(bucket).push(leafOf(record));
  }
  return Array.from({ length: BUCKETS }, (_, n) => bucketDigest(leaves.get(hex(n)) ?? []));
}

/** The root over 256 digests in hexadecimal; undefined if they are not that. */
export function rootOf(digests) {
  if (!Array.isArray(digests) || digests.length !== BUCKETS || !digests.every(isHash)) return undefined;
  return createHash("sha256").update(Buffer.from(digests.join(""), "hex")).digest("hex");
}

export const bucketName = hex;
