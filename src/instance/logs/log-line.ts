import type { LogLevel } from "../../observe/log.ts";

/** One line of a log. */
export interface LogLine {
  /** As it is shown: with who has written it. */
  readonly text: string;
  readonly level: LogLevel;
  /** When it was written, if it says so. */
  readonly atMs: number | undefined;
  /** It goes on with what the line before it says, as a stack does. */
  readonly isContinued: boolean;
}

/** A line that has a time, its own or one near it. */
export interface DatedLine extends LogLine {
  readonly atMs: number;
}

/** What `stderrLog` writes. */
const OWN = /^(?:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) )?(.+?) (debug|info|warn|error): /;

/** Reads the lines of one file, in their order. */
export class LineReader {
  readonly #replicaId: string | undefined;
  #level: LogLevel = "info";

  /** @param replicaId who writes it, if that is not the instance. */
  constructor(replicaId: string | undefined) {
    this.#replicaId = replicaId;
  }

  read(line: string): LogLine {
    const [, time, name, level] = OWN.exec(line) ?? [];
    const replicaId = this.#replicaId;
    const isOwn = name !== undefined && (name === "heliostat" || name === (replicaId ?? name));
    const isContinued = !isOwn && /^\s/.test(line);
    // What a program writes by itself has no level: it counts as info.
    if (isOwn) this.#level = level as LogLevel;
    else if (!isContinued) this.#level = "info";
    return {
      text: replicaId === undefined || name === replicaId ? line : `${replicaId}: ${line}`,
      level: this.#level,
      atMs: isOwn && time !== undefined ? Date.parse(time) : undefined,
      isContinued,
    };
  }
}

/**
 * Gives lines of one file that stand behind one another a time each, by which those of several files can be merged.
 *
 * @param endMs when the last of them was written.
 */
export function dated(lines: readonly LogLine[], endMs: number): DatedLine[] {
  const lastTimed = lines.findLastIndex(({ atMs }) => atMs !== undefined);
  let lastMs = lines.find(({ atMs }) => atMs !== undefined)?.atMs ?? endMs;
  return lines.map((line, i) => {
    if (line.atMs !== undefined) lastMs = line.atMs;
    // Long after the last line that has a time, much may have been written without one.
    else if (i > lastTimed && !line.isContinued) lastMs = endMs;
    return { ...line, atMs: lastMs };
  });
}

/** Merges the lines of several files; those of one file keep their order. */
export function merged(files: readonly (readonly DatedLine[])[]): DatedLine[] {
  return files.flat().toSorted((a, b) => a.atMs - b.atMs);
}
