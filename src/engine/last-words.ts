import type { Readable } from "node:stream";

/** Lines of a replica's last words that are worth showing. */
const LAST_LINES = 20;
/** How much of the end of what it wrote is looked at. */
export const LAST_CHARS = 8_192;

/** The end of what a replica has written: mostly it says why the replica ended. */
export interface LastWords {
  /** `what` happened, and with what words. */
  behind(what: string): string;
}

/** Takes what a replica writes that has no file of its own, or cannot write to it by itself. */
export interface Output {
  write(chunk: Buffer): void;
}

/** Passes on what a replica writes to its stderr, and remembers the end of it. */
export class HeardWords implements LastWords {
  #text = "";

  constructor(stderr: Readable, to: Output = process.stderr) {
    stderr.on("data", (chunk: Buffer) => {
      to.write(chunk);
      this.#text = (this.#text + chunk.toString()).slice(-LAST_CHARS);
    });
  }

  behind(what: string): string {
    return withLastWords(what, this.#text);
  }
}

/** `what` happened, with the last lines of a text. */
export function withLastWords(what: string, text: string): string {
  const lines = text.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
  return lines === "" ? what : `${what}; its last words:\n${lines}`;
}
