import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ServeStatus } from "../../src/core/serve-types.ts";
import { startInstance } from "../../src/instance/start-instance.ts";
import { BackgroundInstance } from "./background-instance.ts";
import { isRunning, until } from "./harness.ts";

/** C12: what an instance runs outlives it, and the next one takes it over. */

const module = fileURLToPath(new URL("../fixtures/builds/ticking.ts", import.meta.url));
// Each starts two instances, one after the other.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 30_000 });

let instance: BackgroundInstance;
beforeEach(() => {
  instance = new BackgroundInstance();
});
afterEach(() => instance.end());

/** The replicas of a deployment, when the application runs. */
async function replicas(deployment: string): Promise<number[]> {
  let found: number[] = [];
  await until(
    async () => {
      const { applications } = await instance.ask<ServeStatus>("GET", "applications");
      const { status, deployments } = applications["ticking"]!;
      if (status !== "RUNNING") return false;
      found = deployments[deployment]!.replicas.map(({ pid }) => pid!);
      return true;
    },
    "the application runs",
    15_000,
  );
  for (const pid of found) instance.pids.add(pid);
  return found;
}

const deploy = (deployments: object[] = []) =>
  instance.ask("PUT", "applications", {
    applications: [{ name: "ticking", importPath: `${module}:app`, deployments }],
  });

interface Counts {
  readonly good: number;
  readonly bad: readonly string[];
}
const counts = async (): Promise<Counts> => (await (await fetch(instance.record.httpUrl)).json()) as Counts;

it("calls between replicas go on meanwhile and afterwards", async () => {
  await instance.start();
  await deploy();
  const before = [await replicas("Ticker"), await replicas("Model")];
  await instance.kill();
  await new Promise((resolve) => setTimeout(resolve, 300));
  await instance.start();
  expect([await replicas("Ticker"), await replicas("Model")]).toEqual(before);
  const { good } = await counts();
  await until(async () => (await counts()).good > good + 20, "calls go on");
  expect((await counts()).bad).toEqual([]);
  // The new one knows them, and they know it.
  expect(await (await fetch(`${instance.record.httpUrl}/status`)).json()).toMatchObject({
    applications: { ticking: { status: "RUNNING" } },
  });
  process.kill(before[1]![0]!, "SIGKILL");
  await until(async () => !(await replicas("Model")).includes(before[1]![0]!), "it is replaced", 15_000);
  await deploy([{ name: "Model", userConfig: { at: 2 } }]);
  await replicas("Model");
  expect(await replicas("Ticker")).toEqual(before[0]);
});

it("a replica that is blocked meanwhile comes back when it can, and is called no less", async () => {
  await instance.start();
  await deploy();
  const before = await replicas("Model");
  await fetch(`${instance.record.httpUrl}/block`);
  await instance.kill();
  await instance.start();
  expect(await replicas("Model")).toEqual(before);
  expect((await counts()).bad).toEqual([]);
});

it("what was being deployed is deployed by the next one", async () => {
  await instance.start();
  await deploy();
  const before = await replicas("Ticker");
  const models = await replicas("Model");
  await deploy([{ name: "Model", env: { CHANGED: "1" } }]);
  await instance.kill();
  await instance.start();
  await until(async () => !(await replicas("Model")).some((pid) => models.includes(pid)), "all are new", 15_000);
  expect(await replicas("Ticker")).toEqual(before);
  expect((await counts()).bad).toEqual([]);
});

it("who is not taken over in time ends by itself, and the next one starts others", async () => {
  await instance.start({ adoptionMs: 400 });
  await deploy();
  const before = [...(await replicas("Ticker")), ...(await replicas("Model"))];
  await instance.kill();
  await until(() => !before.some(isRunning), "they end");
  await instance.start();
  await replicas("Ticker");
  expect((await counts()).bad).toEqual([]);
});

it("a start that fails leaves what it was to take over to the next", async () => {
  await instance.start();
  await deploy();
  const before = await replicas("Model");
  await instance.kill();
  const options = { stateDirectory: instance.state.path, http: { port: 0 } };
  await expect(startInstance({ ...options, admin: { host: "0.0.0.0", port: 0 } })).rejects.toThrow(/token/);
  expect(before.filter(isRunning)).toEqual(before);
  await instance.start();
  expect(await replicas("Model")).toEqual(before);
});

it("of applications that were deleted meanwhile nothing comes back", async () => {
  await instance.start();
  await deploy();
  const before = [...(await replicas("Ticker")), ...(await replicas("Model"))];
  await instance.ask("DELETE", "applications/ticking");
  await instance.kill();
  await instance.start();
  await until(() => !before.some(isRunning), "they end");
  expect(await instance.ask("GET", "applications")).toMatchObject({ applications: {} });
});
