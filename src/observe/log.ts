import type { Log } from "../core/contracts/log.ts";

const ORDER = { debug: 0, info: 1, warn: 2, error: 3 } as const;

/** Writes lines for people to stderr, from `level` on. The messages name what they are about; the fields are shown to whoever asks for `debug`. */
export function stderrLog(level: keyof typeof ORDER, name: string): Log {
  const write = (at: keyof typeof ORDER, message: string, fields?: Record<string, unknown>): void => {
    if (ORDER[at] < ORDER[level]) return;
    const details = fields === undefined || level !== "debug" ? "" : ` ${JSON.stringify(fields)}`;
    process.stderr.write(`${name} ${at}: ${message}${details}\n`);
  };
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
  };
}
