import assert from "node:assert/strict";
import { test } from "node:test";

import { canonical } from "./documents.mjs";
import { BadJson, OtherNumber, parse, parseAround, TooDeep } from "./json.mjs";

const read = (text, depth) => parse(Buffer.from(text, "utf8"), depth);

test("JSON is read as RFC 8259 has it", () => {
  assert.deepEqual(read(' {"a" : [1, -2, true, false, null, "\\u00e9\\n\\/\\ud83d\\ude00"]}\n').a, [1, -2, true, false, null, "é\n/😀"]);
  assert.deepEqual(Object.keys(read('{"__proto__":1,"constructor":2}')), ["__proto__", "constructor"]);
  for (const number of ["1.5", "1.0", "1e3", "9007199254740992", "-9007199254740992", "1e999"])
    assert.ok(read(number) instanceof OtherNumber, number);
  for (const text of [
    "", " ", "[1,]", '{"a":1,}', '{"a":1,"a":2}', "01", "+1", "-", "1.", ".5", "1e", "tru", "nul", '"a', '"\\x"', '"\\u12g4"', '"\t"', "[1 2]",
    '{"a" 1}', "{1:2}", "[1]]", "\ufeff1", '"\\ud800"', '"\\udc00x"', "NaN", "'a'",
  ])
    assert.throws(() => read(text), BadJson, text);
  assert.throws(() => parse(Buffer.from([0x22, 0xff, 0x22])), BadJson);
  const nested = (depth) => "[".repeat(depth) + "]".repeat(depth);
  assert.ok(read(nested(32), 32));
  assert.throws(() => read(nested(33), 32), TooDeep);
  assert.throws(() => read("[".repeat(1_000_000), 32), TooDeep);
});

test("the bytes of a member are found whatever they contain", () => {
  for (const value of ['{"x":"}\\"","y":[{}]}', '"]}"', "12", "null", "[[],[{}]]", '{"a":1,"a":2}'])
    for (const line of [`{"seq":1,"document":${value}}`, `{ "document" : ${value} , "seq":1, "later":[1,{"a":"}"}] }`]) {
      const { object, span } = parseAround(Buffer.from(line), ["seq"], "document");
      assert.deepEqual([span.toString(), object.seq], [value, 1], line);
    }
  for (const line of ['{"document":}', '{"document":{]}', '{"document":"\\ud800"}', '{"document":[1,]}', '{"document":1', "[]", '{"document":"\n"}'])
    assert.throws(() => parseAround(Buffer.from(line), ["seq"], "document"), BadJson, line);
  assert.equal(parseAround(Buffer.from('{"seq":1,"seq":2}'), ["seq"], "document").object.seq, 2);
});

test("canonical texts", () => {
  assert.equal(canonical(read('{ "b":[-0, "\\u0001\\u0008é"], "a":{} }')), '{"a":{},"b":[0,"\\u0001\\bé"]}');
  for (const text of ["1.5", '{"é":1}', "9007199254740992"]) assert.throws(() => canonical(read(text)), TypeError, text);
});
