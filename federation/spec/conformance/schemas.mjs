// JSON Schema 2020-12, as far as the published schemas use it: what this reader understands of a content.
//
// A schema with a keyword that is not known here is refused when it is read: a check that is not made would let this
// reader believe that it understands a document.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { isDay, isInstant } from "./documents.mjs";
import { OtherNumber, parse } from "./json.mjs";
import { rulesFault } from "./rules.mjs";

const ANNOTATIONS = new Set([
  "$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples", "discriminator", "deprecated",
  "readOnly", "writeOnly",
]);

const isObject = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof OtherNumber);

const TYPES = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === "string",
  integer: (value) => typeof value === "number",
  number: (value) => typeof value === "number" || value instanceof OtherNumber,
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
};

const FORMATS = { date: isDay, "date-time": isInstant };

/** `same` of two values of JSON. */
function same(a, b) {
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, n) => same(item, b[n]));
  if (!isObject(a)) return a === b;
  const names = Object.keys(a);
  return isObject(b) && names.length === Object.keys(b).length && names.every((n) => n in b && same(a[n], b[n]));
}

const escaped = (name) => String(name).replaceAll("~", "~0").replaceAll("/", "~1");

/** A check is a function of (value, pointer) that returns a fault, or undefined. */
class Compiler {
  constructor(root) {
    this.root = root;
    this.references = new Map();
  }

  compile(schema) {
    if (schema === true) return () => undefined;
    if (schema === false) return (value, at) => `${at || "/"} must not be there`;
    const checks = [];
    for (const [keyword, argument] of Object.entries(schema)) {
      if (ANNOTATIONS.has(keyword)) continue;
      const make = KEYWORDS[keyword];
      if (!make) throw new Error(`the schema has a keyword that is not known here: ${keyword}`);
      const check = make(argument, this, schema);
      if (check) checks.push(check);
    }
    return (value, at) => {
      for (const check of checks) {
        const fault = check(value, at);
        if (fault !== undefined) return fault;
      }
      return undefined;
    };
  }

  reference(name) {
    if (!this.references.has(name)) {
      this.references.set(name, undefined); // a schema may contain itself
      if (!name.startsWith("#/")) throw new Error(`a reference outside the schema: ${name}`);
      const parts = name.slice(2).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
      const target = parts.reduce((schema, part) => schema?.[part], this.root);
      if (target === undefined) throw new Error(`a reference to nothing: ${name}`);
      this.references.set(name, this.compile(target));
    }
    return (value, at) => this.references.get(name)(value, at);
  }

  all(schemas) {
    return schemas.map((schema) => this.compile(schema));
  }
}

const named = (object, compiler) =>
  Object.entries(object).map(([name, schema]) => [name, compiler.compile(schema)]);

const bound = (applies, size, fits, words) => (limit) => (value, at) =>
  applies(value) && !fits(size(value), limit) ? `${at || "/"} ${words} ${limit}` : undefined;

const atMost = (a, b) => a <= b;
const atLeast = (a, b) => a >= b;
const characters = (text) => [...text].length;
const members = (object) => Object.keys(object).length;
const itself = (value) => value;

