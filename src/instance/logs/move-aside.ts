import { closeSync, fstatSync, ftruncateSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { copyFile, stat } from "node:fs/promises";
import { olderPath } from "./log-file.ts";

const CHUNK_BYTES = 65_536;

/** What is becoming the older file: half of one must not be taken for it. */
export function besidePath(path: string): string {
  return `${olderPath(path)}.new`;
}

/** Of a file that is not there: 0. */
export async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}

/**
 * Copies a file to its older one, and empties it.
 *
 * Whoever writes to it goes on, and need not be told: it is the same file, and everybody appends. What is written between
 * the last look and the emptying, a few microseconds, is lost.
 */
export async function moveAside(path: string): Promise<void> {
  const beside = besidePath(path);
  try {
    await copyFile(path, beside);
    finish(path, beside);
  } catch (error) {
    rmSync(beside, { force: true, recursive: true });
    throw error;
  }
}

/** In one go, for the file goes on growing: the rest of it is copied, the copy takes its place, and the file is emptied. */
function finish(path: string, beside: string): void {
  const file = openSync(path, "r+");
  const copy = openSync(beside, "r+");
  try {
    renameSync(beside, olderPath(path));
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let position = fstatSync(copy).size;
    for (;;) {
      const length = readSync(file, chunk, 0, CHUNK_BYTES, position);
      if (length === 0) break;
      writeSync(copy, chunk, 0, length, position);
      position += length;
    }
    ftruncateSync(file);
  } finally {
    closeSync(file);
    closeSync(copy);
  }
}
