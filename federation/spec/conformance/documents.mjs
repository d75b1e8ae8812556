// Documents and entries: canonical bytes, hashes, labels, and the verdict on a line of a feed
// (docs/reference/protocol.md, "Documents", "Feeds", "Taking entries").

import { createHash } from "node:crypto";

import { BadJson, OtherNumber, parse, parseAround, TooDeep } from "./json.mjs";

export const MAX_DOCUMENT_BYTES = 1024 * 1024;
export const MAX_DEPTH = 32;
export const MAX_ENTRY_BYTES = 2 * 1024 * 1024;

const OPERATOR = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;
const KEY = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;
const TYPE = /^[a-z][a-z0-9-]{0,62}$/;
const AUDIENCE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const HASH = /^[0-9a-f]{64}$/;
const TIME = /^(\d{4}-\d\d-\d\d)[Tt ](([01]\d|2[0-3]):[0-5]\d:[0-5]\d)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
const RESERVED = new Set(["public", "federation", "private"]);

export const isOperator = (value) => typeof value === "string" && OPERATOR.test(value);
export const isType = (value) => typeof value === "string" && TYPE.test(value);
export const isKey = (value) => typeof value === "string" && KEY.test(value);
export const isHash = (value) => typeof value === "string" && HASH.test(value);
export const isAudience = (value) => typeof value === "string" && AUDIENCE.test(value);
export const isNumber = (value, least = 0) => Number.isSafeInteger(value) && value >= least && !Object.is(value, -0);

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** An entry is rejected, for one of the reasons of the protocol; `entry` has what could be read of it. */
export class Rejected extends Error {
  constructor(reason, detail, entry) {
    super(`${reason}: ${detail}`);
    this.reason = reason;
    this.detail = detail.slice(0, 500);
    this.entry = entry;
  }
}

/** The canonical text of a value; a TypeError when it has none. */
export function canonical(value) {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new TypeError("a number that is no integer within ±(2^53 − 1)");
    return Object.is(value, -0) ? "0" : String(value);
  }
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new TypeError("half of a surrogate pair");
    return JSON.stringify(value); // ECMA-262 writes texts as RFC 8785 does
  }
  if (value instanceof OtherNumber) throw new TypeError(`${value.text.slice(0, 50)} is no integer within ±(2^53 − 1)`);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const names = Object.keys(value).sort();
  if (names.some((name) => /[^\x00-\x7f]/.test(name))) throw new TypeError("names of members are ASCII");
  return `{${names.map((name) => `${canonical(name)}:${canonical(value[name])}`).join(",")}}`;
}

/** The audience into whose feed the label puts a document; undefined when it is in no feed. */
export function audienceOf(document) {
  if (document.tlp === "CLEAR") return "public";
  if (document.tlp === "GREEN") return "federation";
  return document.tlp === "RED" ? undefined : document.audience;
}

/** What is wrong with the members of the envelope that say which record this is, and who may read it. */
export function envelopeFault(document) {
  const { type, origin, key, revision, tlp, created_at: created, updated_at: updated } = document;
  const audience = document.audience ?? undefined;
  if (!isType(type)) return "/type is no name of a type";
  if (!isOperator(origin)) return "/origin is no id of an operator";
  if (!isKey(key)) return "/key is no key";
  if (!isNumber(revision, 1)) return "/revision is no number from 1";
  if (!isInstant(created)) return "/created_at is no time in UTC";
  if (!isInstant(updated)) return "/updated_at is no time in UTC";
  if (!["AMBER", "AMBER+STRICT", "CLEAR", "GREEN", "RED"].includes(tlp)) return "/tlp is no label";
  if (audience !== undefined && (!isAudience(audience) || RESERVED.has(audience))) return "/audience is no group";
  if (tlp.startsWith("AMBER") !== (audience !== undefined)) return "/audience is for AMBER, and AMBER needs one";
  return undefined;
}

/** A time of RFC 3339 with Z or an offset, in microseconds since 1970; NaN if it is none of the years 1970 to 2200. */
export function timeOf(value) {
  const match = typeof value === "string" && TIME.exec(value);
  if (!match || !isDay(match[1])) return NaN;
  const [, day, time, , fraction = ".", offset] = match;
  const micros = Number(fraction.slice(1, 7).padEnd(6, "0"));
  return Date.parse(`${day}T${time}${offset.toUpperCase()}`) * 1000 + micros;
}

