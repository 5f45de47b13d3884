import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { SuiteResult } from "./harness/suite.ts";

/** What is compared with others needs their packages, and is run by hand. */
const others = new Set(["peers.ts", "ray.ts", "http-ray.ts"]);
const directory = fileURLToPath(new URL("./micro/", import.meta.url));
const files = readdirSync(directory).filter((file) => !others.has(file));

test.concurrent.each(files)("%s runs, and gives numbers", { timeout: 60_000 }, async (file) => {
  const flags = ["--conditions=heliostat-source", "--expose-gc", `${directory}${file}`, "--smoke", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "--placement", "free"]);
  const { rows = [], latencies = [], values = [] } = JSON.parse(stdout) as SuiteResult;
  expect(rows.length + latencies.length + values.length).toBeGreaterThan(0);
  for (const row of rows) expect(row.median, `${row.what}, ${row.contender}`).toBeGreaterThan(0);
  for (const latency of latencies) expect(latency.p50Us, `${latency.what}, ${latency.contender}`).toBeGreaterThan(0);
  for (const { what, value } of values) expect(value, what).toEqual(expect.any(Number));
});
