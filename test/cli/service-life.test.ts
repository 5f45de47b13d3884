import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServeStatus } from "../../src/core/serve-types.ts";
import { childPids, isRunning, until } from "../integration/harness.ts";
import { command, RunningCommand, TemporaryFolder } from "../support/command.ts";

/** The way from a script to a service, with every command on it, on one instance. */

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = new TemporaryFolder();
const cwd = folder.path;
const heliostat = (...args: string[]) => command(args, { cwd });
const word = (text: string) =>
  `applications:\n  - { name: shop, routePrefix: /shop, importPath: './app.ts', env: { WORD: ${text} } }\n`;
let httpUrl: string;
let adminUrl: string;
let pid: number;

async function start(): Promise<string> {
  const { code, stderr } = await heliostat("start", "--http-port", "0", "--admin-port", "0");
  expect([code, stderr]).toEqual([0, expect.stringContaining("REST interface at")]);
  httpUrl = /HTTP at (\S+)/.exec(stderr)![1]!;
  adminUrl = /REST interface at (\S+)/.exec(stderr)![1]!;
  pid = ((await (await fetch(`${adminUrl}/api/v1/instance`)).json()) as { pid: number }).pid;
  return stderr;
}

beforeAll(() => {
  mkdirSync(join(cwd, "node_modules"));
  symlinkSync(root, join(cwd, "node_modules/heliostat"));
  writeFileSync(join(cwd, "package.json"), '{ "type": "module" }');
  writeFileSync(join(cwd, "heliostat.yaml"), word("one"));
  writeFileSync(join(cwd, "app.ts"), APP);
});
afterAll(() => folder[Symbol.dispose]());

it("C3: start gives an instance that outlives the command; a second start changes nothing", async () => {
  expect(await start()).toContain("An instance has been started.");
  expect(isRunning(pid)).toBe(true);
  const again = await heliostat("start", "--http-port", "0", "--admin-port", "0");
  expect([again.code, again.stderr]).toEqual([0, expect.stringContaining(`runs already (process ${pid})`)]);
  const open = await heliostat("start", "--admin-host", "0.0.0.0", "--state-dir", join(cwd, "other"));
  expect([open.code, open.stderr]).toEqual([2, expect.stringContaining("--token")]);
});

it("C4, C5: deploy hands a configuration over, status shows what has become of it", async () => {
  const deployed = await heliostat("deploy", "heliostat.yaml", "--wait");
  expect([deployed.code, deployed.stderr]).toEqual([0, expect.stringContaining("RUNNING")]);
  expect(await (await fetch(`${httpUrl}/shop`)).text()).toBe("one");
  const status = await heliostat("status", "--format", "json");
  const told = JSON.parse(status.stdout) as ServeStatus;
  expect(told).toMatchObject({
    applications: { shop: { status: "RUNNING", deployments: { Shop: { replicas: [{ state: "RUNNING" }] } } } },
    proxies: [{ url: httpUrl, status: "HEALTHY" }],
  });
  // HTTP is served by a process of its own.
  expect(childPids(pid)).toContain(told.proxies[0]!.pid);
});

it("C10: call prints a result as JSON, and the items of a stream as lines", async () => {
  expect((await heliostat("call", "shop.add", "1", "2")).stdout).toBe("3\n");
  expect((await heliostat("call", "shop/Shop.add", "40", "2")).stdout).toBe("42\n");
  expect((await heliostat("call", "shop.count", "3", "--stream")).stdout).toBe("0\n1\n2\n");
  const failed = await heliostat("call", "shop.fail");
  expect([failed.code, failed.stdout, failed.stderr]).toEqual([1, "", expect.stringContaining("out of stock")]);
  expect(await heliostat("call", "none.add")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Running: "shop"'),
  });
  expect(await heliostat("call", "shop/None.add")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('It has: "Shop"'),
  });
  expect(await heliostat("call", "shop.add", "one")).toMatchObject({ code: 2 });
});

it("C11: scale, logs and decisions", async () => {
  expect((await heliostat("scale", "shop/Shop", "2")).code).toBe(0);
  const replicas = async () => {
    const { stdout } = await heliostat("status", "-n", "shop", "--format", "json");
    return (JSON.parse(stdout) as { deployments: { Shop: { replicas: { replicaId: string }[] } } }).deployments.Shop
      .replicas;
  };
  await until(async () => (await replicas()).length === 2, "two replicas", 15_000);
  const [{ replicaId }] = (await replicas()) as [{ replicaId: string }];
  const all = (await heliostat("logs")).stdout;
  expect(all).toContain(`${replicaId}: shop is open\n`);
  expect(all).toMatch(/^\d{4}-\S+Z heliostat info: Instance \d+ serves HTTP/m);
  const ofShop = await heliostat("logs", "shop/Shop", "-a", adminUrl);
  expect(ofShop.stdout.match(/^Shop#\w+: shop is open$/gm)).toHaveLength(2);
  expect(ofShop.stdout).not.toContain("heliostat info:");
  expect((await heliostat("logs", "shop", "--replica", replicaId)).stdout).toBe(`${replicaId}: shop is open\n`);
  expect((await heliostat("logs", "shop", "--level", "error")).stdout).toBe("");
  expect((await heliostat("logs", "-n", "1")).stdout.match(/\n/g)).toHaveLength(1);
  for (const [of, there] of [
    ["none", 'There are: "shop"'],
    ["shop/None", 'It has: "Shop"'],
  ] as const)
    expect(await heliostat("logs", of)).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(there) });
  const follow = new RunningCommand(["logs", "shop", "-f"], { cwd });
  await until(() => follow.stdout.includes("shop is open"), "it shows what was", 10_000);
  await heliostat("call", "shop.say", '"said later"');
  await until(() => follow.stdout.includes("said later"), "it shows what comes", 10_000);
  follow.child.kill("SIGINT");
  expect(await follow.exited).toBe(0);
});

