// JSON (RFC 8259) read strictly from bytes, with what JSON.parse hides: repeated members, the text of numbers, and
// where a value begins and ends. An entry of a feed needs the last one, since its document must be stored as it came.

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A number that is no integer within ±(2^53 − 1): no document has one. */
export class OtherNumber {
  constructor(text) {
    this.text = text;
  }
}

export class BadJson extends Error {}

export class TooDeep extends BadJson {}

const QUOTE = 0x22, BACKSLASH = 0x5c, OPEN = 0x7b, CLOSE = 0x7d, LIST = 0x5b, END = 0x5d, COMMA = 0x2c, COLON = 0x3a;
const NUMBER = /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const UNIT = /^([0-9a-ce-f][0-9a-f]{3}|d[0-7][0-9a-f]{2}|d[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})/i; // after \u
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

class Parser {
  constructor(bytes, maxDepth) {
    this.bytes = bytes;
    this.at = 0;
    this.depth = 0;
    this.maxDepth = maxDepth;
  }

  fail(detail) {
    throw new BadJson(detail);
  }

  repeated(name) {
    throw new BadJson(`the member ${JSON.stringify(name.slice(0, 100))} is there twice`);
  }

  space() {
    const { bytes } = this;
    while (this.at < bytes.length) {
      const byte = bytes[this.at];
      if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return byte;
      this.at += 1;
    }
    return -1;
  }

  expect(byte) {
    if (this.space() !== byte) throw new BadJson(`byte ${this.at}: ${String.fromCharCode(byte)} expected`);
    this.at += 1;
  }

  down() {
    this.depth += 1;
    if (this.depth > this.maxDepth) throw new TooDeep(`more than ${this.maxDepth} objects and lists in one another`);
    this.at += 1;
  }

  up() {
    this.depth -= 1;
    this.at += 1;
  }

  value() {
    const byte = this.space();
    if (byte === OPEN) return this.object();
    if (byte === LIST) return this.list();
    if (byte === QUOTE) return this.text();
    if (byte === 0x74) return this.word("true", true);
    if (byte === 0x66) return this.word("false", false);
    if (byte === 0x6e) return this.word("null", null);
    return this.number();
  }

  word(text, value) {
    if (this.bytes.toString("latin1", this.at, this.at + text.length) !== text)
      throw new BadJson(`byte ${this.at}: no value`);
    this.at += text.length;
    return value;
  }

  number() {
    let end = this.at;
    while (end < this.bytes.length && "+-.0123456789eE".includes(String.fromCharCode(this.bytes[end]))) end += 1;
    const text = this.bytes.toString("latin1", this.at, end);
    NUMBER.lastIndex = 0;
    const match = NUMBER.exec(text);
    if (!match || match[0] !== text) throw new BadJson(`byte ${this.at}: no value`);
    this.at = end;
    const value = Number(text);
    return match[2] || match[3] || !Number.isSafeInteger(value) ? new OtherNumber(text) : value;
  }

  text() {
    const { bytes } = this;
    const start = this.at + 1;
    let end = start, plain = true;
    for (; bytes[end] !== QUOTE; end += 1) {
      if (end >= bytes.length || bytes[end] < 0x20) throw new BadJson(`byte ${end}: the text does not end`);
      if (bytes[end] === BACKSLASH) {
        plain = false;
        end += 1;
      }
    }
    this.at = end + 1;
    let text;
    try {
      text = utf8.decode(bytes.subarray(start, end));
    } catch {
      this.fail(`byte ${start}: the text is not UTF-8`);
      return "";
    }
    return plain ? text : unescaped(text, start);
  }

  list() {
    const items = [];
    this.down();
    if (this.space() === END) {
      this.up();
      return items;
    }
    for (;;) {
      items.push(this.value());
      if (this.space() === END) break;
      this.expect(COMMA);
    }
    this.up();
    return items;
  }

  object(member = (name, object) => {
    object[name] = this.value();
  }) {
    const object = Object.create(null);
    this.down();
    if (this.space() === CLOSE) {
      this.up();
      return object;
    }
    for (;;) {
      if (this.space() !== QUOTE) throw new BadJson(`byte ${this.at}: the name of a member expected`);
      const name = this.text();
      if (name in object) this.repeated(name);
      this.expect(COLON);
      member(name, object);
      if (this.space() === CLOSE) break;
      this.expect(COMMA);
    }
    this.up();
    return object;
  }

