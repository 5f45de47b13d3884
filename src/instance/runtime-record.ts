import { rmSync } from "node:fs";
import type { StateDirectory } from "../client/state-directory.ts";

/** Where the processes of an instance are found after a crash, and by what version they can be taken over. */
export interface RuntimeRecord {
  readonly directory: string;
  readonly version: string;
}

const FILE = "runtime.json";

/** What an instance before this one has left behind. */
export function readRuntime(state: StateDirectory): RuntimeRecord | undefined {
  try {
    const record = JSON.parse(state.read(FILE) ?? "null") as Partial<RuntimeRecord> | null;
    return typeof record?.directory === "string" && typeof record.version === "string"
      ? { directory: record.directory, version: record.version }
      : undefined;
  } catch {
    // Nobody of ours has written it.
    return undefined;
  }
}

/** @throws {HeliostatError} if it cannot be written. */
export function writeRuntime(state: StateDirectory, record: RuntimeRecord): void {
  state.write(FILE, JSON.stringify(record));
}

/** Nothing is left behind. */
export function forgetRuntime(state: StateDirectory): void {
  rmSync(state.file(FILE), { force: true });
}
