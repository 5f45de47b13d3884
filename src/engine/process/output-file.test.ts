import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { OutputFile, outputPath } from "./output-file.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heliostat-output-"));
  path = outputPath(join(folder, "logs"), { app: "shop", replicaId: "Model#0a1b2c" });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("gives every replica a file of its own, in the folder of its application", () => {
  expect(path).toBe(join(folder, "logs/shop/Model%230a1b2c.log"));
  for (const app of ["..", "instance.log", "a/b"])
    expect(dirname(outputPath("/logs", { app, replicaId: "../x" }))).toMatch(/^\/logs\/[^/.]+$/);
});

it("makes file and folders for this user alone, and appends", () => {
  const file = new OutputFile(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  writeSync(file.fd, "one\n");
  truncateSync(path);
  writeSync(file.fd, "two\n");
  file.close();
  // Without a hole in front: it is written to the end, wherever that is.
  expect(readFileSync(path, "utf8")).toBe("two\n");
});

it("tells the last words of its own replica only", () => {
  new OutputFile(path).close();
  writeFileSync(path, "of another\n");
  const file = new OutputFile(path);
  file.close();
  expect(file.behind("exited")).toBe("exited");
  appendFileSync(path, "Error: no ◆\n  at x\n");
  expect(file.behind("exited")).toBe("exited; its last words:\nError: no ◆\n  at x");
  truncateSync(path);
  appendFileSync(path, "later\n");
  expect(file.behind("exited")).toBe("exited; its last words:\nlater");
  appendFileSync(path, Array.from({ length: 2_000 }, (_, i) => `line ${i}\n`).join(""));
  const lines = file.behind("exited").split("\n");
  expect(lines).toHaveLength(21);
  expect(lines.at(-1)).toBe("line 1999");
  rmSync(path);
  expect(file.behind("exited")).toBe("exited");
});
