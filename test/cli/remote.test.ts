import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { openAdminServer } from "../../src/admin/admin-server.ts";
import { FakeService } from "../../src/admin/fake-service.ts";
import { startOfProcess } from "../../src/engine/process/process-mark.ts";
import { StateDirectory } from "../../src/client/state-directory.ts";
import type { ServeStatus } from "../../src/core/serve-types.ts";
import { until } from "../integration/harness.ts";
import { FakeInstance, statusOf } from "./fake-instance.ts";
import { command, RunningCommand, TemporaryFolder } from "../support/command.ts";

const temporary = new TemporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const folder = temporary.path;
const heliostat = (args: readonly string[], options: { readonly env?: Record<string, string> } = {}) =>
  command(args, { cwd: folder, ...options });
const APPLICATIONS = "/api/v1/applications";

test("every command has help, and a wrong command line is 2 with nothing on stdout", async () => {
  const help = await heliostat(["--help"]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  const commands = [...help.stdout.matchAll(/^ {2}([a-z]+) .*/gm)].map(([, name]) => name!);
  expect(commands).toEqual(expect.arrayContaining(["deploy", "status", "config", "scale", "delete", "shutdown"]));
  const helps = await Promise.all(commands.map((command) => heliostat([command, "--help"])));
  for (const { code, stdout } of helps)
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("Usage: ") });
  expect(await heliostat(["--version"])).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    stderr: "",
  });
  for (const [args, told] of [
    [["statsu"], "status"],
    [["status", "--format", "xml"], "yaml"],
    [["scale", "Model", "2"], "APP/DEPLOYMENT"],
    [["scale", "default/Model", "-1"], "-1"],
    [["deploy", "app.ts", "size"], "KEY=VALUE"],
    [["deploy", "x.yaml", "size=3"], "Arguments can only be passed"],
    [["deploy", "none.yaml"], "There is no file"],
    [["shutdown"], "shutdown -y"],
    [["status", "-a", "http://"], "http://"],
    [["logs", "/Model"], "APP/DEPLOYMENT"],
    [["logs", "--level", "loud"], "debug, info, warn, error"],
    [["logs", "-n", "many"], "many"],
  ] as const) {
    const { code, stdout, stderr } = await heliostat(args);
    expect({ args, code, stdout, stderr }).toEqual({
      args,
      code: 2,
      stdout: "",
      stderr: expect.stringContaining(told),
    });
  }
}, 60_000);