  end() {
    if (this.space() !== -1) throw new BadJson(`byte ${this.at}: something follows the value`);
  }
}

function unescaped(text, start) {
  const decoded = text.replace(/\\(u([0-9a-fA-F]{4})|[^]|$)/g, (all, sign, code) => {
    if (code) return String.fromCharCode(parseInt(code, 16));
    if (!Object.hasOwn(ESCAPES, sign)) throw new BadJson(`byte ${start}: an unknown escape`);
    return ESCAPES[sign];
  });
  if (!decoded.isWellFormed()) throw new BadJson(`byte ${start}: half of a surrogate pair`);
  return decoded;
}

/** The value of these bytes. Objects have no prototype; numbers beyond integers are `OtherNumber`. */
export function parse(bytes, maxDepth = 64) {
  const parser = new Parser(bytes, maxDepth);
  const value = parser.value();
  parser.end();
  return value;
}

/** A parser that notes texts that are not UTF-8, and takes the last of members that are there twice. */
class LenientParser extends Parser {
  fail(detail) {
    this.fault ??= detail;
  }

  repeated() {}
}

/**
 * The members of an object that are named in `known`, and the bytes of the member `raw`: of this one, as of members
 * that are not known, only the grammar is checked. `fault` tells that a known member is not UTF-8. Of members that
 * are there twice, the last one counts.
 */
export function parseAround(bytes, known, raw) {
  const parser = new LenientParser(bytes, 64);
  let span, fault;
  if (parser.space() !== OPEN) throw new BadJson("an object expected");
  const object = parser.object((name, members) => {
    parser.space();
    const start = parser.at;
    parser.fault = undefined; // a name that is not UTF-8 is that of no known member
    if (known.includes(name)) members[name] = parser.value();
    else skip(parser);
    if (name === raw) span = bytes.subarray(start, parser.at);
    fault ??= parser.fault;
  });
  parser.end();
  return { object, span, fault };
}

/** Pass over a value: its structure is checked, its texts are not decoded, and members may be there twice. */
function skip(parser) {
  const open = [];
  for (;;) {
    const byte = parser.space();
    if (byte === OPEN || byte === LIST) {
      parser.at += 1;
      if (parser.space() !== (byte === OPEN ? CLOSE : END)) {
        open.push(byte);
        if (byte === OPEN) skipName(parser);
        continue;
      }
      parser.at += 1;
    } else if (byte === QUOTE) skipText(parser);
    else if (byte === 0x74) parser.word("true");
    else if (byte === 0x66) parser.word("false");
    else if (byte === 0x6e) parser.word("null");
    else parser.number();
    while (open.length && parser.space() === (open.at(-1) === OPEN ? CLOSE : END)) {
      open.pop();
      parser.at += 1;
    }
    if (!open.length) return;
    parser.expect(COMMA);
    if (open.at(-1) === OPEN) skipName(parser);
  }
}

function skipName(parser) {
  if (parser.space() !== QUOTE) throw new BadJson(`byte ${parser.at}: the name of a member expected`);
  skipText(parser);
  parser.expect(COLON);
}

function skipText(parser) {
  const { bytes } = parser;
  for (parser.at += 1; bytes[parser.at] !== QUOTE; parser.at += 1) {
    const byte = bytes[parser.at];
    if (byte === undefined || byte < 0x20) throw new BadJson(`byte ${parser.at}: the text does not end`);
    if (byte !== BACKSLASH) continue;
    parser.at += 1;
    const sign = String.fromCharCode(bytes[parser.at]);
    if (sign === "u") {
      const match = UNIT.exec(bytes.toString("latin1", parser.at + 1, parser.at + 11));
      if (!match) throw new BadJson(`byte ${parser.at}: no escape of a character`);
      parser.at += match[0].length;
    } else if (!Object.hasOwn(ESCAPES, sign)) throw new BadJson(`byte ${parser.at}: an unknown escape`);
  }
  parser.at += 1;
}
