import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { BuildFailure, build } from "../../src/app/builder/builder.ts";
import type { BuildRequest, BuiltApplication } from "../../src/app/builder/build-request.ts";
import { HandleReference } from "../../src/core/deployment/spec.ts";
import { childPids, isRunning, until } from "./harness.ts";

const directory = fileURLToPath(new URL("../fixtures/builds", import.meta.url));
const ask = (importPath: string, more: Partial<BuildRequest> = {}) =>
  build({ name: "default", routePrefix: "/", importPath, directory, ...more });

async function built(importPath: string, more: Partial<BuildRequest> = {}): Promise<BuiltApplication> {
  const outcome = await ask(importPath, more);
  if (outcome instanceof BuildFailure) throw outcome.error as Error;
  expect(childPids(process.pid)).toEqual([]);
  return outcome;
}
async function failure(importPath: string, more: Partial<BuildRequest> = {}): Promise<Error> {
  const outcome = await ask(importPath, more);
  expect(outcome).toBeInstanceOf(BuildFailure);
  expect(childPids(process.pid)).toEqual([]);
  return (outcome as BuildFailure).error as Error;
}

it("gives an application in a form that travels, without constructing anything", async () => {
  const { spec, files, given } = await built("shop.ts", { env: { MINE: "1" } });
  expect(spec).toMatchObject({ name: "default", routePrefix: "/", ingress: "Shop" });
  const [model, shop] = spec.deployments;
  expect(model).toMatchObject({
    name: "Model",
    kind: "class",
    answersHttp: false,
    options: { numReplicas: 2, env: { MINE: "1" } },
  });
  expect(model!.options.policy).toMatchObject({ module: expect.stringContaining("shop.ts"), name: "policy" });
  expect(shop).toMatchObject({ name: "Shop", answersHttp: true, code: { name: "Shop", ordinal: 0 } });
  expect(shop!.initArgs).toEqual([new HandleReference("default", "Model"), new Map([[1, 2n]])]);
  expect(files.map((file) => file.slice(directory.length + 1))).toEqual(["greeting.ts", "shop.ts"]);
  expect(given).toEqual([{ name: "Model", numReplicas: 2, userConfig: { a: 1 }, requestRouter: {} }, { name: "Shop" }]);
  const again = await built("./shop.ts:app");
  expect(again.spec.deployments[0]!.codeDigest).toBe(model!.codeDigest);
});

it("C1: functions make applications, with arguments; what makes none says what to write", async () => {
  expect((await built("shop.ts:build", { args: { size: "3" } })).spec.deployments[1]!.initArgs[1]).toBe("3");
  expect((await built("shop.ts:buildLater")).spec.ingress).toBe("Shop");
  const messages = [];
  for (const [path, args] of [
    ["shop.ts:app", { size: "3" }],
    ["shop.ts:none"],
    ["shop.ts:unbound"],
    ["shop.ts:Shop"],
    ["shop.ts:number"],
    ["empty.ts"],
    ["none.ts"],
    ["folder"],
    ["./folder"],
    ["shop:app"],
    ["no-such-package"],
  ] as const) {
    const error = await failure(path, args === undefined ? {} : { args });
    expect(error).toMatchObject({ code: "CONFIG", path: args === undefined ? "importPath" : "args" });
    messages.push(error.message);
  }
  expect(messages).toEqual([
    expect.stringContaining("Arguments can only be passed to an application builder function"),
    expect.stringMatching(/no export "none".*"app", "build"/),
    expect.stringContaining(
      'is the deployment "Model", which is not bound, not an application. Write: export const unbound = Model.bind(…)',
    ),
    expect.stringContaining("Write: export const Shop = deployment(Shop).bind(…)"),
    expect.stringContaining("is 3, not an application"),
    expect.stringContaining("exports no application"),
    `There is no module ${directory}/none.ts.`,
    expect.stringContaining(`Did you mean ${directory}/folder/app.ts?`),
    `${directory}/folder is a folder, not a module. Did you mean ${directory}/folder/app.ts?`,
    expect.stringContaining(`Did you mean ${directory}/shop.ts?`),
    expect.stringContaining("no package of this name"),
  ]);
});

it("a script that calls serve.run itself is the application that it runs", async () => {
  expect((await built("script.ts")).spec.ingress).toBe("twice");
  expect((await failure("script.ts:app")).message).toContain("calls serve.run() before its exports can be seen");
});

it("the user's own error comes first; a module that ends its process is told about", async () => {
  const error = await failure("throws.ts");
  expect(error.message).toMatch(/^RangeError: mine\n[\s\S]*throws\.ts[\s\S]*\(while throws\.ts was loaded\)$/);
  expect((error as { cause?: unknown }).cause).toBeInstanceOf(RangeError);
  expect((await failure("exits.ts")).message).toContain("ended itself with code 3");
  expect(await failure("shop.ts:isolated")).toMatchObject({ code: "SERIALIZATION" });
});

it("F1: only what a configuration sets overrides the code; what is not there is an error with what is", async () => {
  const deployments = [{ name: "Model", maxOngoingRequests: 9, env: { OWN: "2" } }];
  const { spec } = await built("shop.ts", { deployments, env: { OWN: "1", MINE: "1" } });
  expect(spec.deployments[0]!.options).toMatchObject({
    numReplicas: 2,
    maxOngoingRequests: 9,
    env: { OWN: "2", MINE: "1" },
  });
  const error = await failure("shop.ts", { deployments: [{ name: "Nodel" }] });
  expect(error).toMatchObject({ code: "DEPLOYMENT_FAILED" });
  expect(error.message).toContain('no deployment "Nodel", for which there are options. It has "Model", "Shop"');
});

it("C8: two deployments of one name have the names that the application gives them", async () => {
  expect((await built("folder/app.ts")).given).toEqual([
    { name: "Double", maxOngoingRequests: 3 },
    { name: "Double_1", maxOngoingRequests: 3 },
    { name: "Both" },
  ]);
});

it("a module that hangs ends when it is no longer wanted", async () => {
  const abort = new AbortController();
  const building = build(
    { name: "default", routePrefix: "/", importPath: "hangs.ts", directory },
    { signal: abort.signal },
  );
  expect(childPids(process.pid)).not.toEqual([]);
  abort.abort(new Error("not wanted"));
  await expect(building).rejects.toThrow("not wanted");
  expect(childPids(process.pid)).toEqual([]);
});

it.each([
  ["waits", "hangs.ts", "hanging\n"],
  ["computes", "loops.ts", "looping\n"],
])("a module that %s for ever ends with a parent that is killed, and what watches it too", async (_, module, says) => {
  const script = fileURLToPath(new URL("../fixtures/build-driver.ts", import.meta.url));
  const driver = spawn(process.execPath, ["--conditions=heliostat-source", script, module], {
    stdio: ["ignore", "inherit", "pipe"],
  });
  const exit = once(driver, "exit");
  expect(String(await once(driver.stderr!, "data"))).toBe(says);
  const children = childPids(driver.pid!);
  onTestFinished(() => {
    for (const child of children) if (isRunning(child)) process.kill(child, "SIGKILL");
  });
  expect(children.length).toBeGreaterThan(0);
  driver.kill("SIGKILL");
  await exit;
  await until(() => children.every((child) => !isRunning(child)), "nothing outlives its parent");
});
