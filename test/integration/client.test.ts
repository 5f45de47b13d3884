import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { childPids, isRunning, socketDirectories, until } from "./harness.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url));

/** A program of the tests, with a state directory, and nothing else that could lead it to an instance. */
class Program {
  readonly child: ChildProcess;
  readonly exit: Promise<unknown[]>;
  readonly #lines: AsyncIterator<string>;

  constructor(name: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.child = spawn(process.execPath, ["--conditions=heliostat-source", fixture(name), ...args], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, HELIOSTAT_ADDRESS: "", ...env },
    });
    this.exit = once(this.child, "exit");
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  /** The next line that it writes. */
  async said(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`The program has ended with ${(await this.exit).join()} and said nothing.`);
    return JSON.parse(value) as unknown;
  }
}

/** Runs an owner, who writes into the state directory. */
async function own(state: string): Promise<Program & { readonly runtimeDirectory: string }> {
  const owner = new Program("instance-owner", [], { HELIOSTAT_STATE_DIR: state });
  const { runtimeDirectory } = (await owner.said()) as { runtimeDirectory: string };
  return Object.assign(owner, { runtimeDirectory });
}

async function expectEnded(owner: Program): Promise<void> {
  const children = childPids(owner.child.pid!);
  owner.child.stdin!.end();
  expect(await owner.exit).toEqual([0, null]);
  await until(() => !children.some(isRunning), "processes are left");
  expect(socketDirectories(owner.child.pid!)).toEqual([]);
}

describe("a process that only calls an instance", () => {
  let state: string;
  let owner: Awaited<ReturnType<typeof own>>;

  beforeAll(async () => {
    state = mkdtempSync(join(tmpdir(), "heliostat-client-"));
    owner = await own(state);
  });

  afterAll(async () => {
    await expectEnded(owner);
    rmSync(state, { recursive: true });
  });

  async function visit(what: string, env: NodeJS.ProcessEnv = { HELIOSTAT_STATE_DIR: state }): Promise<unknown> {
    const visitor = new Program("visitor", [what], env);
    const said = await visitor.said();
    expect(await visitor.exit).toEqual([0, null]);
    return said;
  }

  it("finds it by the state directory, calls its replicas, and ends by itself", async () => {
    expect(await visit("calls")).toEqual({
      doubled: 42,
      slow: 7,
      named: 8,
      large: 3 << 20,
      thread: 16,
      counted: 50,
      elsewhere: true,
      status: "RUNNING",
    });
  });

  it("is let in by a secret that only this user can read", () => {
    expect(statSync(join(owner.runtimeDirectory, "token")).mode & 0o777).toBe(0o600);
    expect(statSync(owner.runtimeDirectory).mode & 0o777).toBe(0o700);
  });

  it("lives as long as a call that nobody awaits, and not at all for a handle alone", async () => {
    expect(await visit("unawaited")).toBe(1);
    expect(await new Program("visitor", ["idle"], { HELIOSTAT_STATE_DIR: state }).exit).toEqual([0, null]);
  });

  it("hears of an application that is not there", async () => {
    expect(await visit("missing")).toMatch(/There is no application "other"/);
  });

  it("leaves with serve.shutdown(), and may come again; the instance goes on", async () => {
    expect(await visit("leave")).toEqual([expect.stringMatching(/has disconnected from the instance/), 4]);
    expect(isRunning(owner.child.pid!)).toBe(true);
  });

  it("finds it by HELIOSTAT_ADDRESS, and shows the token there", async () => {
    const asked: unknown[] = [];
    const server = createServer((request, response) => {
      asked.push([request.url, request.headers.authorization]);
      response.end(JSON.stringify({ runtimeDirectory: owner.runtimeDirectory }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const env = { HELIOSTAT_ADDRESS: address, HELIOSTAT_TOKEN: "secret", HELIOSTAT_STATE_DIR: "/nonexistent" };
      expect(await visit("unawaited", env)).toBe(1);
      expect(asked).toEqual([["/api/v1/instance", "Bearer secret"]]);
    } finally {
      server.close();
    }
    const { error } = (await visit("nothing-there", {
      HELIOSTAT_ADDRESS: address,
      HELIOSTAT_STATE_DIR: state,
    })) as { error: [string, string] };
    expect(error).toEqual(["DEPLOYMENT_UNAVAILABLE", expect.stringMatching(/HELIOSTAT_ADDRESS.*cannot be asked/)]);
  });
});

it("without an instance, calls say how to start one, and there is no status", async () => {
  const visitor = new Program("visitor", ["nothing"], { HELIOSTAT_STATE_DIR: "/nonexistent" });
  const { error, status } = (await visitor.said()) as { error: [string, string]; status: unknown };
  expect(error).toEqual(["DEPLOYMENT_UNAVAILABLE", expect.stringMatching(/serve\.run\(\).*heliostat start/)]);
  expect(status).toEqual({ applications: {}, proxies: [] });
  expect(await visitor.exit).toEqual([0, null]);
});

it("a call ends with the instance that is killed under it, and so does the program", async () => {
  const state = mkdtempSync(join(tmpdir(), "heliostat-client-"));
  try {
    const owner = await own(state);
    const children = childPids(owner.child.pid!);
    const visitor = new Program("visitor", ["forever"], { HELIOSTAT_STATE_DIR: state });
    expect(await visitor.said()).toBe(2);
    owner.child.kill("SIGKILL");
    expect(await visitor.said()).toMatch(/was lost|connection|gone|unavailable/i);
    expect(await visitor.exit).toEqual([0, null]);
    await until(
      () => !children.some(isRunning) && socketDirectories(owner.child.pid!).length === 0,
      "processes or sockets are left",
    );
  } finally {
    rmSync(state, { recursive: true });
  }
});

it("an instance that ends is gone for its callers, and one that takes its place is found", async () => {
  const state = mkdtempSync(join(tmpdir(), "heliostat-client-"));
  try {
    const first = await own(state);
    const visitor = new Program("visitor", ["stay"], { HELIOSTAT_STATE_DIR: state });
    expect(await visitor.said()).toBe(10);
    await expectEnded(first);
    visitor.child.stdin!.write("again\n");
    expect(await visitor.said()).toMatch(/heliostat start|cannot be reached/);
    const second = await own(state);
    visitor.child.stdin!.write("again\n");
    expect(await visitor.said()).toBe(12);
    // Nor does a caller that stays keep the instance from ending.
    await expectEnded(second);
    visitor.child.stdin!.end();
    expect(await visitor.exit).toEqual([0, null]);
  } finally {
    rmSync(state, { recursive: true });
  }
});
