import { randomBytes } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { HeliostatError } from "../../core/errors.ts";
import { TOKEN_FILE } from "../runtime-files.ts";

/** Unix sockets have short names: 108 bytes with the end on Linux, 104 elsewhere. */
const MAX_PATH_BYTES = 103;
/** Where others have their process id. */
const KEPT = "kept";
const MAX_ATTEMPTS = 20;
const LONGEST_NAME = "/r00000000.sock";

/** A directory for the sockets of one instance, which only this user can enter. One that is kept outlives its process. */
export class RuntimeDirectory {
  readonly path: string;
  readonly parent: string;

  private constructor(path: string) {
    this.path = path;
    this.parent = dirname(path);
  }

  /** @throws {HeliostatError} if the place belongs to somebody else, or its name is too long for a socket. */
  static make(root: string = tmpdir(), { isKept = false }: { readonly isKept?: boolean } = {}): RuntimeDirectory {
    const uid = process.getuid?.() ?? 0;
    // By its name others see whose it is, and that they must not remove one that is kept.
    const name = `${isKept ? KEPT : process.pid}-${randomBytes(3).toString("hex")}`;
    const directory = new RuntimeDirectory(join(root, `heliostat-${uid}`, name));
    if (Buffer.byteLength(directory.path + LONGEST_NAME) > MAX_PATH_BYTES) {
      throw new HeliostatError(
        `The directory ${directory.path} has too long a name for Unix sockets. Set TMPDIR to a shorter one, such as /tmp.`,
      );
    }
    for (let attempts = 1; ; attempts++) {
      try {
        directory.#make(uid);
        return directory;
      } catch (error) {
        // The last instance to end removes the parent, which may be while this one is on its way into it.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempts === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /** The one that another process has left at `path`; undefined if it is gone, or is not this user's alone. */
  static left(path: string): RuntimeDirectory | undefined {
    const uid = process.getuid?.() ?? 0;
    const isMine = [path, dirname(path)].every((each) => isPrivate(lstatSync(each, { throwIfNoEntry: false }), uid));
    return isMine ? new RuntimeDirectory(path) : undefined;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Leaves the secret of the instance there, for processes of this user that want to call it. */
  writeToken(token: Uint8Array): void {
    writeFileSync(this.file(TOKEN_FILE), token, { mode: 0o600, flag: "wx" });
  }

  get hasToken(): boolean {
    return existsSync(this.file(TOKEN_FILE));
  }

  readToken(): Uint8Array {
    return readFileSync(this.file(TOKEN_FILE));
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
    if (!isPrivate(lstatSync(this.parent), uid)) {
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

function isPrivate(found: Stats | undefined, uid: number): boolean {
  return found !== undefined && found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
