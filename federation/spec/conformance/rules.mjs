// What a reader asks of a content beyond its schema (docs/reference/protocol.md, "Documents"; docs/reference/schema.md,
// "Rules beyond the schema", those for all records). A content that breaks a rule is not understood; it is not rejected.

import { isDay, timeOf } from "./documents.mjs";
import { firstUnassigned } from "./unicode.mjs";

const FORBIDDEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u180e\\u200b-\\u200f\\u202a-\\u202e" +
    "\\u2060-\\u2064\\u2066-\\u206f\\ufeff\\u{e0000}-\\u{e007f}]",
  "u",
);

/** What is wrong with a text, or undefined. */
export function textFault(text) {
  if (FORBIDDEN.test(text)) return "has a character that is not allowed";
  if (text.endsWith("\n")) return "ends with a line feed";
  const point = firstUnassigned(text);
  if (point !== undefined) return `has U+${point.toString(16).toUpperCase()}, which Unicode 14.0 does not assign`;
  return text.normalize("NFC") === text ? undefined : "is not in normal form C";
}

/** The first fault of the texts of a value, names of members included. */
function textsFault(value, at) {
  if (typeof value === "string") {
    const fault = textFault(value);
    return fault && `${at || "/"} ${fault}`;
  }
  if (value === null || typeof value !== "object") return undefined;
  for (const [name, part] of Object.entries(value)) {
    const fault = Array.isArray(value) ? undefined : textFault(name);
    const wrong = fault ? `${at || "/"} has a name that ${fault}` : textsFault(part, `${at}/${name}`);
    if (wrong) return wrong;
  }
  return undefined;
}

/** [a, b]: b is not before a. */
const ORDER = [
  ["created_at", "updated_at"], ["since", "until"], ["started_at", "resolved_at"], ["detected_at", "resolved_at"],
  ["scheduled_for", "scheduled_until"], ["valid_from", "valid_until"], ["starts_at", "ends_at"],
  ["launch_on", "award_on"],
];

const instant = (value) => (isDay(value) ? value : timeOf(value));

function orderFault(value, at) {
  for (const [first, second] of ORDER) {
    if (value[first] === undefined || value[second] === undefined) continue;
    if (instant(value[second]) < instant(value[first])) return `${at}/${second} is before ${first}`;
  }
  return undefined;
}

const digits = (text) => [...text].map(Number);

/** The sum of Luhn over digits. */
const luhn = (text) =>
  digits(text).reverse().reduce((sum, digit, n) => sum + (n % 2 ? (digit > 4 ? 2 * digit - 9 : 2 * digit) : digit), 0);

const LA_POSTE = "356000000";

const SCHEMES = {
  "0002": (value) => /^[0-9]{9}$/.test(value) && luhn(value) % 10 === 0,
  "0009": (value) => {
    if (!/^[0-9]{14}$/.test(value)) return false;
    if (value.startsWith(LA_POSTE) && value !== `${LA_POSTE}00048`) // its establishments have a sum of another kind
      return digits(value).reduce((sum, digit) => sum + digit, 0) % 5 === 0;
    return luhn(value) % 10 === 0 && SCHEMES["0002"](value.slice(0, 9));
  },
  "0208": (value) => /^[01][0-9]{9}$/.test(value) && 97 - (Number(value.slice(0, 8)) % 97) === Number(value.slice(8)),
  cog: (value) => /^([0-9]{2}|2[AB])[0-9]{3}$/.test(value),
};

/** Faults of the objects inside a content: the order of times, and identifiers, which have scheme and value. */
function partsFault(value, at) {
  if (value === null || typeof value !== "object") return undefined;
  if (!Array.isArray(value)) {
    const fault = orderFault(value, at);
    if (fault) return fault;
    const { scheme, value: number } = value;
    if (typeof number === "string" && Object.hasOwn(SCHEMES, scheme) && !SCHEMES[scheme](number))
      return `${at} is no valid identifier of the scheme ${scheme}`;
  }
  for (const [name, part] of Object.entries(value)) {
    const fault = partsFault(part, `${at}/${name}`);
    if (fault) return fault;
  }
  return undefined;
}

const MAX_MARKDOWN_BYTES = 65_536;

/** Rule 29: a list has each key once. */
function distinctFault(list, key, at) {
  const keys = (list ?? []).map((entry) => entry[key]);
  return new Set(keys).size < keys.length ? `${at} has a ${key} twice` : undefined;
}

/** Rule 30: the bytes of each text in Markdown. */
function markdownFault(texts, at) {
  const isLong = Object.values(texts ?? {}).some((text) => Buffer.byteLength(text) > MAX_MARKDOWN_BYTES);
  return isLong ? `${at} has a text of more than ${MAX_MARKDOWN_BYTES} bytes` : undefined;
}

/** Rule 31: numbers from and to, the least and the most. */
function rangesFault(part, at) {
  for (const name of ["population", "agents"]) {
    const range = part?.[name];
    if (range && range.from === undefined && range.to === undefined) return `${at}/${name} has no bound`;
    if (range && range.from > range.to) return `${at}/${name} ends before it begins`;
  }
  return part?.minimum_cents > part?.maximum_cents ? `${at} has a minimum above its maximum` : undefined;
}

const tariffFault = (tariff, at) => first(tariff?.parts, (part, n) => rangesFault(part, `${at}/parts/${n}`));

/** Rule 39: one of the identifiers is a SIRET. */
const siretFault = (body, at) =>
  body.identifiers.some(({ scheme }) => scheme === "0009") ? undefined : `${at} has no SIRET`;

/** Rule 41: earlier quantities in the order of their times. */
function needFault(need, at) {
  const times = (need.earlier ?? []).map((quantity) => timeOf(quantity.given_at));
  if (times.length && need.given_at !== undefined) times.push(timeOf(need.given_at));
  return times.some((time, n) => n > 0 && time < times[n - 1]) ? `${at} has quantities out of order` : undefined;
}

/** The first fault that a function finds among the entries of a list. */
function first(list, faultOf) {
  for (const [n, entry] of (list ?? []).entries()) {
    const fault = faultOf(entry, n);
    if (fault) return fault;
  }
  return undefined;
}

/** Rules of one type. */
const OF_TYPE = {
  offer: (content) => rangesFault(content.eligibility, "/eligibility") ?? tariffFault(content.tariff, "/tariff"),
  practice: (content) => markdownFault(content.body, "/body"),
  meeting: (content) => distinctFault(content.tasks, "key", "/tasks") ?? markdownFault(content.minutes, "/minutes"),
  purchase: (content) => siretFault(content.coordinator, "/coordinator"),
  consultation: (content) =>
    distinctFault(content.units, "key", "/units") ?? tariffFault(content.tariff, "/tariff"),
  participation: (content) =>
    distinctFault(content.needs, "unit", "/needs") ?? first(content.needs, (need, n) => needFault(need, `/needs/${n}`)),
};

const typeFault = ({ type, content }) => (content && Object.hasOwn(OF_TYPE, type) ? OF_TYPE[type](content) : undefined);

/** The first rule that a document breaks whose schema it keeps, or undefined. */
export function rulesFault(document) {
  return (
    textsFault(document, "") ??
    partsFault(document.content, "/content") ??
    orderFault(document, "") ??
    typeFault(document)
  );
}

export { textsFault };
