// The reader's directory: its key, its peers, and a journal for each origin.
//
// A journal has a line for each transaction: the entries of a batch and the cursor after them, together. A line
// begins with the digest of its rest and ends with a line feed: one that does not was not written to its end, and
// counts as never written. At the start, a journal much longer than its content is written anew.

import {
  closeSync, existsSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync,
  writeFileSync, writeSync,
} from "node:fs";
import { dirname, join } from "node:path";

import { sha256 } from "./documents.mjs";

function writeDurably(path, bytes, flags) {
  const file = openSync(path, flags, 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Put a file in the place of another as a whole. */
export function replaceFile(path, text) {
  writeDurably(`${path}.new`, Buffer.from(text), "w");
  renameSync(`${path}.new`, path);
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

export class State {
  constructor(directory) {
    this.directory = directory;
    for (const name of ["peers", "copies"]) mkdirSync(join(directory, name), { recursive: true, mode: 0o700 });
  }

  read(name) {
    const path = join(this.directory, name);
    return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
  }

  write(name, value) {
    replaceFile(join(this.directory, name), `${JSON.stringify(value, null, 1)}\n`);
  }

  get reader() {
    return this.read("reader.json");
  }

  set reader(value) {
    this.write("reader.json", value);
  }

  peers() {
    const names = readdirSync(join(this.directory, "peers")).filter((name) => name.endsWith(".json"));
    return names.sort().map((name) => this.read(join("peers", name)));
  }

  peer(operator) {
    return this.read(join("peers", `${operator}.json`));
  }

  writePeer(peer) {
    this.write(join("peers", `${peer.operator}.json`), peer);
  }

  /** Let no other process write the copies; returns false if one does. */
  lock() {
    const path = join(this.directory, "lock");
    for (let attempt = 1; attempt <= 2; attempt += 1)
      try {
        writeFileSync(path, String(process.pid), { flag: "wx" });
        process.once("exit", () => rmSync(path, { force: true }));
        return true;
      } catch (error) {
        if (error.code !== "EEXIST") throw error;
        if (isRunning(Number(readFileSync(path, "utf8")))) return false;
        rmSync(path, { force: true }); // of a process that was killed
      }
    return false;
  }

  journal(origin) {
    return new Journal(join(this.directory, "copies", `${origin}.jsonl`));
  }
}

function isRunning(pid) {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}

const lineOf = (operations) => {
  const text = JSON.stringify(operations);
  return `${sha256(text).slice(0, 16)} ${text}\n`;
};

/** The transactions of one origin, in the order in which they were written. */
export class Journal {
  constructor(path) {
    this.path = path;
    this.length = 0;
  }

  /** The operations of every complete transaction; what follows the last one is cut off. */
  *read() {
    if (!existsSync(this.path)) return;
    const bytes = readFileSync(this.path);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      const text = bytes.toString("utf8", start + 17, end);
      if (sha256(text).slice(0, 16) !== bytes.toString("latin1", start, start + 16)) break;
      yield* JSON.parse(text);
      start = end + 1;
    }
    this.length = start;
    if (start < bytes.length) {
      const file = openSync(this.path, "r+");
      ftruncateSync(file, start);
      closeSync(file);
    }
  }

  append(operations) {
    const bytes = Buffer.from(lineOf(operations));
    writeDurably(this.path, bytes, "a");
    this.length += bytes.length;
  }

  /** Write the journal anew as one transaction, if that makes it much shorter. */
  compact(operations) {
    const line = lineOf(operations);
    if (this.length < 64 * 1024 || this.length < 2 * Buffer.byteLength(line)) return;
    replaceFile(this.path, line);
    this.length = Buffer.byteLength(line);
  }
}
