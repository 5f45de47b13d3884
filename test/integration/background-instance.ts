import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { StateDirectory, type InstanceRecord } from "../../src/client/state-directory.ts";
import { startInstance, type StartOptions } from "../../src/instance/start-instance.ts";
import { isRunning, until } from "./harness.ts";

/** An instance in the background that a test starts, kills and starts again; at the end nothing of it is left. */
export class BackgroundInstance {
  readonly state: StateDirectory;
  /** Everything that was seen to run. */
  readonly pids = new Set<number>();
  /** Of the one that was started last. */
  record!: InstanceRecord;
  readonly #root = mkdtempSync(join(tmpdir(), "heliostat-test-"));

  constructor() {
    this.state = new StateDirectory(join(this.#root, "state"));
  }

  async start(options: Partial<StartOptions> = {}): Promise<void> {
    const admin = { host: "127.0.0.1", port: 0 };
    ({ record: this.record } = await startInstance({
      stateDirectory: this.state.path,
      http: { port: 0 },
      admin,
      ...options,
    }));
    this.pids.add(this.record.pid);
  }

  async ask<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await fetch(`${this.record.adminUrl}/api/v1/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    return (await answer.json()) as T;
  }

  /** Its controller dies without a word. */
  async kill(): Promise<void> {
    process.kill(this.record.pid, "SIGKILL");
    await until(() => !isRunning(this.record.pid), "the controller is gone");
  }

  async end(): Promise<void> {
    await this.ask("POST", "shutdown");
    await until(() => ![...this.pids].some(isRunning), "the instance ends", 15_000);
    expect(existsSync(this.record.runtimeDirectory)).toBe(false);
    expect(readdirSync(this.state.path)).toEqual(["logs"]);
    rmSync(this.#root, { recursive: true });
  }
}
