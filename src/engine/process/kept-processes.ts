import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { decodeValue, encodeValue, specFormats } from "../../formats/spec-formats.ts";
import { isSameProcess, startOfProcess, type ProcessMark } from "./process-mark.ts";
import type { RuntimeDirectory } from "./runtime-directory.ts";

/** A process that outlives its controller, as the next one finds it. */
export interface KeptProcess<T> extends ProcessMark {
  /** What it introduces itself with, in hex. */
  readonly id: string;
  readonly startedWallMs: number;
  /** What the next controller must know of it. */
  readonly about: T;
}

/** What a controller writes down of the processes of one kind that it starts, for the controller after it. */
export class KeptProcesses<T> {
  readonly #directory: RuntimeDirectory;
  readonly #ending: string;
  readonly #formats = specFormats();

  /** @param kind such as `replica`: ends the names of the files. */
  constructor(directory: RuntimeDirectory, kind: string) {
    this.#directory = directory;
    this.#ending = `.${kind}`;
  }

  /** To be called before the process can do anything that matters. */
  note(id: string, process: { readonly pid: number; readonly startedWallMs: number; readonly about: T }): void {
    const kept: KeptProcess<T> = { ...process, id, start: startOfProcess(process.pid) ?? "" };
    const path = this.#path(id);
    // Written beside its place and moved there: nobody reads a half of it.
    writeFileSync(`${path}.new`, encodeValue(kept, this.#formats), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  forget(id: string): void {
    rmSync(this.#path(id), { force: true });
  }

  /** Those that run. What is written of others is removed. */
  find(): KeptProcess<T>[] {
    const found: KeptProcess<T>[] = [];
    for (const name of readdirSync(this.#directory.path)) {
      if (!name.endsWith(this.#ending)) continue;
      const kept = decodeValue(readFileSync(this.#directory.file(name)), this.#formats) as KeptProcess<T>;
      if (isSameProcess(kept)) found.push(kept);
      else this.forget(kept.id);
    }
    return found.toSorted((one, other) => one.startedWallMs - other.startedWallMs);
  }

  /** Ends those that run, which nobody can take over. */
  end(): void {
    for (const { id, pid } of this.find()) {
      try {
        process.kill(-pid, "SIGKILL");
      } catch {
        // It has just ended.
      }
      this.forget(id);
    }
  }

  #path(id: string): string {
    return this.#directory.file(id + this.#ending);
  }
}