test("C4: the instance is the one of -a, of the variable, of the state folder; nothing there is 1", async () => {
  await using fake = await FakeInstance.open();
  fake.replies[`GET ${APPLICATIONS}`] = () => ({ body: statusOf("default", "RUNNING") });
  expect((await heliostat(["status", "-a", `${fake.url}/`])).code).toBe(0);
  expect(
    (await heliostat(["status"], { env: { HELIOSTAT_ADDRESS: fake.url.slice(7), HELIOSTAT_TOKEN: "t" } })).code,
  ).toBe(0);
  const state = new StateDirectory(join(folder, "state"));
  state.make();
  state.announce({
    pid: process.pid,
    start: startOfProcess(process.pid)!,
    version: "0",
    httpUrl: "",
    adminUrl: fake.url,
    runtimeDirectory: "",
    stateDirectory: state.path,
  });
  expect((await heliostat(["status"], { env: { HELIOSTAT_STATE_DIR: state.path } })).code).toBe(0);
  expect(fake.asked.map(({ token }) => token)).toEqual([undefined, "Bearer t", undefined]);
  const { url } = fake;
  await fake[Symbol.asyncDispose]();
  const { code, stdout, stderr } = await heliostat(["status", "-a", url]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(url);
  expect(stderr).toContain("heliostat start");
});

test("C5: status is ServeStatus, as YAML or JSON, or one application of it", async () => {
  await using fake = await FakeInstance.open();
  fake.replies[`GET ${APPLICATIONS}`] = () => ({ body: statusOf("shop", "RUNNING") });
  const yaml = await heliostat(["status", "-a", fake.url]);
  const status = parse(yaml.stdout) as { applications: { shop: object } };
  expect(Object.keys(status)).toEqual(["applications", "proxies"]);
  expect(Object.keys(status.applications.shop)).toEqual(["status", "message", "routePrefix", "deployments"]);
  expect(yaml.stdout).toContain("startedAt: 2026-01-01T00:00:00.000Z");
  const json = await heliostat(["status", "-n", "shop", "--format", "json", "-a", fake.url]);
  expect(JSON.parse(json.stdout)).toEqual(status.applications.shop);
  const missing = await heliostat(["status", "-n", "none", "-a", fake.url]);
  expect(missing).toEqual({ code: 1, stdout: "", stderr: expect.stringContaining('no application "none"') });
  fake.replies[`GET ${APPLICATIONS}`] = () => ({ status: 401 });
  const refused = await heliostat(["status", "-a", fake.url]);
  expect(refused).toEqual({ code: 1, stdout: "", stderr: expect.stringContaining("HELIOSTAT_TOKEN") });
});

test("C4: a file is the whole goal, with absolute paths and its warnings; --wait ends with RUNNING or with the failure", async () => {
  await using fake = await FakeInstance.open();
  const statuses = [
    statusOf("shop", "DEPLOYING", { running: 0 }),
    statusOf("shop", "DEPLOYING"),
    statusOf("shop", "RUNNING", { running: 2 }),
  ];
  fake.replies[`PUT ${APPLICATIONS}`] = () => ({ status: 202, body: { warnings: ["http.port has no effect"] } });
  fake.replies[`GET ${APPLICATIONS}`] = () => ({ body: statuses.length > 1 ? statuses.shift() : statuses[0] });
  writeFileSync(join(folder, "shop.yaml"), "applications: [{ name: shop, importPath: ./shop.ts:app, rout: / }]\n");
  const waited = await heliostat(["deploy", "shop.yaml", "--wait", "-a", fake.url]);
  expect(waited).toMatchObject({ code: 0, stdout: "" });
  expect(fake.asked[0]!.body).toEqual({
    applications: [{ name: "shop", routePrefix: "/", importPath: `${join(folder, "shop.ts")}:app` }],
  });
  expect(waited.stderr).toContain("rout is not known");
  expect(waited.stderr).toContain("http.port has no effect");
  expect(waited.stderr.match(/^( {2}Model|Application "shop"): .*$/gm)).toEqual([
    'Application "shop": DEPLOYING',
    "  Model: UPDATING, 0 of 2 replicas",
    "  Model: UPDATING, 1 of 2 replicas",
    'Application "shop": RUNNING',
    "  Model: HEALTHY, 2 of 2 replicas",
  ]);
  statuses[0] = statusOf("shop", "DEPLOY_FAILED", { message: "no model" });
  const failed = await heliostat(["deploy", "shop.yaml", "--wait", "-a", fake.url]);
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining("no model") });
  fake.replies[`PUT ${APPLICATIONS}`] = () => ({
    status: 400,
    body: { error: { name: "ConfigError", message: "wrong" } },
  });
  const refused = await heliostat(["deploy", "shop.yaml", "-a", fake.url]);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("wrong") });
});

test("C4: a target is one application, with its arguments", async () => {
  await using fake = await FakeInstance.open();
  fake.replies[`PUT ${APPLICATIONS}/a%20b`] = () => ({ status: 202, body: { warnings: [] } });
  const { code } = await heliostat([
    "deploy",
    "app.ts:build",
    "size=3",
    "url=a=b",
    "--name",
    "a b",
    "--route-prefix",
    "/ab",
    "-d",
    "sub",
    "-a",
    fake.url,
  ]);
  expect(code).toBe(0);
  expect(fake.asked).toMatchObject([
    {
      body: {
        name: "a b",
        routePrefix: "/ab",
        importPath: `${join(folder, "sub", "app.ts")}:build`,
        args: { size: "3", url: "a=b" },
      },
    },
  ]);
  const wrong = await heliostat(["deploy", "app.ts", "--route-prefix", "ab", "-a", fake.url]);
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("routePrefix") });
  expect(fake.asked).toHaveLength(1);
});

test("C6: what config prints is what deploy takes", async () => {
  await using fake = await FakeInstance.open();
  const config = {
    http: { host: "127.0.0.1", port: 8000 },
    applications: [
      { name: "a", routePrefix: "/", importPath: "/x/a.ts", args: { list: [1, "1"] } },
      { name: "b", routePrefix: null, importPath: "/x/b.ts" },
    ],
  };
  fake.replies["GET /api/v1/config"] = () => ({ body: config });
  fake.replies[`PUT ${APPLICATIONS}`] = () => ({ status: 202 });
  const { stdout } = await heliostat(["config", "-a", fake.url]);
  expect(parse(stdout)).toEqual(config);
  writeFileSync(join(folder, "back.yaml"), stdout);
  expect((await heliostat(["deploy", "back.yaml", "-a", fake.url])).code).toBe(0);
  expect(fake.asked.at(-1)!.body).toEqual(config);
  const one = await heliostat(["config", "-n", "b", "--format", "json", "-a", fake.url]);
  expect(JSON.parse(one.stdout)).toEqual({ applications: [config.applications[1]] });
  expect((await heliostat(["config", "-n", "c", "-a", fake.url])).code).toBe(1);
});

