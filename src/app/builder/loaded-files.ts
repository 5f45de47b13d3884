import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Where packages are: what lies there does not change while somebody works on a project. */
const PACKAGES = /[\\/]node_modules[\\/]/;

/** The project's own files that are loaded from now on. */
export class LoadedFiles {
  readonly #contents = new Map<string, Buffer>();
  readonly #own: string;

  /** @param own the folder of this package, whose files are not the user's. */
  constructor(own: URL) {
    this.#own = own.href;
    registerHooks({
      load: (url, context, next) => {
        this.#note(url);
        return next(url, context);
      },
    });
  }

  get paths(): string[] {
    return [...this.#contents.keys()].toSorted();
  }

  /** Changes with what is in the files, and with which they are. */
  digest(): string {
    const hash = createHash("sha256");
    for (const path of this.paths) hash.update(`${path}\n`).update(this.#contents.get(path)!).update("\n");
    return hash.digest("hex").slice(0, 32);
  }

  #note(url: string): void {
    if (!url.startsWith("file:") || url.startsWith(this.#own) || PACKAGES.test(url)) return;
    const path = fileURLToPath(url);
    // Without a query, by which one file may be several modules.
    if (this.#contents.has(path) || pathToFileURL(path).href !== url.replace(/[?#].*$/, "")) return;
    try {
      this.#contents.set(path, readFileSync(path));
    } catch {
      // The loader says what is wrong with it.
    }
  }
}