export const isInstant = (value) => !Number.isNaN(timeOf(value));

/** A day of the calendar, in the years 1970 to 2200. */
export function isDay(value) {
  const match = typeof value === "string" && /^(\d{4})-(\d\d)-(\d\d)$/.exec(value);
  if (!match) return false;
  const [year, month, day] = match.slice(1).map(Number);
  if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1) return false;
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** The document of these bytes, if they are canonical and its envelope is right; else Rejected. */
export function readDocument(bytes, entry = {}) {
  const bad = (detail) => new Rejected("bad-document", detail, entry);
  if (bytes.length > MAX_DOCUMENT_BYTES) throw bad(`more than ${MAX_DOCUMENT_BYTES} bytes`);
  let document;
  try {
    document = parse(bytes, MAX_DEPTH);
    if (canonical(document) !== bytes.toString()) throw new TypeError("the bytes are not canonical");
  } catch (error) {
    if (error instanceof TooDeep) throw bad(`more than ${MAX_DEPTH} objects and lists in one another`);
    if (error instanceof BadJson || error instanceof TypeError) throw bad(error.message);
    throw error;
  }
  if (document === null || typeof document !== "object" || Array.isArray(document)) throw bad("no object");
  if (document.content === null) throw bad("/content is null");
  const fault = envelopeFault(document);
  if (fault) throw bad(fault);
  return document;
}

/** The members of a line, and the bytes of its document. A line that is no object of JSON ends the stream. */
function readMembers(line) {
  try {
    return parseAround(line, ["seq", "op", "type", "key", "revision", "hash"], "document");
  } catch (error) {
    const match = error instanceof TooDeep && /^\{"seq":([0-9]{1,16}),/.exec(line.toString("latin1", 0, 40));
    if (!match || !isNumber(Number(match[1]), 1)) throw error;
    throw new Rejected("unreadable", error.message, { seq: Number(match[1]) });
  }
}

/** The members of a line of a feed. Rejected as unreadable if its number is readable; else an Error: the stream ends. */
export function readEntry(line) {
  const { object, span, fault } = readMembers(line);
  const { seq, op, type, key, revision } = object;
  const hash = object.hash ?? undefined;
  if (!isNumber(seq, 1)) throw new Error("a line without a number");
  const unreadable = (detail) => new Rejected("unreadable", detail, { seq });
  if (fault) throw unreadable(fault);
  if (!["upsert", "delete", "withdraw"].includes(op)) throw unreadable("op is none of the three");
  if (!isType(type)) throw unreadable("type is no name of a type");
  if (!isKey(key)) throw unreadable("key is no key");
  if (!isNumber(revision, 1)) throw unreadable("revision is no number from 1");
  if (hash !== undefined && !isHash(hash)) throw unreadable("hash is no SHA-256");
  if (op === "withdraw") return { seq, op, type, key, revision };
  return { seq, op, type, key, revision, hash, bytes: Buffer.from(span ?? "") };
}

/**
 * The entry of a line, verified against its feed; Rejected if it fails a check. `schemas` judges the content: the
 * entry has `fault`, why this reader does not understand it, or undefined.
 */
export function verifyEntry(line, origin, audience, schemas) {
  const entry = readEntry(line);
  if (entry.op === "withdraw") return entry;
  if (sha256(entry.bytes) !== entry.hash) throw new Rejected("bad-hash", "the document has another hash", entry);
  const document = readDocument(entry.bytes, entry);
  const expected = { type: entry.type, origin, key: entry.key, revision: entry.revision };
  for (const [name, value] of Object.entries(expected))
    if (document[name] !== value) throw new Rejected("bad-document", `/${name} is not that of the entry`, entry);
  if (audienceOf(document) !== audience || document.type === "group")
    throw new Rejected("wrong-audience", `the label ${document.tlp} belongs to another feed`, entry);
  if ((entry.op === "delete") !== (document.content === undefined))
    throw new Rejected("bad-document", `${entry.op} does not fit the document`, entry);
  return { ...entry, fault: document.content === undefined ? undefined : schemas?.fault(document) };
}