test("C7, C11: scale, delete and shutdown", async () => {
  await using fake = await FakeInstance.open();
  fake.replies[`POST ${APPLICATIONS}/shop/deployments/Model/scale`] = () => ({});
  expect((await heliostat(["scale", "shop/Model", "3", "-a", fake.url])).code).toBe(0);
  expect(fake.asked.at(-1)!.body).toEqual({ targetNumReplicas: 3 });
  expect(await heliostat(["scale", "shop/None", "3", "-a", fake.url])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('"None"'),
  });
  const left = [statusOf("shop", "DELETING"), { applications: {}, proxies: [] }];
  fake.replies[`DELETE ${APPLICATIONS}/shop`] = () => ({});
  fake.replies[`GET ${APPLICATIONS}`] = () => ({ body: left.shift() });
  expect((await heliostat(["delete", "shop", "-a", fake.url])).code).toBe(0);
  expect(left).toEqual([]);
  expect(await heliostat(["delete", "none", "-a", fake.url])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('"none"'),
  });
  fake.replies["GET /api/v1/instance"] = () => ({ body: { pid: 1, version: "0", runtimeDirectory: "" } });
  fake.replies["POST /api/v1/shutdown"] = () => "end";
  const { code, stderr } = await heliostat(["shutdown", "-y", "-a", fake.url]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining("It is shut down.") });
  expect(fake.routes().at(-1)).toBe("POST /api/v1/shutdown");
});

test("C11: status --watch prints again what has changed, until it is interrupted", async () => {
  await using fake = await FakeInstance.open();
  const statuses = ["DEPLOYING", "DEPLOYING", "RUNNING"].map((status) => statusOf("shop", status));
  fake.replies[`GET ${APPLICATIONS}`] = () => ({ body: statuses.length > 1 ? statuses.shift() : statuses[0] });
  const watching = new RunningCommand(["status", "--watch", "-a", fake.url], { cwd: folder });
  onTestFinished(() => void watching.child.kill("SIGKILL"));
  await until(() => watching.stdout.includes("status: HEALTHY"), "the change is printed");
  watching.child.kill("SIGINT");
  expect(await watching.exited).toBe(0);
  const documents = parseAllDocuments(watching.stdout).map((document) => document.toJS() as ServeStatus);
  expect(documents.map(({ applications }) => applications["shop"]!.status)).toEqual(["DEPLOYING", "RUNNING"]);
});

test("C11: logs asks for what was said, with the token, and shows it", async () => {
  const service = new FakeService();
  const admin = await openAdminServer({ host: "127.0.0.1", port: 0, token: "secret", service });
  try {
    const args = ["logs", "a b/M", "-n", "7", "--replica", "M#1", "--level", "warn", "-a", admin.url];
    expect(await heliostat(args, { env: { HELIOSTAT_TOKEN: "secret" } })).toEqual({
      code: 0,
      stdout: "one\ntwo\n",
      stderr: "",
    });
    expect(service.asked.map(({ query }) => query)).toEqual([
      { app: "a b", deployment: "M", replica: "M#1", level: "warn", lines: 7, follow: false },
    ]);
    for (const [env, told] of [
      [{}, "HELIOSTAT_TOKEN"],
      [{ HELIOSTAT_TOKEN: "wrong" }, "does not take this token"],
    ] as const)
      expect(await heliostat(args, { env })).toMatchObject({
        code: 1,
        stdout: "",
        stderr: expect.stringContaining(told),
      });
    service.written = broken();
    expect(
      await heliostat(["logs", "-f"], { env: { HELIOSTAT_ADDRESS: admin.url, HELIOSTAT_TOKEN: "secret" } }),
    ).toEqual({
      code: 1,
      stdout: "one\n",
      stderr: expect.stringContaining("has broken off"),
    });
  } finally {
    await admin.close();
  }
  const nothing = await heliostat(["logs", "-a", admin.url]);
  expect(nothing).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining(`Nothing answers at ${admin.url}`),
  });

  async function* broken(): AsyncIterable<string> {
    yield "one\n";
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw new Error("the disk is gone");
  }
});
