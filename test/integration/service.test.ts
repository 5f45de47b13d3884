import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkConfig } from "../../src/config/check-config.ts";
import { Service } from "../../src/instance/service.ts";
import { childPids, socketDirectories, until } from "./harness.ts";

const shop = fileURLToPath(new URL("../fixtures/builds/served.ts", import.meta.url));
const silent = { debug() {}, info() {}, warn() {}, error() {} };
let service: Service;
let url: string;

beforeAll(async () => {
  service = await Service.open({ http: { port: 0 }, log: silent, onShutdown() {} });
  url = service.httpUrl;
});

afterAll(async () => {
  await service.close();
  expect(childPids(process.pid)).toEqual([]);
  expect(socketDirectories(process.pid)).toEqual([]);
});

const config = (...applications: object[]) => checkConfig({ applications }).config;
const get = async (path: string): Promise<string> => (await fetch(url + path)).text();
const settled = () => Promise.all([...service.goal.all.values()].map(({ done }) => done));
const pids = (app: string) =>
  Object.values(service.status().applications[app]!.deployments)
    .flatMap(({ replicas }) => replicas.map(({ pid }) => pid))
    .toSorted();

it("F6: a configuration is the whole goal; one application that fails touches no other", async () => {
  service.apply(
    config(
      { name: "a", routePrefix: "/a", importPath: `${shop}:app`, args: {}, env: { WORD: "first" } },
      { name: "b", routePrefix: "/b", importPath: `${shop}:broken` },
    ),
  );
  expect(service.status().applications).toMatchObject({ a: { status: "DEPLOYING" }, b: { status: "DEPLOYING" } });
  await settled();
  expect(await get("/a/")).toBe("first");
  expect(service.status().applications).toMatchObject({
    a: { status: "RUNNING", source: "declarative", routePrefix: "/a" },
    b: { status: "DEPLOY_FAILED", message: expect.stringContaining("cannot be constructed") },
  });
});

it("H1: a fetch that only instances have is seen when it runs", async () => {
  service.applyOne({ name: "field", routePrefix: "/field", importPath: `${shop}:field` });
  await settled();
  expect(await get("/field")).toBe("a field");
  await service.goal.delete("field");
});

it("a routing policy of the user's holds for requests over HTTP; the script it stands in runs nothing in the proxy", async () => {
  const pinned = fileURLToPath(new URL("../fixtures/builds/pinned.ts", import.meta.url));
  service.applyOne({ name: "pinned", routePrefix: "/pinned", importPath: pinned });
  await settled();
  const asked = new Set<string>();
  for (let i = 0; i < 30; i++) asked.add(await get("/pinned"));
  const { replicas } = service.status().applications["pinned"]!.deployments["Pinned"]!;
  const [first] = replicas.toSorted((one, other) => (one.replicaId < other.replicaId ? -1 : 1));
  expect([...asked]).toEqual([String(first!.pid)]);
  for (const { pid } of service.status().proxies) expect(childPids(pid)).toEqual([]);
  await service.goal.delete("pinned");
});

it("F6: equal configuration restarts nothing; another replaces, and what is missing goes", async () => {
  const before = pids("a");
  const same = { name: "a", routePrefix: "/a", importPath: `${shop}:app`, env: { WORD: "first" } };
  service.apply(config(same));
  await settled();
  expect(pids("a")).toEqual(before);
  await until(() => !("b" in service.status().applications), "b is gone");
  service.apply(config({ ...same, env: { WORD: "second" } }));
  await settled();
  expect(await get("/a/")).toBe("second");
  expect(pids("a")).not.toEqual(before);
});

it("scales until a configuration names a number, and tells its decisions", async () => {
  const same = { name: "a", routePrefix: "/a", importPath: `${shop}:app`, env: { WORD: "second" } };
  expect(service.scale("a", "Served", 2)).toBe(true);
  await until(() => pids("a").length === 2, "two replicas");
  service.apply(config(same));
  await settled();
  expect(pids("a")).toHaveLength(2);
  service.apply(config({ ...same, deployments: [{ name: "Served", numReplicas: 1 }] }));
  await settled();
  await until(() => pids("a").length === 1, "one replica");
  expect(service.scale("a", "None", 2)).toBe(false);
  expect(service.decisions("a", "None")).toBeUndefined();
  const [newest] = service.decisions("a", "Served")!;
  expect(newest).toMatchObject({ deployment: "Served", reason: expect.any(String), at: expect.any(Date) });
});

it("F7: times apply at once, other HTTP options warn; metrics and configuration", async () => {
  const app = { name: "a", routePrefix: "/a", importPath: `${shop}:app`, env: { WORD: "second" } };
  const { config: timed } = checkConfig({ http: { requestTimeoutMs: 100, port: 1 }, applications: [app] });
  expect(service.apply(timed)).toEqual([expect.stringContaining("http.port has no effect")]);
  await settled();
  expect((await fetch(`${url}/a/slow`)).status).toBe(408);
  service.apply(config(app));
  await settled();
  expect((await fetch(`${url}/a/slow`)).status).toBe(200);
  expect(service.config()).toEqual({ http: { port: 0 }, applications: [app] });
  expect(await service.metrics()).toMatch(/heliostat_http_requests_total\{application="a",status="408"\} 1/);
});

it("adds one application, and deletes", async () => {
  const one = { name: "c", routePrefix: "/c", importPath: `${shop}:app` };
  expect(() => service.applyOne({ ...one, routePrefix: "/a" })).toThrow(/taken by application "a"/);
  service.applyOne(one);
  await settled();
  expect(service.status().applications["c"]).toMatchObject({ status: "RUNNING", source: "imperative" });
  expect(service.delete("c")).toBe(true);
  expect((await fetch(`${url}/c/`)).status).toBe(404);
  expect(service.delete("none")).toBe(false);
  await service.deleteAll();
  expect(service.status().applications).toEqual({});
});

it.each(["process", "thread"])(
  "an instance with a state directory gives a replica in a %s a file for its output, and shows its last words",
  async (isolation) => {
    const stateDirectory = mkdtempSync(join(tmpdir(), "heliostat-state-"));
    const background = await Service.open({ http: { port: 0 }, log: silent, stateDirectory, onShutdown() {} });
    try {
      const importPath = `${fileURLToPath(new URL("../fixtures/builds/talking.ts", import.meta.url))}:app`;
      background.apply(
        config({ name: "a", routePrefix: "/a", importPath, deployments: [{ name: "Talking", isolation }] }),
      );
      await Promise.all([...background.goal.all.values()].map(({ done }) => done));
      expect(await (await fetch(`${background.httpUrl}/a/`)).text()).toBe("said");
      const [replica] = background.status().applications["a"]!.deployments["Talking"]!.replicas;
      const folder = join(stateDirectory, "logs/a");
      const file = join(folder, `${encodeURIComponent(replica!.replicaId)}.log`);
      await until(() => readFileSync(file, "utf8").length >= 20, "a thread's output comes by messages");
      expect(readFileSync(file, "utf8").split("\n").toSorted()).toEqual(["", "on stderr", "on stdout"]);
      await fetch(`${background.httpUrl}/a/exit`);
      await until(() => readdirSync(folder).length > 1, "another replica has taken its place");
      expect(readFileSync(file, "utf8")).toContain("good bye");
      expect(background.status().applications["a"]!.deployments["Talking"]!.message).toContain("good bye");
    } finally {
      await background.close();
      rmSync(stateDirectory, { recursive: true, force: true });
    }
  },
);
