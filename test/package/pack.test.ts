import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  dependencies: Record<string, string>;
};

let folder: string;
let installed: string;
let files: string[];

/** Packs the package and unpacks it into a project outside of the repository; its dependencies are links, so no network is needed. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "heliostat-pack-"));
  installed = join(folder, "node_modules", "heliostat");
  mkdirSync(installed, { recursive: true });
  // Built in a copy, so that a build of the repository in use is left alone.
  const copy = join(folder, "source");
  mkdirSync(copy);
  for (const entry of [
    "src",
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
  ]) {
    cpSync(join(root, entry), join(copy, entry), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const { stdout } = await run("npm", ["pack", "--json", "--silent", "--pack-destination", folder], {
    cwd: copy,
    env: { ...process.env, PATH: `${join(root, "node_modules", ".bin")}:${process.env["PATH"]}` },
  });
  // What the build prints comes before.
  const [packed] = JSON.parse(stdout.slice(stdout.lastIndexOf("\n[") + 1)) as [
    { filename: string; files: { path: string }[] },
  ];
  files = packed.files.map(({ path }) => path);
  await run("tar", ["-xzf", join(folder, packed.filename), "--strip-components=1", "-C", installed]);
  for (const name of Object.keys(manifest.dependencies)) {
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
  writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The first program of the README. */
function readmeProgram(): string {
  const [, program] = /^```ts\n([\s\S]*?)^```$/m.exec(readFileSync(join(root, "README.md"), "utf8"))!;
  return program!;
}

test("holds the build and the documents, not the sources or tests", () => {
  expect(files).toEqual(
    expect.arrayContaining(["dist/index.js", "dist/index.d.ts", "LICENSE", "README.md", "CHANGELOG.md"]),
  );
  expect(files.filter((file) => !/^dist\/.*\.(js|d\.ts)$/.test(file)).toSorted()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "package.json",
  ]);
  expect(files.filter((file) => /\.test\./.test(file))).toEqual([]);
  expect(existsSync(join(installed, "src"))).toBe(false);
});

test("every relative import of the build leads to a file of the build", () => {
  for (const file of globSync("dist/**/*.js", { cwd: installed })) {
    const text = readFileSync(join(installed, file), "utf8");
    expect(text, file).not.toMatch(/(?:from|import\()\s*"\.[^"]*\.ts"/);
  }
});

test("the README's program runs where the package is installed, and exits by itself", async () => {
  const file = join(folder, "app.ts");
  writeFileSync(file, readmeProgram());
  const { stdout, stderr } = await run(process.execPath, [file], { cwd: folder, timeout: 30_000 });
  expect({ stdout, stderr }).toEqual({ stdout: "Hello world!\n", stderr: "" });
}, 40_000);

test("its types are found where the package is installed", async () => {
  writeFileSync(
    join(folder, "typed.ts"),
    `${readmeProgram()}\nconst wrong: number = await handle.remote("x");\nvoid wrong;\n`,
  );
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        module: "nodenext",
        target: "es2024",
        strict: true,
        noEmit: true,
        types: [],
        lib: ["es2024", "esnext.disposable", "dom"],
      },
      files: ["typed.ts"],
    }),
  );
  const { stdout } = await run(join(root, "node_modules", ".bin", "tsc"), ["-p", folder]).catch(
    (error: { stdout: string }) => error,
  );
  const errors = stdout.split("\n").filter((line) => line.includes("error TS"));
  expect(errors).toEqual([expect.stringContaining("Type 'string' is not assignable to type 'number'")]);
}, 40_000);
