/**
 * From `serve.run` to ready for 1 and 8 replicas, with the built package and from the sources, beside as many bare Node
 * processes from spawn to their first output.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { median } from "../harness/contest.ts";
import { suite, type SuiteResult } from "../harness/suite.ts";

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
    this.#answer = Promise.withResolvers();
    this.#child.send(numReplicas);
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

await suite(async ({ rounds }): Promise<SuiteResult> => {
  const drivers = [{ name: "from the sources", driver: new Driver(["--conditions=heliostat-source"]) }];
  const isBuilt = existsSync(new URL("../../dist/index.js", import.meta.url));
  if (isBuilt) drivers.unshift({ name: "built", driver: new Driver([]) });
  for (const { driver } of drivers) await driver.startMs(1);
  const notes: { what: string; value: string; target?: string }[] = [];
  if (!isBuilt) notes.push({ what: "built", value: "not measured: run npm run build first" });
  for (const count of [1, 8]) {
    const bare: number[] = [];
    const started: number[][] = drivers.map(() => []);
    for (let round = 0; round < rounds; round++) {
      bare.push(await bareMs(count));
      for (const [i, { driver }] of drivers.entries()) started[i]!.push(await driver.startMs(count));
    }
    const show = (ms: readonly number[]): string =>
      `${Math.min(...ms).toFixed(0)} ms best, ${median(ms).toFixed(0)} median`;
    notes.push({ what: `${count} bare Node`, value: show(bare) });
    for (const [i, { name }] of drivers.entries()) {
      const above = median(started[i]!.map((ms, round) => ms - bare[round]!));
      notes.push({
        what: `${count} ready, ${name}`,
        value: `${show(started[i]!)}; ${above.toFixed(0)} ms above bare Node`,
      });
    }
  }
  for (const { driver } of drivers) driver.close();
  return { rows: [], notes };
}, "free");
