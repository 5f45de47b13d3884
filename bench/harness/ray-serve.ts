import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import { endProcesses, installPython, peersDirectory, spawnPython } from "./peers.ts";

/** What `ray_serve.py` can be asked for. */
export type RayWork = "echo" | "nothing" | "items" | "take";

const REQUIREMENT = "ray[serve]==2.60.0";
const START_MS = 90_000;
const ANSWER_MS = 60_000;
const END_MS = 15_000;

/** An instance of Ray of its own, with one deployment that calls another. */
export class RayServe {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #directory: string;
  #pids: readonly number[] = [];
  #next: PromiseWithResolvers<string> = Promise.withResolvers();
  version = "";

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    this.#lines = createInterface({ input: child.stdout! });
    this.#lines.on("line", (line) => this.#next.resolve(line));
    child.on("exit", (code) => this.#next.reject(new Error(`Ray Serve ended with code ${code}.`)));
    child.on("error", (error) => this.#next.reject(error));
  }

  /** @param options `isTuned`: with the flag that its documentation recommends for throughput, instead of the defaults. */
  static async start({ isTuned }: { readonly isTuned: boolean }): Promise<RayServe> {
    const python = installPython(REQUIREMENT, "python");
    // Short, because Ray puts Unix sockets deep below it, and their paths may have 107 bytes.
    const directory = mkdtempSync("/tmp/rb-");
    const child = spawnPython(python, [`${peersDirectory}ray_serve.py`, directory], {
      RAY_worker_niceness: "0",
      RAY_USAGE_STATS_ENABLED: "0",
      RAY_SERVE_THROUGHPUT_OPTIMIZED: isTuned ? "1" : "0",
    });
    const ray = new RayServe(child, directory);
    try {
      const { version, pids } = JSON.parse(await ray.#answer(START_MS)) as { version: string; pids: number[] };
      ray.version = version;
      ray.#pids = pids;
    } catch (error) {
      await ray.close();
      throw error;
    }
    return ray;
  }

  get pids(): readonly number[] {
    return this.#pids;
  }

  /** Does something `count` times, so many at a time. @returns milliseconds, and of one at a time microseconds of each. */
  async run(what: RayWork, width: number, count: number): Promise<{ ms: number; us: number[] }> {
    this.#next = Promise.withResolvers();
    this.#child.stdin!.write(`${JSON.stringify({ what, width, count })}\n`);
    return JSON.parse(await this.#answer(ANSWER_MS)) as { ms: number; us: number[] };
  }

  /** Lets it end, then ends by number what is left of it. */
  async close(): Promise<void> {
    this.#next.promise.catch(() => {});
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.stdin!.end();
      const gone = new Promise((resolve) => this.#child.once("exit", resolve));
      await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, END_MS).unref())]);
    }
    await endProcesses(this.#child, this.#pids);
    this.#lines.close();
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  async #answer(withinMs: number): Promise<string> {
    const timer = setTimeout(() => {
      this.#next.reject(new Error(`Ray Serve has not answered within ${withinMs / 1_000} s.`));
    }, withinMs);
    try {
      return await this.#next.promise;
    } finally {
      clearTimeout(timer);
    }
  }
}
