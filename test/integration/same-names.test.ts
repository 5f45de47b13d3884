import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TemporaryProject } from "../support/project.ts";
import { socketDirectories } from "./harness.ts";

/** The wrong class never runs: what has one name is told apart in the replica, or refused, whatever order it arises in. */
let project: TemporaryProject;
beforeAll(() => {
  project = new TemporaryProject();
});
afterAll(() => {
  project[Symbol.dispose]();
  expect(project.pids.length).toBeGreaterThan(0);
  expect(project.pids.flatMap(socketDirectories), "socket directories after the programs").toEqual([]);
});

let count = 0;
/** Runs a program; gives what it has printed, line by line. */
async function printed(text: string, modules: Readonly<Record<string, string>> = {}): Promise<string[]> {
  for (const [name, module] of Object.entries(modules)) project.write(name, module);
  const name = `program-${++count}.ts`;
  project.write(name, text);
  const { stdout, stderr } = await project.run(name);
  expect(stderr).toBe("");
  return stdout.trimEnd().split("\n");
}

/** Asynchronous factories: in the driver the first one is ready first, in a replica the last one. */
const factories = (make: string): string => `
import { deployment, serve } from "heliostat";
const options = { maxConstructorRetryCount: 1 };
async function after(place: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, (serve.isReplica() ? 2 - place : place) * 100));
}
${make}
`;

const sameText = factories(`
async function make(kind: string, place: number) {
  await after(place);
  class Model { call() { return kind; } }
  return deployment(Model, options);
}`);

const named = factories(`
async function make(kind: string, place: number) {
  await after(place);
  class Model { call() { return kind; } }
  return deployment(Model, { ...options, name: kind });
}`);

const otherText = factories(`
async function make(kind: string, place: number) {
  await after(place);
  return kind === "a"
    ? deployment(class Model { call() { return "a"; } }, options)
    : deployment(class Model { call() { return "b"; } }, options);
}`);

/** One application whose ingress asks both models. */
const ask = `
import type { DeploymentHandle } from "heliostat";
class Router {
  #models: DeploymentHandle<any>[];
  constructor(models: DeploymentHandle<any>[]) { this.#models = models; }
  async call() { return (await Promise.all(this.#models.map((model) => model.remote()))).join(" "); }
}
try {
  const handle = await serve.run(deployment(Router).bind(both.map((model) => model.bind()) as never), { routePrefix: null });
  console.log(await handle.remote());
} catch (error) {
  console.log((error as Error).message.split("\\n").filter((line) => line.includes("not found")).pop());
}
await serve.shutdown();
`;
const makeBoth = `const both = await Promise.all([make("a", 0), make("b", 1)]);`;

const refusal = /cannot be told for sure.*deployment\(Model, \{ name: "…" \}\)/;

describe("two definitions of one name by asynchronous factories", () => {
  it.each([
    ["names", named],
    ["texts", otherText],
  ])("are told apart by their %s, in a script", async (_, text) => {
    expect(await printed(text + makeBoth + ask)).toEqual(["a b"]);
  });

  it.each([
    ["names", named],
    ["texts", otherText],
  ])("are told apart by their %s, in a module of their own", async (_, text) => {
    const modules = { "models.ts": `${text}export ${makeBoth}` };
    const script = `import { deployment, serve } from "heliostat"; import { both } from "./models.ts";${ask}`;
    expect(await printed(script, modules)).toEqual(["a b"]);
  });

  it("are told apart by their texts in threads", async () => {
    const text = otherText.replace("maxConstructorRetryCount: 1", `maxConstructorRetryCount: 1, isolation: "thread"`);
    expect(await printed(text + makeBoth + ask)).toEqual(["a b"]);
  });

  it("are refused if they cannot be told apart, in a script", async () => {
    expect(await printed(sameText + makeBoth + ask)).toEqual([expect.stringMatching(refusal)]);
  });

  it("are refused if they cannot be told apart, in a module of their own", async () => {
    const modules = { "models.ts": `${sameText}export ${makeBoth}` };
    const script = `import { deployment, serve } from "heliostat"; import { both } from "./models.ts";${ask}`;
    expect(await printed(script, modules)).toEqual([expect.stringMatching(refusal)]);
  });

  it("never run as one another if each has an application of its own", async () => {
    const lines = await printed(`${sameText}
const ran = ["a", "b"].map(async (kind, place) => {
  const handle = await serve.run((await make(kind, place)).bind(), { name: kind, routePrefix: null });
  return await handle.remote();
});
const outcomes = await Promise.allSettled(ran);
for (const { value, reason } of outcomes as any[]) console.log(value ?? reason.message.replaceAll("\\n", " "));
await serve.shutdown();
`);
    expect(lines).toEqual([
      expect.stringMatching(/^a$|cannot be told for sure/),
      expect.stringMatching(/^b$|cannot be told for sure/),
    ]);
  });
});