const KEYWORDS = {
  $ref: (name, compiler) => compiler.reference(name),
  type: (names) => {
    const list = [names].flat();
    return (value, at) => (list.some((name) => TYPES[name](value)) ? undefined : `${at || "/"} is no ${list.join(" or ")}`);
  },
  enum: (values) => (value, at) => (values.some((item) => same(item, value)) ? undefined : `${at} is none of the values`),
  const: (constant) => (value, at) => (same(constant, value) ? undefined : `${at} is not the value`),
  anyOf: (list, compiler) => {
    const checks = compiler.all(list);
    return (value, at) => {
      const faults = checks.map((check) => check(value, at));
      return faults.includes(undefined) ? undefined : faults[0];
    };
  },
  oneOf: (list, compiler) => {
    const checks = compiler.all(list);
    return (value, at) => {
      const faults = checks.map((check) => check(value, at));
      const right = faults.filter((fault) => fault === undefined).length;
      if (right === 1) return undefined;
      return right ? `${at || "/"} fits more than one of the forms` : faults[0];
    };
  },
  allOf: (list, compiler) => {
    const checks = compiler.all(list);
    return (value, at) => checks.map((check) => check(value, at)).find((fault) => fault !== undefined);
  },
  not: (schema, compiler) => {
    const check = compiler.compile(schema);
    return (value, at) => (check(value, at) === undefined ? `${at || "/"} must not be so` : undefined);
  },
  if: (condition, compiler, schema) => {
    const check = compiler.compile(condition);
    const [then, otherwise] = compiler.all([schema.then ?? true, schema.else ?? true]);
    return (value, at) => (check(value, at) === undefined ? then : otherwise)(value, at);
  },
  then: () => undefined,
  else: () => undefined,
  required: (names) => (value, at) => {
    const absent = isObject(value) ? names.find((name) => !(name in value)) : undefined;
    return absent === undefined ? undefined : `${at}/${escaped(absent)} is missing`;
  },
  dependentRequired: (rules) => (value, at) => {
    for (const [name, needed] of isObject(value) ? Object.entries(rules) : [])
      for (const other of name in value ? needed : [])
        if (!(other in value)) return `${at}/${escaped(other)} is missing`;
    return undefined;
  },
  dependentSchemas: (object, compiler) => {
    const checks = named(object, compiler);
    return (value, at) => {
      for (const [name, check] of isObject(value) ? checks : []) {
        const fault = name in value ? check(value, at) : undefined;
        if (fault !== undefined) return fault;
      }
      return undefined;
    };
  },
  properties: (object, compiler) => {
    const checks = named(object, compiler);
    return (value, at) => {
      for (const [name, check] of isObject(value) ? checks : []) {
        const fault = name in value ? check(value[name], `${at}/${escaped(name)}`) : undefined;
        if (fault !== undefined) return fault;
      }
      return undefined;
    };
  },
  additionalProperties: (schema, compiler, { properties = {}, patternProperties }) => {
    if (patternProperties) throw new Error("patternProperties is not known here");
    const check = compiler.compile(schema);
    return (value, at) => {
      for (const name of isObject(value) ? Object.keys(value) : []) {
        const fault = Object.hasOwn(properties, name) ? undefined : check(value[name], `${at}/${escaped(name)}`);
        if (fault !== undefined) return fault;
      }
      return undefined;
    };
  },
  propertyNames: (schema, compiler) => {
    const check = compiler.compile(schema);
    return (value, at) => {
      const wrong = isObject(value) ? Object.keys(value).find((name) => check(name, at) !== undefined) : undefined;
      return wrong === undefined ? undefined : `${at} has a member with a wrong name`;
    };
  },
  items: (schema, compiler) => {
    const check = compiler.compile(schema);
    return (value, at) => {
      for (let n = 0; Array.isArray(value) && n < value.length; n += 1) {
        const fault = check(value[n], `${at}/${n}`);
        if (fault !== undefined) return fault;
      }
      return undefined;
    };
  },
  uniqueItems: (unique) => (value, at) => {
    const twice = (item, n) => value.slice(0, n).some((other) => same(item, other));
    return unique && Array.isArray(value) && value.some(twice) ? `${at} has the same item twice` : undefined;
  },
  minItems: bound(Array.isArray, (list) => list.length, atLeast, "has fewer items than"),
  maxItems: bound(Array.isArray, (list) => list.length, atMost, "has more items than"),
  minLength: bound(TYPES.string, characters, atLeast, "has fewer characters than"),
  maxLength: bound(TYPES.string, characters, atMost, "has more characters than"),
  minProperties: bound(isObject, members, atLeast, "has fewer members than"),
  maxProperties: bound(isObject, members, atMost, "has more members than"),
  minimum: bound(TYPES.integer, itself, atLeast, "is less than"),
  maximum: bound(TYPES.integer, itself, atMost, "is more than"),
  pattern: (text) => {
    const expression = new RegExp(text.replaceAll('\\"', '"'), "u");
    return (value, at) => (typeof value !== "string" || expression.test(value) ? undefined : `${at} has not the form`);
  },
  format: (name) => {
    const check = FORMATS[name];
    return check && ((value, at) => (typeof value !== "string" || check(value) ? undefined : `${at} is no ${name}`));
  },
};

/** A function that returns the first fault of a value, or undefined. */
export function compile(schema) {
  const check = new Compiler(schema).compile(schema);
  return (value) => check(value, "");
}

/** The schemas of a directory (`TYPE.schema.json`). */
export class Schemas {
  constructor(byType) {
    this.byType = byType;
  }

  /** Why a document is not understood, or undefined. */
  fault(document) {
    const check = this.byType.get(document.type);
    if (!check) return `the type ${document.type} is not known here`;
    return check(document) ?? rulesFault(document);
  }
}

export function loadSchemas(directory) {
  const byType = new Map();
  for (const name of readdirSync(directory)) {
    const type = /^([a-z][a-z0-9-]*)\.schema\.json$/.exec(name)?.[1];
    if (type) byType.set(type, compile(parse(readFileSync(join(directory, name)))));
  }
  return new Schemas(byType);
}
