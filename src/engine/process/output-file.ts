import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { LAST_CHARS, type LastWords, withLastWords } from "../last-words.ts";

/** The folder of the output of an application's replicas, in that of all logs. */
export function outputFolder(logs: string, app: string): string {
  return join(logs, fileNameOf(app));
}

/** Where the output of a replica goes. */
export function outputPath(logs: string, { app, replicaId }: { readonly app: string; readonly replicaId: string }) {
  return join(outputFolder(logs, app), `${fileNameOf(replicaId)}.log`);
}

/**
 * A file for what a replica writes, which it appends to by itself: a pipe would break when the process that reads it dies.
 *
 * @throws if it cannot be opened.
 */
export class OutputFile implements LastWords {
  readonly path: string;
  /** For the child, which gets a copy of it. */
  readonly fd: number;
  readonly #start: number;

  constructor(path: string) {
    this.path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.fd = openSync(path, "a", 0o600);
    // Another replica of this name may have written to it long ago.
    this.#start = fstatSync(this.fd).size;
  }

  /** Writes for a replica that is no process, and has no descriptors of its own. */
  write(chunk: Buffer): void {
    try {
      writeSync(this.fd, chunk);
    } catch {
      // The disk is full, and the replica must not end of that.
    }
  }

  /** A child has its own copy. */
  close(): void {
    closeSync(this.fd);
  }

  behind(what: string): string {
    try {
      return withLastWords(what, endOf(this.path, this.#start));
    } catch {
      // The file is gone, or not to be read: what happened is known all the same.
      return what;
    }
  }
}

/** The end of a file, without what stands before `start`. */
function endOf(path: string, start: number): string {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    // It was emptied meanwhile, if it is shorter now: then all of it is later.
    const from = Math.max(size < start ? 0 : start, size - LAST_CHARS);
    const bytes = Buffer.alloc(size - from);
    return bytes.toString("utf8", 0, readSync(fd, bytes, 0, bytes.byteLength, from));
  } finally {
    closeSync(fd);
  }
}

/** A dot is escaped too: no name means another folder, or the file of something else. */
function fileNameOf(name: string): string {
  return encodeURIComponent(name).replaceAll(".", "%2E");
}

/** Which application or replica a name there stands for; undefined if it is none of ours. */
export function readOutputName(fileName: string): string | undefined {
  try {
    const name = decodeURIComponent(fileName);
    return fileNameOf(name) === fileName ? name : undefined;
  } catch {
    return undefined;
  }
}
