import type { Log } from "../core/contracts/log.ts";

/** From the least to the most important. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Whether something of one level is to be seen where `from` is the least that is. */
export function isAtLeast(level: LogLevel, from: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(from);
}

/**
 * Writes lines for people to stderr, from `level` on. The messages name what they are about; the fields are shown to whoever asks for `debug`.
 *
 * In a file each line begins with its time: nobody has seen it come.
 */
export function stderrLog(level: LogLevel, name: string): Log {
  let isInFile: boolean | undefined;
  const write = (at: LogLevel, message: string, fields?: Record<string, unknown>): void => {
    if (!isAtLeast(at, level)) return;
    const details = fields === undefined || level !== "debug" ? "" : ` ${JSON.stringify(fields)}`;
    isInFile ??= writesToFile();
    const time = isInFile ? `${new Date().toISOString()} ` : "";
    process.stderr.write(`${time}${name} ${at}: ${message}${details}\n`);
  };
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
  };
}

function writesToFile(): boolean {
  try {
    return process.getBuiltinModule("node:fs").fstatSync(2).isFile();
  } catch {
    // It is closed.
    return false;
  }
}
