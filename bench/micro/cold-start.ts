/** From `run` to ready for 1 and 8 replicas, beside as many bare Node processes from spawn to their first output. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { median } from "../harness/contest.ts";
import { Driver } from "../harness/driver.ts";
import { suite } from "../harness/suite.ts";

/** Opened before, as in a program that is running; the first run of a program also loads the package. */
async function serveMs(numReplicas: number): Promise<number> {
  const driver = await Driver.open();
  const startedMs = performance.now();
  await driver.run("bench", { numReplicas });
  const tookMs = performance.now() - startedMs;
  await driver.close();
  return tookMs;
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

await suite(async ({ rounds }) => {
  const notes: { what: string; value: string; target?: string }[] = [];
  for (const count of [1, 8]) {
    const serve: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round++) {
      bare.push(await bareMs(count));
      serve.push(await serveMs(count));
    }
    const show = (ms: readonly number[]): string =>
      `${Math.min(...ms).toFixed(0)} ms best, ${median(ms).toFixed(0)} median`;
    const above = median(serve.map((ms, round) => ms - bare[round]!));
    notes.push({ what: `${count} bare Node`, value: show(bare) });
    notes.push({
      what: `${count} replica${count === 1 ? "" : "s"} ready`,
      value: `${show(serve)}; ${above.toFixed(0)} ms above bare Node`,
    });
  }
  return { rows: [], notes };
});
