import { rmSync, truncateSync } from "node:fs";
import { stat } from "node:fs/promises";
import type { Clock, Timer } from "../../core/contracts/clock.ts";
import type { Log } from "../../core/contracts/log.ts";
import type { ServeStatus } from "../../core/serve-types.ts";
import { olderPath } from "./log-file.ts";
import type { LogFolder, ReplicaLog } from "./log-folder.ts";
import { besidePath, moveAside, sizeOf } from "./move-aside.ts";

/** How often it looks. */
const LOOK_MS = 5_000;
const MAX_BYTES = 10_000_000;
const KEPT_FILES = 20;

export interface LogKeeperOptions {
  readonly folder: LogFolder;
  readonly clock: Clock;
  readonly log: Log;
  /** What runs: its files are kept. */
  running(): ServeStatus["applications"];
  /** A file that is longer is moved aside. */
  readonly maxBytes?: number;
  /** How many files of replicas that have ended are kept of each application. */
  readonly keptFiles?: number;
}

/** Sees to it that logs do not grow without bound. */
export class LogKeeper {
  readonly #options: Required<LogKeeperOptions>;
  /** Files with which something is wrong, which was said. */
  readonly #told = new Set<string>();
  #timer: Timer | undefined = undefined;
  #looking: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: LogKeeperOptions) {
    this.#options = { maxBytes: MAX_BYTES, keptFiles: KEPT_FILES, ...options };
    this.#lookLater();
  }

  /** Resolves when nothing is being done any more. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.setTimer(LOOK_MS, () => {
      this.#looking = this.#look().then(() => this.#lookLater());
    });
  }

  async #look(): Promise<void> {
    const { folder } = this.#options;
    const apps = await this.#attempt(folder.path, () =>
      folder.apps().map((app) => ({ app, logs: folder.replicas(app) })),
    );
    await this.#shorten(folder.ownPath);
    for (const { app, logs } of apps ?? []) {
      await this.#attempt(folder.path, () => this.#removeOld(app, logs));
      for (const { path } of logs) await this.#shorten(path);
    }
  }

  async #shorten(path: string): Promise<void> {
    const { maxBytes } = this.#options;
    await this.#attempt(path, async () => {
      const size = await sizeOf(path);
      if (size <= maxBytes) return;
      try {
        await moveAside(path);
      } catch (error) {
        // Better without what is in it than without an end, which would leave no room for anything else.
        if (size > 2 * maxBytes) truncateSync(path);
        throw error;
      }
    });
  }

  async #removeOld(app: string, logs: readonly ReplicaLog[]): Promise<void> {
    const { running, keptFiles } = this.#options;
    const deployments = Object.values(running()[app]?.deployments ?? {});
    const ids = new Set(deployments.flatMap(({ replicas }) => replicas.map(({ replicaId }) => replicaId)));
    const ended = logs.filter(({ replicaId }) => !ids.has(replicaId));
    if (ended.length <= keptFiles) return;
    const aged = await Promise.all(ended.map(async ({ path }) => ({ path, atMs: (await stat(path)).mtimeMs })));
    for (const { path } of aged.toSorted((a, b) => b.atMs - a.atMs).slice(keptFiles))
      for (const each of [path, olderPath(path), besidePath(path)]) rmSync(each, { force: true });
  }

  /** Does it, or says once why it cannot be done. */
  async #attempt<T>(path: string, work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      this.#told.delete(path);
      return result;
    } catch (error) {
      if (!this.#told.has(path))
        this.#options.log.warn(`The log ${path} cannot be kept short: ${(error as Error).message}`);
      this.#told.add(path);
      return undefined;
    }
  }
}
