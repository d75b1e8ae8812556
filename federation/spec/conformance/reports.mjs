// What a reader tells an origin: receipts for withdrawals, and the entries that it rejected
// (docs/reference/protocol.md, "Withdrawals and receipts", "Feedback").

import { seconds } from "./requests.mjs";
import { receipt } from "./signatures.mjs";

const MAX_FEEDBACK = 500;

/** Send the receipts that are pending, each signed for this attempt. */
export async function sendReceipts(origin) {
  for (const [audience, pending] of [...origin.copies.receipts]) {
    const claims = { reader: origin.reader.operator, origin: origin.name, audience, ...pending, now: seconds() };
    const body = JSON.stringify({ receipt: receipt(origin.reader.key, claims) });
    const headers = { "content-type": "application/json" };
    await origin.connection.request("POST", "/v1/receipts", { headers, body, expected: [204], token: true });
    origin.copies.set("receipts", audience, null);
    origin.copies.commit();
  }
}

/** Report rejected entries to their origin, each once. */
export async function sendFeedback(origin) {
  for (const audience of origin.copies.feeds.keys()) {
    const pending = [...origin.copies.rejected].filter(([, e]) => e.audience === audience && !e.reported && e.type);
    for (let n = 0; n < pending.length; n += MAX_FEEDBACK) {
      const part = pending.slice(n, n + MAX_FEEDBACK);
      const entries = part.map(([, { seq, type, key, revision, reason, detail }]) => ({
        seq, type, key, revision, reason, detail: [...detail].slice(0, 500).join(""),
      }));
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ audience, entries });
      await origin.connection.request("POST", "/v1/feedback", { headers, body, expected: [204], token: true });
      for (const [place, entry] of part) origin.copies.set("rejected", place, { ...entry, reported: true });
      origin.copies.commit();
    }
  }
}
