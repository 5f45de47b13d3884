import { closeSync, writeSync } from "node:fs";

/** Where a process that was started for one outcome says it: its output is for people. */
export const OUTCOME_FD = 3;

/** Says it to whoever has started this process, and nothing after it. @throws if nobody listens any more. */
export function writeOutcome(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength;) {
    try {
      at += writeSync(OUTCOME_FD, bytes, at);
    } catch (error) {
      // The pipe is full: the parent reads.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
  closeSync(OUTCOME_FD);
}
