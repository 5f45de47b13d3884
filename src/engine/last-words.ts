import type { Readable } from "node:stream";

/** Lines of a replica's last words that are worth showing. */
const LAST_LINES = 20;
const LAST_CHARS = 8_192;

/** Passes on what a replica writes to its stderr, and remembers the end of it: mostly it says why the replica ended. */
export class LastWords {
  #text = "";

  constructor(stderr: Readable) {
    stderr.on("data", (chunk: Buffer) => {
      process.stderr.write(chunk);
      this.#text = (this.#text + chunk.toString()).slice(-LAST_CHARS);
    });
  }

  /** `what` happened, and with what words. */
  behind(what: string): string {
    const lines = this.#text.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
    return lines === "" ? what : `${what}; its last words:\n${lines}`;
  }
}
