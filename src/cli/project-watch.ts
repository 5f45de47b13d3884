import { type FSWatcher, statSync, watch } from "node:fs";
import { basename, dirname } from "node:path";

/** Editors write a file in several steps: what comes within this time is one change. */
const SETTLE_MS = 100;

/** Tells when one of a set of files changes. Folders are watched, since many editors put a new file in the place of the old one. */
export class ProjectWatch {
  readonly #onChange: () => void;
  readonly #folders = new Map<string, FSWatcher>();
  #files: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** @param readAtMs wall time from which on the files were read: what is newer has changed meanwhile. */
  set(files: readonly string[], readAtMs: number): void {
    this.#files = new Set(files);
    const wanted = new Set(files.map((file) => dirname(file)));
    for (const [folder, watcher] of this.#folders) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of wanted) {
      if (this.#folders.has(folder)) continue;
      const names = (): ReadonlySet<string> => this.#files;
      const watcher = watch(folder, (_event, name) => {
        if (name !== null && names().has(`${folder}/${basename(name)}`)) this.#changed();
      });
      watcher.on("error", () => {});
      this.#folders.set(folder, watcher);
    }
    if (files.some((file) => changedAt(file) > readAtMs)) this.#changed();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  #changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onChange, SETTLE_MS);
  }
}

function changedAt(file: string): number {
  try {
    return statSync(file).mtimeMs;
  } catch {
    // It is gone, or will come back.
    return 0;
  }
}
