import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { LogQuery } from "../../admin/admin-service.ts";
import { outputPath } from "../../engine/process/output-file.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { LogFolder } from "./log-folder.ts";

let path: string;
let clock: ManualClock;
let folder: LogFolder;
const end = new AbortController();

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "heliostat-logs-"));
  clock = new ManualClock();
  folder = new LogFolder(path, clock);
});
afterEach(() => rmSync(path, { recursive: true, force: true }));

const time = (second: number): string => `2030-01-01T00:00:${String(second).padStart(2, "0")}.000Z`;
const fileOf = (app: string, replicaId: string): string => outputPath(path, { app, replicaId });

function write(file: string, ...lines: string[]): void {
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, lines.map((line) => `${line}\n`).join(""));
}

async function show(query: Partial<LogQuery>): Promise<string[]> {
  const lines = folder.lines({ level: "debug", lines: 1_000, follow: false, ...query }, end.signal);
  return (await text(Readable.from(lines)))
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/^2030-01-01T00:00:(\d\d)\.000Z /, "$1 "));
}

function writeSome(): void {
  write(folder.ownPath, `${time(1)} heliostat info: it serves`, `${time(9)} heliostat warn: it ends`);
  write(fileOf("shop", "Model#a"), `${time(2)} Model#a info: two`, "plain", `${time(7)} Model#a error: seven`);
  write(fileOf("shop", "Other#b"), `${time(3)} Other#b debug: three`);
  write(fileOf("a/b", "Model#c"), `${time(4)} Model#c info: four`);
}

it("merges the files of all, of an application, of a deployment or of a replica", async () => {
  writeSome();
  expect(await show({})).toEqual([
    "01 heliostat info: it serves",
    "02 Model#a info: two",
    "Model#a: plain",
    "03 Other#b debug: three",
    "04 Model#c info: four",
    "07 Model#a error: seven",
    "09 heliostat warn: it ends",
  ]);
  expect(await show({ app: "a/b" })).toEqual(["04 Model#c info: four"]);
  expect(await show({ app: "shop", deployment: "Other" })).toEqual(["03 Other#b debug: three"]);
  expect(await show({ replica: "Model#c" })).toEqual(["04 Model#c info: four"]);
  expect(await show({ level: "warn" })).toEqual(["07 Model#a error: seven", "09 heliostat warn: it ends"]);
  expect(await show({ level: "info", app: "shop" })).toHaveLength(3);
  expect(await show({ lines: 2 })).toEqual(["07 Model#a error: seven", "09 heliostat warn: it ends"]);
  expect(await show({ lines: 0 })).toEqual([]);
});

it("says which names there are", () => {
  writeSome();
  const missing = (query: Partial<LogQuery>) =>
    folder.missing(
      { level: "debug", lines: 1, follow: false, ...query },
      {
        fresh: { status: "RUNNING", message: "", routePrefix: null, deployments: {} },
      },
    );
  expect(missing({})).toBeUndefined();
  expect(missing({ app: "shop", deployment: "Model", replica: "Model#a" })).toBeUndefined();
  expect(missing({ app: "fresh" })).toBeUndefined();
  expect(missing({ app: "none" })).toBe('There is no application "none". There are: "a/b", "fresh", "shop".');
  expect(missing({ app: "shop", deployment: "None" })).toBe(
    'Application "shop" has no deployment "None". It has: "Model", "Other".',
  );
  expect(missing({ app: "shop", deployment: "Other", replica: "Model#a" })).toBe(
    'There is no replica "Model#a". There are: "Other#b".',
  );
  expect(
    new LogFolder(join(path, "nowhere"), clock).missing({ app: "a", level: "info", lines: 1, follow: false }),
  ).toBe('There is no application "a". There are: none.');
});

it("takes no more of a long file than it needs, and goes on in the older one if that is not enough", async () => {
  const file = fileOf("shop", "Model#a");
  write(`${file}.1`, ...Array.from({ length: 50 }, (_, i) => `older ${i}`));
  write(file, "Model#a error: rare", ...Array.from({ length: 30_000 }, (_, i) => `line ${i} ${"◆".repeat(5)}`));
  expect(await show({ lines: 2 })).toEqual(["Model#a: line 29998 ◆◆◆◆◆", "Model#a: line 29999 ◆◆◆◆◆"]);
  expect(await show({ lines: 2, level: "error" })).toEqual(["Model#a error: rare"]);
  const all = await show({ lines: 30_003 });
  expect(all.slice(0, 3)).toEqual(["Model#a: older 48", "Model#a: older 49", "Model#a error: rare"]);
  expect(all).toHaveLength(30_003);
});

it("shows a line that has no end yet, unless it goes on", async () => {
  mkdirSync(dirname(fileOf("shop", "Model#a")), { recursive: true });
  writeFileSync(fileOf("shop", "Model#a"), "one\ntw");
  expect(await show({})).toEqual(["Model#a: one", "Model#a: tw"]);
});

it("goes on with what comes: in whole lines, also of new replicas, and over the emptying of a file", async () => {
  const file = fileOf("shop", "Model#a");
  write(file, "one");
  appendFileSync(file, "tw");
  const left = new AbortController();
  const lines = folder.lines({ app: "shop", level: "info", lines: 10, follow: true }, left.signal);
  const next = async (): Promise<string> => (await lines.next()).value as string;
  /** What is asked for while nothing has come waits for the clock. */
  const later = async (change: () => void): Promise<string> => {
    const coming = next();
    await until(() => clock.pendingTimers === 1);
    change();
    clock.advance(100);
    return coming;
  };
  expect(await next()).toBe("Model#a: one\n");
  expect(await later(() => appendFileSync(file, "o\nthr"))).toBe("Model#a: two\n");
  expect(await later(() => write(fileOf("shop", "Model#b"), "a new one"))).toBe("Model#b: a new one\n");
  const emptied = later(() => {
    appendFileSync(file, "ee\n");
    copyFileSync(file, `${file}.1`);
    truncateSync(file);
    appendFileSync(file, "x\n");
  });
  expect(await emptied).toBe("Model#a: three\n");
  // That there is more is known: the clock is not waited for.
  expect(await next()).toBe("Model#a: x\n");
  const long = "y".repeat(700_000);
  expect(await later(() => write(file, long, long, "end"))).toBe(`Model#a: ${long}\n`);
  expect(await next()).toBe(`Model#a: ${long}\nModel#a: end\n`);
  const last = lines.next();
  await until(() => clock.pendingTimers === 1);
  left.abort();
  expect(await last).toEqual({ done: true, value: undefined });
  expect(clock.pendingTimers).toBe(0);
});

/** Files are read by other threads. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