describe("definitions of one name whose order is that of the program", () => {
  it("are told apart, also by one factory", async () => {
    const text = `
import { deployment, serve } from "heliostat";
const make = (kind: string) => deployment(class Model { call() { return kind; } });
const both = ["a", "b"].map(make);
`;
    expect(await printed(text + ask)).toEqual(["a b"]);
    const script = `import { deployment, serve } from "heliostat"; import { both } from "./models.ts";${ask}`;
    expect(await printed(script, { "models.ts": text.replace("const both", "export const both") })).toEqual(["a b"]);
  });

  it("are told apart behind awaits of the module", async () => {
    const text = `
import { setTimeout as sleep } from "node:timers/promises";
import { deployment, serve } from "heliostat";
const both: any[] = [];
for (const kind of ["a", "b"]) {
  await sleep(1);
  both.push(deployment(class Model { call() { return kind; } }));
}
`;
    expect(await printed(text + ask)).toEqual(["a b"]);
  });

  it("are told apart in one application after another, by an async function", async () => {
    const lines = await printed(`
import { deployment, serve } from "heliostat";
async function main() {
  const handles: any[] = [];
  for (const kind of ["a", "b", "c"]) {
    class Model { call() { return kind; } }
    handles.push(await serve.run(deployment(Model).bind(), { name: kind, routePrefix: null }));
  }
  console.log((await Promise.all(handles.map((handle) => handle.remote()))).join(" "));
  await serve.shutdown();
}
await main();
`);
    expect(lines).toEqual(["a b c"]);
  });

  it("are told apart when an application is updated", async () => {
    const lines = await printed(`
import { setTimeout as sleep } from "node:timers/promises";
import { deployment, serve } from "heliostat";
async function main() {
  let handle: any;
  for (const kind of ["a", "b"]) {
    await sleep(1);
    class Model { call() { return kind; } }
    handle = await serve.run(deployment(Model).bind(), { routePrefix: null });
  }
  console.log(await handle.remote());
  await serve.shutdown();
}
await main();
`);
    expect(lines).toEqual(["b"]);
  });

  it("one that two applications share is found for both, though it was made in an async function", async () => {
    const lines = await printed(`
import { deployment, serve } from "heliostat";
async function main() {
  class Model { #kind: string; constructor(kind: string) { this.#kind = kind; } call() { return this.#kind; } }
  class Other { call() { return "c"; } }
  await null;
  const model = deployment(Model);
  const other = deployment(Other);
  const a = await serve.run(model.bind("a"), { name: "a", routePrefix: null });
  const b = await serve.run(model.bind("b"), { name: "b", routePrefix: null });
  const c = await serve.run(other.bind(), { name: "c", routePrefix: null });
  console.log(await a.remote(), await b.remote(), await c.remote());
  await serve.shutdown();
}
await main();
`);
    expect(lines).toEqual(["a b c"]);
  });
});
