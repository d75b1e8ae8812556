import assert from "node:assert/strict";
import { test } from "node:test";

import { textFault } from "./rules.mjs";
import { isAssigned } from "./unicode.mjs";

test("what Unicode 14.0 does not assign, this engine assigns later or not at all", () => {
  let later = 0, unassigned = 0;
  for (let point = 0; point < 0x110000; point += 1) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const here = !/\p{Cn}/u.test(String.fromCodePoint(point));
    if (isAssigned(point)) assert.ok(here, point.toString(16));
    else if (here) later += 1;
    else unassigned += 1;
  }
  assert.ok(unassigned > 800_000 && later < 20_000, `${unassigned} ${later}`);
  for (const [point, assigned] of [[0x377, true], [0x378, false], [0x9fff, true], [0x1c89, false], [0x2065, false], [0x10ffff, false]])
    assert.equal(isAssigned(point), assigned, point.toString(16));
});

test("texts", () => {
  for (const text of ["", "é", "a\nb\t", "漢字 😀", "\u00ad"]) assert.equal(textFault(text), undefined, text);
  for (const text of ["a\n", "e\u0301", "\u200b", "\u0378", "\u007f", "\u{e0041}"]) assert.ok(textFault(text), JSON.stringify(text));
});
