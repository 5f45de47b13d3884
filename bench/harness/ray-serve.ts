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

export interface RayOptions {
  /** With the flag that its documentation recommends for throughput, instead of the defaults. */
  readonly isTuned: boolean;
  /** One deployment that answers HTTP at this port of the loopback address, instead of one that calls another. */
  readonly http?: { readonly port: number; readonly isBehindHaproxy?: boolean };
}

/** An instance of Ray of its own. */
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

  static async start({ isTuned, http }: RayOptions): Promise<RayServe> {
    const python = installRay();
    // Short, because Ray puts Unix sockets deep below it, and their paths may have 107 bytes.
    const directory = mkdtempSync("/tmp/rb-");
    const args = http === undefined ? ["ray_serve.py", directory] : ["ray_http.py", directory, `${http.port}`];
    const child = spawnPython(python, [`${peersDirectory}${args[0]}`, ...args.slice(1)], {
      RAY_worker_niceness: "0",
      RAY_USAGE_STATS_ENABLED: "0",
      RAY_SERVE_THROUGHPUT_OPTIMIZED: isTuned ? "1" : "0",
      ...(http?.isBehindHaproxy === true ? haproxyIn(directory) : {}),
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

/** @returns the Python that has Ray. */
export function installRay(): string {
  return installPython(REQUIREMENT, "python");
}

/** Its files lie elsewhere by default, and stay. */
function haproxyIn(directory: string): Record<string, string> {
  return {
    RAY_SERVE_ENABLE_HA_PROXY: "1",
    RAY_SERVE_HAPROXY_CONFIG_FILE_LOC: `${directory}/haproxy/haproxy.cfg`,
    RAY_SERVE_HAPROXY_SOCKET_PATH: `${directory}/haproxy/admin.sock`,
    RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH: `${directory}/haproxy/metrics.sock`,
    RAY_SERVE_HAPROXY_SERVER_STATE_BASE: `${directory}/haproxy`,
    RAY_SERVE_HAPROXY_SERVER_STATE_FILE: `${directory}/haproxy/server-state`,
  };
}
