/**
 * From `serve.run` to ready for 1 and 8 replicas, with the built package and from the sources, beside as many bare Node
 * processes from spawn to their first output.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { median } from "../harness/contest.ts";
import { privateBytes } from "../harness/process-memory.ts";
import { suite, type SuiteResult, type Value } from "../harness/suite.ts";

const starter = fileURLToPath(new URL("../fixtures/starter.mjs", import.meta.url));

/** A program that runs already; the first run of a program also loads the package. */
class Driver {
  readonly #child: ChildProcess;
  #answer = Promise.withResolvers<number>();

  constructor(flags: readonly string[]) {
    this.#child = spawn(process.execPath, [...flags, starter], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child.on("message", (ms) => this.#answer.resolve(ms as number));
    this.#child.on("exit", (code) =>
      this.#answer.reject(new Error(`The program that starts replicas ended with code ${code}.`)),
    );
  }

  startMs(numReplicas: number): Promise<number> {
    return this.#ask({ numReplicas });
  }

  /** Private memory of one replica that has nothing to do. */
  async idleBytes(): Promise<number> {
    const pid = await this.#ask({ numReplicas: 1, isKept: true });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const bytes = privateBytes(pid);
    await this.#ask({ numReplicas: 0 });
    return bytes;
  }

  #ask(message: object): Promise<number> {
    this.#answer = Promise.withResolvers();
    this.#child.send(message);
    return this.#answer.promise;
  }

  close(): void {
    this.#answer.promise.catch(() => {});
    this.#child.disconnect();
  }
}

async function bareMs(processes: number): Promise<number> {
  const startedMs = performance.now();
  const children = Array.from({ length: processes }, () =>
    spawn(process.execPath, ["--input-type=module", "--eval", "console.log(1)"], {
      stdio: ["ignore", "pipe", "inherit"],
    }),
  );
  await Promise.all(children.map((child) => once(child.stdout, "data")));
  const tookMs = performance.now() - startedMs;
  await Promise.all(children.map((child) => child.exitCode ?? once(child, "exit")));
  return tookMs;
}

async function memoryOfIdle(driver: Driver): Promise<Value[]> {
  const child = spawn(
    process.execPath,
    ["--input-type=module", "--eval", "console.log(1); setInterval(() => {}, 1e6)"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  await once(child.stdout, "data");
  await new Promise((resolve) => setTimeout(resolve, 300));
  const bareBytes = privateBytes(child.pid!);
  child.kill("SIGKILL");
  if (Number.isNaN(bareBytes)) return [];
  const replicaBytes = await driver.idleBytes();
  const megabytes = { unit: "MB", better: "lower" } as const;
  return [
    { ...megabytes, what: "private memory of a bare Node process", value: bareBytes / 1e6 },
    { ...megabytes, what: "private memory of an idle replica above it", value: (replicaBytes - bareBytes) / 1e6 },
  ];
}

await suite(async ({ rounds, smoke }): Promise<SuiteResult> => {
  const drivers = [{ name: "from the sources", driver: new Driver(["--conditions=heliostat-source"]) }];
  const isBuilt = existsSync(new URL("../../dist/index.js", import.meta.url));
  if (isBuilt && !smoke) drivers.unshift({ name: "built", driver: new Driver([]) });
  for (const { driver } of drivers) await driver.startMs(1);
  const notes: { what: string; value: string }[] = [];
  const values: Value[] = [];
  const ms = { unit: "ms", better: "lower" } as const;
  if (!isBuilt) notes.push({ what: "built", value: "not measured: run npm run build first" });
  for (const count of smoke ? [1] : [1, 8]) {
    const bare: number[] = [];
    const started: number[][] = drivers.map(() => []);
    for (let round = 0; round < rounds; round++) {
      bare.push(await bareMs(count));
      for (const [i, { driver }] of drivers.entries()) started[i]!.push(await driver.startMs(count));
    }
    const processes = count === 1 ? "1 bare Node process" : `${count} bare Node processes`;
    values.push({ ...ms, what: processes, value: median(bare) });
    for (const [i, { name }] of drivers.entries()) {
      const replicas = count === 1 ? "1 replica" : `${count} replicas`;
      const above = started[i]!.map((took, round) => took - bare[round]!);
      values.push({ ...ms, what: `${replicas} ready, ${name}`, value: median(started[i]!) });
      values.push({ ...ms, what: `${replicas} above bare Node, ${name}`, value: median(above) });
    }
  }
  if (isBuilt || smoke) values.push(...(await memoryOfIdle(drivers[0]!.driver)));
  for (const { driver } of drivers) driver.close();
  return { values, notes };
}, "free");
