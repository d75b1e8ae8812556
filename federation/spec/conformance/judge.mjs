#!/usr/bin/env node
// Verdicts on entries, for whoever compares an implementation with this one: on standard input one JSON object a
// line, {"feed": "ORIGIN/AUDIENCE", "line": "BASE64 of the line of the feed"}; on standard output one a line,
// {"verdict": …, "hash": …, "detail": …}. `hash` is that of the canonical bytes, of an entry that is not rejected.

import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { readDocument, Rejected, canonical, sha256, verifyEntry } from "./documents.mjs";
import { loadSchemas } from "./schemas.mjs";

/** `understood`, `not-understood`, a reason to reject the entry, or `ends-the-stream`. */
export function judge(line, feed, schemas) {
  const slash = feed.indexOf("/");
  try {
    const entry = verifyEntry(line, feed.slice(0, slash), feed.slice(slash + 1), schemas);
    if (entry.op === "withdraw") return { verdict: "understood" };
    const hash = sha256(Buffer.from(canonical(readDocument(entry.bytes, entry))));
    return { verdict: entry.fault === undefined ? "understood" : "not-understood", hash, detail: entry.fault };
  } catch (error) {
    if (error instanceof Rejected) return { verdict: error.reason, detail: error.detail };
    return { verdict: "ends-the-stream", detail: error.message };
  }
}

async function main() {
  const { values } = parseArgs({ options: { schemas: { type: "string" } } });
  const schemas = loadSchemas(values.schemas ?? fileURLToPath(new URL("../../../schemas", import.meta.url)));
  for await (const text of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const { feed, line } = JSON.parse(text);
    process.stdout.write(`${JSON.stringify(judge(Buffer.from(line, "base64"), feed, schemas))}\n`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
