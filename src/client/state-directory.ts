import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { HeliostatError } from "../core/errors.ts";
import { isSameProcess, startOfProcess, type ProcessMark } from "../engine/process/process-mark.ts";

/** What an instance tells others of itself. The secrets beside it are files of their own. */
export interface InstanceRecord extends ProcessMark {
  readonly version: string;
  readonly httpUrl: string;
  readonly adminUrl: string | undefined;
  /** Where its sockets are, and the secret that lets one in. */
  readonly runtimeDirectory: string;
  readonly stateDirectory: string;
}

/** Where instances are found, unless it is said: the user's place for what programs keep. */
export function defaultStateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const { HELIOSTAT_STATE_DIR, XDG_STATE_HOME } = env;
  if (HELIOSTAT_STATE_DIR !== undefined && HELIOSTAT_STATE_DIR !== "") return resolve(HELIOSTAT_STATE_DIR);
  // A relative one is to be ignored, says who invented it.
  if (XDG_STATE_HOME?.startsWith("/") === true) return join(XDG_STATE_HOME, "heliostat");
  return join(homedir(), ".local", "state", "heliostat");
}

/** The calls that write, so that a test can have a full disk. */
export interface Disk {
  write(fd: number, text: string): void;
}

const realDisk: Disk = {
  write(fd, text) {
    writeSync(fd, text);
    fsyncSync(fd);
  },
};

/**
 * The folder of one instance: who runs, where it is reached, and by what secret. Only this user can enter it.
 *
 * Each file is written beside its place and then moved there, so that nobody ever reads a half of one.
 */
export class StateDirectory {
  readonly path: string;
  readonly #disk: Disk;

  constructor(path: string = defaultStateDirectory(), disk: Disk = realDisk) {
    this.path = resolve(path);
    this.#disk = disk;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Makes the folder. @throws {HeliostatError} if it cannot be used, or others can enter it. */
  make(): void {
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw this.#unusable(error);
    }
    const { mode, uid } = lstatSync(this.path);
    if (uid !== (process.getuid?.() ?? uid) || (mode & 0o077) !== 0) {
      throw new HeliostatError(
        `The state directory ${this.path} must be one that only this user can enter (mode 0700): whoever can read it can call every deployment. Run chmod 700 on it, or choose another with --state-dir or HELIOSTAT_STATE_DIR.`,
      );
    }
  }

  /**
   * Takes the folder for this process.
   *
   * @returns who has it, if it is somebody who runs; a lock whose process is gone is nobody's.
   */
  lock(): ProcessMark | undefined {
    const mine: ProcessMark = { pid: process.pid, start: startOfProcess(process.pid)! };
    // Complete from the moment it is there: an empty one would be taken for what a crash has left.
    const beside = `lock.${randomBytes(4).toString("hex")}`;
    try {
      this.#writeNew(beside, JSON.stringify(mine));
      while (!this.#link(beside, "lock")) {
        const holder = this.holder() ?? this.#removeStaleLock();
        if (holder !== undefined) return holder;
      }
      return undefined;
    } catch (error) {
      throw this.#unusable(error);
    } finally {
      rmSync(this.file(beside), { force: true });
    }
  }

  /** The process that has taken the folder and runs. */
  holder(): ProcessMark | undefined {
    const lock = this.#readJson<ProcessMark>("lock");
    return lock !== undefined && isSameProcess(lock) ? lock : undefined;
  }

  /** The instance that runs and can be reached; none while it starts. */
  record(): InstanceRecord | undefined {
    const record = this.#readJson<InstanceRecord>("instance.json");
    return record !== undefined && isSameProcess(record) ? record : undefined;
  }

  /** The instance that ended without a word, if none has taken its place. */
  crashed(): InstanceRecord | undefined {
    const record = this.#readJson<InstanceRecord>("instance.json");
    return record === undefined || isSameProcess(record) ? undefined : record;
  }

  /** Tells others of the instance: from now on it is found. */
  announce(record: InstanceRecord): void {
    this.write("instance.json", `${JSON.stringify(record, undefined, 2)}\n`);
  }

  read(name: string): string | undefined {
    try {
      return readFileSync(this.file(name), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw this.#unusable(error);
    }
  }

  /** @throws {HeliostatError} if it cannot be written, such as on a full disk; what was there stays then. */
  write(name: string, text: string): void {
    const beside = `${name}.${randomBytes(4).toString("hex")}`;
    try {
      this.#writeNew(beside, text);
      renameSync(this.file(beside), this.file(name));
    } catch (error) {
      rmSync(this.file(beside), { force: true });
      throw this.#unusable(error);
    }
  }

  /** The instance is no longer found, and another one may take the folder. */
  release(): void {
    for (const name of ["instance.json", "lock"]) rmSync(this.file(name), { force: true });
  }

  /** @returns who has put a fresh one in its place meanwhile, which then stays. */
  #removeStaleLock(): ProcessMark | undefined {
    const aside = `lock.${randomBytes(4).toString("hex")}`;
    try {
      renameSync(this.file("lock"), this.file(aside));
    } catch {
      return undefined;
    }
    const taken = this.#readJson<ProcessMark>(aside);
    const isFresh = taken !== undefined && isSameProcess(taken);
    if (isFresh) this.#link(aside, "lock");
    rmSync(this.file(aside), { force: true });
    return isFresh ? taken : undefined;
  }

  /** @returns whether there was none of that name. */
  #link(from: string, to: string): boolean {
    try {
      linkSync(this.file(from), this.file(to));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      return false;
    }
  }

  #writeNew(name: string, text: string): void {
    const fd = openSync(this.file(name), "wx", 0o600);
    try {
      this.#disk.write(fd, text);
    } catch (error) {
      rmSync(this.file(name), { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  #readJson<T>(name: string): T | undefined {
    const text = this.read(name);
    if (text === undefined) return undefined;
    try {
      return (JSON.parse(text) as T | null) ?? undefined;
    } catch {
      // Nobody of ours has written it.
      return undefined;
    }
  }

  #unusable(cause: unknown): HeliostatError {
    if (cause instanceof HeliostatError) return cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === "ENOSPC" ? "its disk is full" : message;
    return new HeliostatError(
      `The state directory ${this.path} cannot be used: ${why}. Choose another with --state-dir or HELIOSTAT_STATE_DIR.`,
      { cause },
    );
  }
}
