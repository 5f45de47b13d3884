import { randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HeliostatError } from "../../core/errors.ts";
import { TOKEN_FILE } from "../runtime-files.ts";

/** Unix sockets have short names: 108 bytes with the end on Linux, 104 elsewhere. */
const MAX_PATH_BYTES = 103;
const MAX_ATTEMPTS = 20;
const LONGEST_NAME = "/c.sock.000000";

/** A directory for the sockets of one instance, which only this user can enter. */
export class RuntimeDirectory {
  readonly path: string;
  readonly parent: string;

  /** @throws {HeliostatError} if the place belongs to somebody else, or its name is too long for a socket. */
  constructor(root: string = tmpdir()) {
    const uid = process.getuid?.() ?? 0;
    this.parent = join(root, `heliostat-${uid}`);
    this.path = join(this.parent, `${process.pid}-${randomBytes(3).toString("hex")}`);
    if (Buffer.byteLength(this.path + LONGEST_NAME) > MAX_PATH_BYTES) {
      throw new HeliostatError(
        `The directory ${this.path} has too long a name for Unix sockets. Set TMPDIR to a shorter one, such as /tmp.`,
      );
    }
    for (let attempts = 1; ; attempts++) {
      try {
        this.#make(uid);
        return;
      } catch (error) {
        // The last instance to end removes the parent, which may be while this one is on its way into it.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempts === MAX_ATTEMPTS) throw error;
      }
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Leaves the secret of the instance there, for processes of this user that want to call it. */
  writeToken(token: Uint8Array): void {
    writeFileSync(this.file(TOKEN_FILE), token, { mode: 0o600, flag: "wx" });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
    try {
      rmdirSync(this.parent);
    } catch {
      // Another instance has its directory there.
    }
  }

  #make(uid: number): void {
    mkdirSync(this.parent, { recursive: true, mode: 0o700 });
    const parent = lstatSync(this.parent);
    if (!parent.isDirectory() || parent.uid !== uid || (parent.mode & 0o077) !== 0) {
      throw new HeliostatError(
        `${this.parent} must be a directory that only this user can enter (mode 0700), for whoever can enter it can call every deployment. Remove it, or set TMPDIR to a place of your own.`,
      );
    }
    this.#removeStale();
    mkdirSync(this.path, { mode: 0o700 });
  }

  /** Directories of processes that are gone, should their reaper have been killed with them. */
  #removeStale(): void {
    for (const name of readdirSync(this.parent)) {
      const pid = Number.parseInt(name, 10);
      if (Number.isInteger(pid) && pid > 0 && !isAlive(pid))
        rmSync(join(this.parent, name), { recursive: true, force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
