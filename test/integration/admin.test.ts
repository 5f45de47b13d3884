import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openAdminServer, type AdminServer } from "../../src/admin/admin-server.ts";
import { Service } from "../../src/instance/service.ts";
import { childPids, socketDirectories, until } from "./harness.ts";

const shop = fileURLToPath(new URL("../fixtures/builds/served.ts", import.meta.url));
const silent = { debug() {}, info() {}, warn() {}, error() {} };
let service: Service;
let server: AdminServer;

beforeAll(async () => {
  service = await Service.open({ http: { port: 0 }, log: silent, onShutdown() {} });
  server = await openAdminServer({ host: "127.0.0.1", port: 0, service });
});

afterAll(async () => {
  await server.close();
  await service.close();
  expect(childPids(process.pid)).toEqual([]);
  expect(socketDirectories(process.pid)).toEqual([]);
});

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
  const response = await fetch(server.url + path, {
    method,
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

async function reaches(path: string, isThere: (body: any) => boolean): Promise<any> {
  let body: any;
  await until(async () => isThere((body = (await ask("GET", path)).body)), path);
  return body;
}

it("R: an application is deployed, told of in both schemas, scaled and deleted over REST", async () => {
  const app = { name: "a", routePrefix: "/a", importPath: `${shop}:app`, args: {}, env: { WORD: "first" } };
  expect(await ask("PUT", "/api/v1/applications", { applications: [app] })).toEqual({
    status: 202,
    body: { warnings: [] },
  });
  expect((await ask("GET", "/api/v1/applications")).body.applications.a).toMatchObject({
    status: "DEPLOYING",
    deployedConfig: app,
  });
  const { applications } = await reaches("/api/v1/applications", (body) => body.applications.a.status === "RUNNING");
  expect(await (await fetch(`${service.httpUrl}/a/`)).text()).toBe("first");
  const [deployment] = Object.keys(applications.a.deployments);
  const ray = (await ask("GET", "/api/serve/applications/")).body;
  expect(ray.applications.a).toMatchObject({ status: "RUNNING", route_prefix: "/a", source: "declarative" });
  expect(ray.applications.a.deployments[deployment!].replicas).toHaveLength(1);
  const path = `/api/v1/applications/a/deployments/${deployment}`;
  expect((await ask("POST", `${path}/scale`, { targetNumReplicas: 2 })).status).toBe(200);
  await reaches("/api/v1/applications/a", ({ deployments }) => deployments[deployment!].replicas.length === 2);
  const { decisions } = (await ask("GET", `${path}/decisions`)).body;
  const starts = decisions.filter(({ action }: { action: string }) => action === "start");
  expect(starts).toMatchObject([{ deployment, replicaId: expect.any(String), reason: "a replica is missing" }, {}]);
  expect(new Date(starts[0].at).getTime()).toBeGreaterThanOrEqual(new Date(starts[1].at).getTime());

  expect(
    (await ask("PUT", "/api/v1/applications/b", { importPath: `${shop}:app`, routePrefix: "/a" })).body.error.path,
  ).toBe("routePrefix");
  const again = (await ask("GET", "/api/v1/config")).body;
  expect((await ask("PUT", "/api/v1/applications?dryRun=1", again)).status).toBe(200);
  expect((await ask("DELETE", "/api/v1/applications")).status).toBe(200);
  expect((await ask("GET", "/api/v1/applications")).body.applications).toEqual({});
});

it("R: what the replicas of an instance in the background write is shown, and goes on", async () => {
  expect(await ask("GET", "/api/v1/logs")).toMatchObject({
    status: 404,
    body: { error: { message: expect.stringContaining("heliostat run") } },
  });
  const stateDirectory = mkdtempSync(join(tmpdir(), "heliostat-state-"));
  const background = await Service.open({ http: { port: 0 }, log: silent, stateDirectory, onShutdown() {} });
  const admin = await openAdminServer({ host: "127.0.0.1", port: 0, service: background });
  try {
    const importPath = fileURLToPath(new URL("../fixtures/builds/talking.ts", import.meta.url));
    background.applyOne({ name: "talk", routePrefix: "/talk", importPath: `${importPath}:app` });
    await background.goal.all.get("talk")!.done;
    const talk = (path: string) => fetch(`${background.httpUrl}/talk/${path}`).then((answer) => answer.text());
    const logs = async (query: string) => (await fetch(`${admin.url}/api/v1/logs?${query}`)).text();
    await talk("");
    const [first] = background.status().applications["talk"]!.deployments["Talking"]!.replicas;
    const id = first!.replicaId;
    const said = `${id}: on stdout\n${id}: on stderr\n`;
    expect(await logs("app=talk&deployment=Talking")).toBe(said);
    expect(await logs(`replica=${encodeURIComponent(id)}&lines=1`)).toBe(`${id}: on stderr\n`);
    expect(await logs("app=talk&level=warn")).toBe("");
    expect(await logs("")).toBe(said);
    expect(JSON.parse(await logs("app=none")).error.message).toContain('There are: "talk"');

    const left = new AbortController();
    const follow = await fetch(`${admin.url}/api/v1/logs?app=talk&follow=1`, { signal: left.signal });
    let heard = "";
    const reading = (async () => {
      for await (const chunk of follow.body!) heard += Buffer.from(chunk).toString();
    })().catch(() => {});
    await until(() => heard === said, "it begins with what was");
    await talk("exit").catch(() => {});
    await until(() => heard.includes(`${id}: good bye\n`), "the last words are shown");
    await until(async () => (await talk("")) === "said", "another replica has taken its place");
    const isOfAnother = (line: string) => line.endsWith(": on stdout") && !line.startsWith(id);
    await until(() => heard.split("\n").some(isOfAnother), "the new one is followed too");
    left.abort();
    await reading;
    // What has ended is shown too.
    expect(await logs(`replica=${encodeURIComponent(id)}`)).toBe(`${said}${id}: good bye\n`);
  } finally {
    await admin.close();
    await background.close();
    rmSync(stateDirectory, { recursive: true, force: true });
  }
});
