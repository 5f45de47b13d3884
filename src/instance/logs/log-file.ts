import { open, type FileHandle } from "node:fs/promises";
import { dated, LineReader, type DatedLine, type LogLine } from "./log-line.ts";

/** What is read of the end of a file at first; four times as much each time that it is not enough. */
const FIRST_BYTES = 65_536;
/** No more than that is searched for the newest lines. */
const MOST_BYTES = 67_108_864;
/** What is read at once of what has come. A line that is longer is not waited for until it ends. */
const NEXT_BYTES = 1_048_576;
const NEWLINE = 0x0a;

/** What a log that was too long has become. */
export function olderPath(path: string): string {
  return `${path}.1`;
}

export type IsWanted = (line: LogLine) => boolean;

/** One file of a log, and how far it was read. */
export class LogFile {
  readonly #path: string;
  readonly #replicaId: string | undefined;
  #reader: LineReader;
  #position = 0;
  /** What is left to read was moved aside. */
  #isInOlder = false;
  #isBehind = false;

  /** @param replicaId who writes it, if that is not the instance. */
  constructor(path: string, replicaId: string | undefined) {
    this.#path = path;
    this.#replicaId = replicaId;
    this.#reader = new LineReader(replicaId);
  }

  /** Whether more has come than was read by the last `next`. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /**
   * Reads its newest lines, and goes to its end.
   *
   * @param isEnd whether a line that is not finished is shown: what follows will not be read.
   */
  async newest(count: number, isWanted: IsWanted, isEnd: boolean): Promise<DatedLine[]> {
    const here = await this.#endOf(this.#path, { count, isWanted, isEnd });
    if (here === undefined) return [];
    this.#position = here.position;
    this.#reader = here.reader;
    if (here.lines.length >= count || !here.isAll) return here.lines;
    const rest = count - here.lines.length;
    const older = await this.#endOf(olderPath(this.#path), { count: rest, isWanted, isEnd: true });
    return [...(older?.lines ?? []), ...here.lines];
  }

  /** Reads what was written since, or the beginning of that: whole lines. */
  async next(isWanted: IsWanted): Promise<DatedLine[]> {
    this.#isBehind = false;
    const file = await openIfThere(this.#isInOlder ? olderPath(this.#path) : this.#path);
    if (file === undefined) {
      this.#begin();
      return [];
    }
    try {
      const { size, mtimeMs } = await file.stat();
      if (size < this.#position) {
        // It was emptied. What was not read yet is in the older one, unless that is another one by now.
        if (this.#isInOlder) this.#begin();
        else this.#isInOlder = true;
        this.#isBehind = true;
        return [];
      }
      const bytes = await bytesOf(file, this.#position, Math.min(size, this.#position + NEXT_BYTES));
      const isFull = bytes.byteLength === NEXT_BYTES;
      const isEnd = this.#isInOlder && !isFull;
      const whole = bytes.lastIndexOf(NEWLINE) + 1;
      const length = isEnd || (isFull && whole === 0) ? bytes.byteLength : whole;
      this.#isBehind = isFull || isEnd;
      if (isEnd) this.#begin();
      else this.#position += length;
      return dated(linesOf(bytes.subarray(0, length), this.#reader), mtimeMs).filter(isWanted);
    } finally {
      await file.close();
    }
  }

  /** Goes on at the beginning of the file itself. */
  #begin(): void {
    this.#isInOlder = false;
    this.#position = 0;
  }

  async #endOf(
    path: string,
    { count, isWanted, isEnd }: { readonly count: number; readonly isWanted: IsWanted; readonly isEnd: boolean },
  ): Promise<{ lines: DatedLine[]; position: number; isAll: boolean; reader: LineReader } | undefined> {
    const file = await openIfThere(path);
    if (file === undefined) return undefined;
    try {
      const { size, mtimeMs } = await file.stat();
      for (let length = FIRST_BYTES; ; length *= 4) {
        const from = Math.max(0, size - length);
        const bytes = await bytesOf(file, from, size);
        // It begins within a line, and may end within one.
        const start = from === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
        const end = isEnd ? bytes.byteLength : Math.max(start, bytes.lastIndexOf(NEWLINE) + 1);
        const reader = new LineReader(this.#replicaId);
        const lines = dated(linesOf(bytes.subarray(start, end), reader), mtimeMs).filter(isWanted);
        if (lines.length < count && from > 0 && length < MOST_BYTES) continue;
        return {
          lines: lines.slice(Math.max(0, lines.length - count)),
          position: from + end,
          isAll: from === 0,
          reader,
        };
      }
    } finally {
      await file.close();
    }
  }
}

function linesOf(bytes: Buffer, reader: LineReader): LogLine[] {
  const lines = bytes.toString().split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => reader.read(line.replace(/\r$/, "")));
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function bytesOf(file: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(0, to - from));
  let length = 0;
  while (length < bytes.byteLength) {
    const { bytesRead } = await file.read(bytes, length, bytes.byteLength - length, from + length);
    // It was emptied meanwhile.
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}
