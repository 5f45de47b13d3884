import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { BuildFailure, build } from "../../src/app/builder/builder.ts";
import type { ApplicationSpec } from "../../src/core/deployment/spec.ts";
import { Service } from "../../src/instance/service.ts";
import { childPids, failureOf, socketDirectories } from "./harness.ts";

const directory = fileURLToPath(new URL("../fixtures/builds", import.meta.url));
let service: Service;

async function specOf(name: string, routePrefix: string | null): Promise<ApplicationSpec> {
  const outcome = await build({ name, routePrefix, importPath: "desk.ts", directory });
  if (outcome instanceof BuildFailure) throw outcome.error as Error;
  return outcome.spec;
}

beforeAll(async () => {
  service = await Service.open({ http: { port: 0 } });
});

afterAll(async () => {
  await service.close();
  await service.close();
  await expect(fetch(service.httpUrl)).rejects.toThrow();
  expect(childPids(process.pid)).toEqual([]);
  expect(socketDirectories(process.pid)).toEqual([]);
});

it("serves HTTP from the beginning, and starts what was built elsewhere", async () => {
  expect((await fetch(`${service.httpUrl}/-/healthz`)).status).toBe(503);
  expect(service.status()).toMatchObject({ applications: {}, proxies: [{ url: service.httpUrl }] });
  await service.deploy(await specOf("desk", "/shop"));
  expect(service.status().applications["desk"]).toMatchObject({ status: "RUNNING", routePrefix: "/shop" });
  expect((await fetch(`${service.httpUrl}/shop`)).status).toBe(200);

  const taken = await failureOf(service.deploy(await specOf("other", "/shop")));
  expect(taken).toMatchObject({ code: "CONFIG", path: "routePrefix" });
  expect(Object.keys(service.status().applications)).toEqual(["desk"]);

  const pids = childPids(process.pid);
  await service.deploy(await specOf("desk", "/moved"));
  expect(childPids(process.pid)).toEqual(pids);
  expect((await fetch(`${service.httpUrl}/shop`)).status).toBe(404);
  expect((await fetch(`${service.httpUrl}/moved`)).status).toBe(200);

  expect(await service.delete("desk")).toBe(true);
  expect(await service.delete("desk")).toBe(false);
  expect((await fetch(`${service.httpUrl}/moved`)).status).toBe(404);
  expect(service.status().applications).toEqual({});
});

it("a port that is taken is an error, and leaves nothing", async () => {
  const children = childPids(process.pid);
  const { port } = new URL(service.httpUrl);
  expect(await failureOf(Service.open({ http: { port: Number(port) } }))).toMatchObject({
    code: "CONFIG",
    path: "http.port",
  });
  expect(childPids(process.pid)).toEqual(children);
});
