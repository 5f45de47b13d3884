import { execFile } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

interface Program {
  readonly place: string;
  readonly code: string;
  /** What its `console.log(…); // text` lines promise. */
  readonly promised: readonly string[];
}

const pages = [
  "README.md",
  ...globSync("docs/**/*.md", { cwd: root }),
  ...globSync("examples/*/README.md", { cwd: root }),
];
const fences = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/^```ts\b([^\n]*)\n([\s\S]*?)^```$/gm)].map(({ 1: info, 2: code, index }) => ({
    place: `${page}:${text.slice(0, index).split("\n").length}`,
    info: info!.trim(),
    code: code!,
  }));
});
const programs: readonly Program[] = fences
  .filter(({ info }) => info === "")
  .map(({ place, code }) => ({
    place,
    code,
    promised: [...code.matchAll(/^\s*console\.log\(.*\); \/\/ (.+)$/gm)].map(([, text]) => text!),
  }));

let folder: string;
beforeAll(() => {
  // Beside a node_modules that leads here, as in a project that has the package installed.
  folder = mkdtempSync(join(tmpdir(), "heliostat-docs-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules", "heliostat"));
  // What the pages show together with it.
  symlinkSync(join(root, "node_modules", "hono"), join(folder, "node_modules", "hono"));
  writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("there are programs, and few fences that do not run", () => {
  expect(programs.length).toBeGreaterThan(8);
  expect(fences.filter(({ info }) => info !== "" && info !== "no-run")).toEqual([]);
  expect(fences.length - programs.length).toBeLessThan(5);
});

describe.each(programs)("$place", ({ place, code, promised }) => {
  test("runs to its end and prints what it says", async () => {
    const file = join(folder, `${place.replaceAll(/\W/g, "-")}.ts`);
    writeFileSync(file, code);
    const { stdout, stderr } = await run(process.execPath, ["--conditions=heliostat-source", file], {
      timeout: 30_000,
    });
    expect(stderr).toBe("");
    const printed = stdout.split("\n");
    for (const line of promised) expect(printed).toContain(line);
  }, 40_000);
});
