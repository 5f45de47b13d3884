import { execFile } from "node:child_process";
import {
  chmodSync,
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
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
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
    "rolldown.config.ts",
    "schema.json",
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
    "schema.json",
  ]);
  expect(files.filter((file) => /\.test\./.test(file))).toEqual([]);
  expect(existsSync(join(installed, "src"))).toBe(false);
});

test("holds what is started by name", () => {
  const entries = [
    "heliostat",
    "builder-main",
    "instance-main",
    "process-replica-main",
    "proxy-main",
    "thread-replica-main",
    "index",
  ];
  expect(files).toEqual(expect.arrayContaining(entries.map((name) => `dist/${name}.js`)));
});

/** The files that are loaded with one, in the order in which they are met. */
function loadedWith(file: string, found: string[] = []): string[] {
  if (found.includes(file)) return found;
  found.push(file);
  const text = readFileSync(join(installed, "dist", file), "utf8");
  for (const [, next] of text.matchAll(/^(?:import|export)\b[^;]*?["']\.\/([^"']+)["'];?$/gm)) loadedWith(next!, found);
  return found;
}

test("a replica, and a script that has not called serve.run yet, load one file beside their own", () => {
  expect(loadedWith("index.js")).toEqual(["index.js", "runtime.js"]);
  expect(loadedWith("process-replica.js")).toEqual(["process-replica.js", "runtime.js"]);
  expect(loadedWith("thread-replica-main.js")).toEqual(["thread-replica-main.js", "runtime.js"]);
});

test("every relative import of the build leads to a file of the build", () => {
  let found = 0;
  for (const file of globSync("dist/**/*.{js,d.ts}", { cwd: installed })) {
    const text = readFileSync(join(installed, file), "utf8");
    for (const [, path] of text.matchAll(/(?:^import|from|import\()\s*"(\.[^"]*)"/gm)) {
      const target = join(installed, dirname(file), path!);
      // Declarations name each other as the sources do.
      const exists = file.endsWith(".js") ? existsSync(target) : existsSync(target.replace(/\.[jt]s$/, ".d.ts"));
      expect(exists, `${file} imports ${path}`).toBe(true);
      found++;
    }
  }
  expect(found).toBeGreaterThan(100);
});

test("the README's program runs where the package is installed, and exits by itself", async () => {
  const file = join(folder, "app.ts");
  writeFileSync(file, readmeProgram());
  const { stdout, stderr } = await run(process.execPath, [file], { cwd: folder, timeout: 30_000 });
  expect({ stdout, stderr }).toEqual({ stdout: "Hello world!\n", stderr: "" });
}, 40_000);

test("the command line runs where the package is installed", async () => {
  // As npm links it.
  const bin = join(folder, "node_modules", ".bin", "heliostat");
  mkdirSync(dirname(bin));
  symlinkSync(join("..", "heliostat", "dist", "heliostat.js"), bin);
  chmodSync(bin, 0o755);
  const { stdout } = await run(bin, ["--version"], {
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"]}` },
  });
  expect(stdout).toBe(`${manifest.version}\n`);
});

test("it runs from CommonJS, and a stack begins in the user's code", async () => {
  const file = join(folder, "app.cjs");
  writeFileSync(
    file,
    `const { deployment, serve } = require("heliostat");
class Model {
  predict() {
    throw new Error("no model");
  }
}
async function main() {
  const handle = await serve.run(deployment(Model).bind());
  await handle.predict.remote().catch((error) => console.log(error.stack.split("\\n").slice(0, 2).join(" ")));
  await serve.shutdown();
}
main();
`,
  );
  const { stdout, stderr } = await run(process.execPath, [file], { cwd: folder, timeout: 30_000 });
  expect({ stdout, stderr }).toEqual({ stdout: `Error: no model     at Model.predict (${file}:4:11)\n`, stderr: "" });
}, 40_000);

test.each(["process", "thread"])(
  "a replica in a %s shares its modules with the user's, and loads nothing that it does not need",
  async (isolation) => {
    const file = join(folder, `shared-${isolation}.js`);
    writeFileSync(
      file,
      `import { createRequire } from "node:module";
import { deployment, serve, UnknownMethodError } from "heliostat";
const hasMsgpack = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes("msgpackr"));
class Model {
  // The runtime raises this error, and the user's import names its class.
  async isSame() {
    const error = await serve.getDeploymentHandle("Model").missing.remote().catch((thrown) => thrown);
    return error.constructor === UnknownMethodError;
  }
  async loaded() {
    const unneeded = /^NativeModule (crypto|v8|fs\\/promises|internal\\/fs\\/promises)$/;
    return { builtIn: process.moduleLoadList.filter((name) => unneeded.test(name)), hasMsgpack: hasMsgpack() };
  }
}
const handle = await serve.run(deployment(Model, { isolation: "${isolation}" }).bind());
const before = { driver: hasMsgpack(), replica: await handle.loaded.remote() };
const isSame = await handle.isSame.remote();
await handle.options({ requestSerialization: "msgpack" }).loaded.remote();
const after = { driver: hasMsgpack(), replica: (await handle.loaded.remote()).hasMsgpack };
console.log(JSON.stringify({ before, isSame, after }));
await serve.shutdown();
`,
    );
    const { stdout, stderr } = await run(process.execPath, [file], { cwd: folder, timeout: 30_000 });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual({
      before: { driver: false, replica: { builtIn: [], hasMsgpack: false } },
      isSame: true,
      after: { driver: true, replica: true },
    });
  },
  40_000,
);

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
