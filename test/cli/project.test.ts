import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import { isConfigFile, readConfigFile } from "../../src/config/config-file.ts";
import { childPids } from "../integration/harness.ts";
import { command, RunningCommand, TemporaryFolder } from "../support/command.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const builds = join(root, "test", "fixtures", "builds");
const temporary = new TemporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const folder = temporary.path;
const heliostat = (...args: string[]) => command(args, { cwd: folder });

test("C9: init writes a project that is tested, typed, and serves at once", async () => {
  const made = await heliostat("init", "My App");
  expect(made).toMatchObject({ code: 0, stdout: "" });
  const project = join(folder, "My App");
  const names = ["app.test.ts", "app.ts", "heliostat.yaml", "package.json", "tsconfig.json"];
  expect(readdirSync(project).toSorted()).toEqual(names);
  const manifest = JSON.parse(readFileSync(join(project, "package.json"), "utf8")) as {
    name: string;
    scripts: { test: string };
  };
  expect(manifest.name).toBe("my-app");
  // What npm would install.
  mkdirSync(join(project, "node_modules", "@types"), { recursive: true });
  symlinkSync(root, join(project, "node_modules", "heliostat"));
  symlinkSync(join(root, "node_modules", "@types", "node"), join(project, "node_modules", "@types", "node"));
  const options = {
    cwd: project,
    env: {
      ...process.env,
      NODE_OPTIONS: "--conditions=heliostat-source",
      PATH: `${join(root, "node_modules", ".bin")}:${process.env["PATH"]}`,
    },
  };
  const run = promisify(execFile);
  expect((await run("npm", ["test"], options)).stdout).toContain("greets whom the address names");
  // The sources stand in for the declarations that only the package has; their own checks are stricter.
  expect((await run("tsc", ["-p", project, "--customConditions", "heliostat-source"], options)).stdout).toBe("");
  const running = new RunningCommand(["run", "heliostat.yaml", "--http-port", "0", "--admin-port", "0"], {
    cwd: project,
  });
  try {
    const [, url] = await running.says(/"default" is RUNNING at (\S+)/);
    expect(await (await fetch(`${url}?name=Ada`)).text()).toBe("Hello Ada!");
  } finally {
    running.child.kill("SIGTERM");
  }
  expect(await running.exited).toBe(0);
  expect(childPids(process.pid)).toEqual([]);
}, 60_000);

test("C9: init writes nothing where one of its files is", async () => {
  mkdirSync(join(folder, "mine"));
  writeFileSync(join(folder, "mine", "app.ts"), "mine");
  const { code, stderr } = await heliostat("init", "mine");
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("mine/app.ts") });
  expect(readdirSync(join(folder, "mine"))).toEqual(["app.ts"]);
  expect(readFileSync(join(folder, "mine", "app.ts"), "utf8")).toBe("mine");
});

test("C8: build gives a configuration of every deployment, and constructs nothing", async () => {
  const one = await heliostat("build", "shop.ts:app", "-d", builds, "--format", "json");
  expect(one.code).toBe(0);
  expect(JSON.parse(one.stdout)).toEqual({
    applications: [
      {
        name: "default",
        routePrefix: "/",
        importPath: expect.stringMatching(/^\.\.\/.*\/shop\.ts:app$/),
        deployments: [{ name: "Model", numReplicas: 2, userConfig: { a: 1 } }, { name: "Shop" }],
      },
    ],
  });
  mkdirSync(join(folder, "out"));
  const several = await heliostat("build", "shop.ts", "served.ts:app", "-d", builds, "-o", "out/all.yaml");
  expect(several).toMatchObject({ code: 0, stdout: "" });
  const file = join(folder, "out", "all.yaml");
  const written = parse(readFileSync(file, "utf8")) as { applications: { name: string; routePrefix: string }[] };
  expect(written.applications.map(({ name, routePrefix }) => [name, routePrefix])).toEqual([
    ["app1", "/app1"],
    ["app2", "/app2"],
  ]);
  // As it stands there it is right, and leads back.
  expect(isConfigFile(file)).toBe(true);
  const { config, warnings } = await readConfigFile(file);
  expect(warnings).toEqual([]);
  expect(config.applications.map(({ importPath }) => importPath)).toEqual([
    join(builds, "shop.ts"),
    `${join(builds, "served.ts")}:app`,
  ]);
});

test("C8: what is no application is told, and nothing is written", async () => {
  for (const [target, code, told] of [
    ["shop.ts:unbound", 2, "Model.bind("],
    ["none.ts", 2, "none.ts"],
    ["throws.ts", 1, "RangeError: mine"],
  ] as const) {
    const failed = await heliostat("build", target, "-d", builds, "-o", "none.yaml");
    expect(failed).toEqual({ code, stdout: "", stderr: expect.stringContaining(told) });
  }
  expect(existsSync(join(folder, "none.yaml"))).toBe(false);
});