it("F6: a changed configuration is deployed under load without a failed request", async () => {
  let isOver = false;
  const statuses = new Set<number>();
  const words = new Set<string>();
  const clients = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const answer = await fetch(`${httpUrl}/shop`);
      statuses.add(answer.status);
      words.add(await answer.text());
    }
  });
  writeFileSync(join(cwd, "heliostat.yaml"), word("two"));
  expect((await heliostat("deploy", "heliostat.yaml", "--wait")).code).toBe(0);
  isOver = true;
  await Promise.all(clients);
  expect([...statuses]).toEqual([200]);
  expect(await (await fetch(`${httpUrl}/shop`)).text()).toBe("two");
});

it("C12: after kill -9 the replicas go on, also those that were asked for by hand, and the next start takes them over", async () => {
  const replicas = async (): Promise<number[]> => {
    const { stdout } = await heliostat("status", "-n", "shop", "--format", "json");
    return [...stdout.matchAll(/"pid": (\d+)/g)].map(([, each]) => Number(each)).toSorted();
  };
  const proxies = async (): Promise<unknown> =>
    (JSON.parse((await heliostat("status", "--format", "json")).stdout) as ServeStatus).proxies;
  const [before, served] = [await replicas(), await proxies()];
  expect(before).toHaveLength(2);
  process.kill(pid, "SIGKILL");
  await until(() => !isRunning(pid), "the instance is gone");
  for (const args of [["status"], ["status", "-a", adminUrl], ["call", "shop.add", "1", "2"]])
    expect(await heliostat(...args)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/The instance at http\S+ \(process \d+\) has crashed.*heliostat start/),
    });
  expect(before.filter(isRunning)).toEqual(before);
  expect(await (await fetch(`${httpUrl}/shop`)).text()).toBe("two");
  expect(await start()).toContain("has taken over what the one before it ran");
  expect([await replicas(), await proxies()]).toEqual([before, served]);
  expect(await (await fetch(`${httpUrl}/shop`)).text()).toBe("two");
});

it("C7: shutdown asks, and ends everything", async () => {
  const follow = new RunningCommand(["logs", "-f"], { cwd });
  await until(() => follow.stdout.includes("shop is open"), "it follows", 10_000);
  expect(await heliostat("shutdown")).toMatchObject({ code: 2, stderr: expect.stringContaining("shutdown -y") });
  expect((await heliostat("shutdown", "-y")).code).toBe(0);
  await until(() => !isRunning(pid), "the instance has ended");
  expect(await heliostat("call", "shop.add", "1", "2", "-a", adminUrl)).toMatchObject({ code: 1 });
  expect(await follow.exited).toBe(0);
  expect(follow.stderr).toContain("has ended");
  expect(follow.stdout).toMatch(/heliostat info: Instance \d+ ends: a shutdown was asked for/);
  const left = await heliostat("logs");
  expect(left).toMatchObject({ code: 0, stderr: expect.stringContaining("No instance runs.") });
  expect(left.stdout).toContain("ends: a shutdown was asked for");
  expect((await heliostat("logs", "shop/Shop", "-f")).stdout).toMatch(/^Shop#\w+: said later$/m);
  expect(await heliostat("logs", "none")).toMatchObject({ code: 1, stderr: expect.stringContaining('"shop"') });
  // Logs stay, for whoever wants to know why.
  expect(readdirSync(join(cwd, "state/heliostat")).toSorted()).toEqual(["logs"]);
});

const APP = `
import { deployment } from "heliostat";

class Shop {
  constructor() {
    console.log("shop is open");
  }
  fetch() {
    return new Response(process.env.WORD);
  }
  add(a, b) {
    return a + b;
  }
  async *count(n) {
    for (let i = 0; i < n; i++) yield i;
  }
  say(text) {
    console.log(text);
  }
  fail() {
    throw new RangeError("out of stock");
  }
}
export const app = deployment(Shop, { gracefulShutdownWaitLoopMs: 0 }).bind();
`;
