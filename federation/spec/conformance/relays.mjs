// While an origin is down, its feeds come from another member, by repair alone and by the origin's signatures
// (docs/reference/protocol.md, "Relaying", "Exclusions").

import { Forged } from "./repair.mjs";

/** Take the feeds of an origin that is down from another member. */
export async function followRelay(origin, relay) {
  const answer = await relay.connection.json("GET", `/v1/feeds?origin=${origin.name}`, { token: true });
  const outcomes = [];
  for (const head of Array.isArray(answer.feeds) ? answer.feeds : []) {
    const { audience } = head;
    if (head.origin !== origin.name || !["public", "federation"].includes(audience) || !head.checkpoint) continue;
    const checkpoint = await origin.verify(audience, head.checkpoint);
    const { seenAt = 0, epoch, seq } = origin.copies.feed(audience) ?? {};
    if (checkpoint.iat < seenAt || (checkpoint.epoch === epoch && checkpoint.seq < seq)) {
      if (checkpoint.expired) throw new Forged(`${relay.operator} replays an old state of ${origin.name}/${audience}`);
      continue;
    }
    origin.copies.noteCheckpoint(audience, checkpoint, false);
    origin.copies.commit();
    if (checkpoint.except.includes(origin.reader.operator)) continue;
    if (checkpoint.epoch === epoch && checkpoint.seq === seq && origin.copies.equals(audience, checkpoint)) {
      origin.copies.noteVerified(audience, checkpoint, relay.operator);
      origin.copies.commit();
      outcomes.push(`${audience}: verified`);
      continue;
    }
    const source = { ...relay, relay: true, token: true };
    outcomes.push(`${audience}: ${await origin.repairFrom(source, audience, epoch !== checkpoint.epoch)}`);
  }
  return outcomes;
}
