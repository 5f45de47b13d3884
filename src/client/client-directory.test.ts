import { expect, test } from "vitest";
import type { ReplicaMessage } from "../core/contracts/control-messages.ts";
import type { DeploymentSnapshot } from "../core/router/snapshot.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { ClientDirectory, type ClientLinkListener } from "./client-directory.ts";
import type { FoundInstance } from "./find-instance.ts";

const instance = (name: string): FoundInstance => ({ runtimeDirectory: `/run/${name}`, token: new Uint8Array(32) });

/** A machine on which instances come and go: which is found, which are there, and the connections to them. */
class FakeMachine {
  readonly clock = new ManualClock();
  /** What is found, or why it cannot be. */
  found: FoundInstance | Error | undefined = instance("one");
  readonly there = new Set(["/run/one", "/run/two"]);
  readonly links: FakeLink[] = [];
  readonly directory = new ClientDirectory({
    clock: this.clock,
    find: () => (this.found instanceof Error ? Promise.reject(this.found) : Promise.resolve(this.found)),
    isThere: ({ runtimeDirectory }) => this.there.has(runtimeDirectory),
    connect: ({ runtimeDirectory }, listener) => {
      const link = new FakeLink(runtimeDirectory, listener);
      this.links.push(link);
      return link;
    },
  });
  /** What one who follows shop/Shop was told. */
  readonly told: string[] = [];
  #versions: number[] = [];

  get link(): FakeLink {
    return this.links.at(-1)!;
  }

  follow(deployment = "Shop"): () => void {
    return this.directory.subscribe("shop", deployment, ({ state, message, replicas, version }) => {
      this.told.push(`${state} ${replicas.map(({ replicaId }) => replicaId).join()}${message}`);
      expect(version).toBeGreaterThan(this.#versions.at(-1) ?? 0);
      this.#versions.push(version);
    });
  }

  /** Lets time pass, and what it sets off. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await settled();
  }

  /** The controller ends: nobody is found, and nobody answers. */
  async crash(): Promise<void> {
    this.found = undefined;
    this.link.break();
    await settled();
  }
}

class FakeLink {
  readonly sent: ReplicaMessage[] = [];
  isClosed = false;
  readonly runtimeDirectory: string;
  readonly #listener: ClientLinkListener;

  constructor(runtimeDirectory: string, listener: ClientLinkListener) {
    this.runtimeDirectory = runtimeDirectory;
    this.#listener = listener;
  }

  get asked(): string[] {
    return this.sent.map((message) => `${message.type}${"deployment" in message ? ` ${message.deployment}` : ""}`);
  }

  send(message: ReplicaMessage): void {
    this.sent.push(message);
  }

  close(): void {
    this.isClosed = true;
  }

  /** The controller tells of replicas, each time as its first snapshot. */
  tell(replicas: readonly string[], more: Partial<DeploymentSnapshot> = {}): void {
    this.#listener.onMessage({
      type: "snapshot",
      snapshot: {
        app: "shop",
        deployment: "Shop",
        version: 1,
        state: "available",
        message: "",
        maxOngoingRequests: 1,
        maxQueuedRequests: -1,
        policy: "power-of-two-choices",
        replicas: replicas.map((replicaId) => ({ replicaId, nodeId: "n", address: {}, modelIds: [], stats: {} })),
        ...more,
      },
    });
  }

  answer(id: number, value: unknown): void {
    this.#listener.onMessage({ type: "called", id, value });
  }

  break(): void {
    this.#listener.onClosed(new Error("connect ECONNREFUSED"));
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

async function connected(): Promise<FakeMachine> {
  const machine = new FakeMachine();
  machine.follow();
  await settled();
  machine.link.tell(["a", "b"]);
  return machine;
}

test("a controller that is gone changes nothing for those who know replicas; the next one is asked again", async () => {
  const machine = await connected();
  await machine.crash();
  for (const pauseMs of [100, 200, 400, 800, 1_000, 1_000]) {
    const attempts = machine.links.length;
    await machine.pass(pauseMs - 1);
    expect(machine.links).toHaveLength(attempts);
    await machine.pass(1);
    expect(machine.links).toHaveLength(attempts + 1);
    machine.link.break();
  }
  expect(machine.told).toEqual(["available a,b"]);
  expect(machine.link.runtimeDirectory).toBe("/run/one");
  machine.found = instance("one");
  await machine.pass(1_000);
  expect(machine.link.asked).toEqual(["subscribe Shop"]);
  machine.link.tell(["b", "c"]);
  expect(machine.told).toEqual(["available a,b", "available b,c"]);
  // The next time it begins in a hurry again.
  await machine.crash();
  await machine.pass(100);
  expect(machine.links).toHaveLength(9);
});

test("one who begins to follow while the controller is gone hears from the next one", async () => {
  const machine = await connected();
  await machine.crash();
  const stop = machine.follow("Other");
  await settled();
  expect(machine.links).toHaveLength(1);
  await machine.pass(100);
  expect(machine.link.asked).toEqual(["subscribe Shop", "subscribe Other"]);
  stop();
  expect(machine.link.asked.at(-1)).toBe("unsubscribe Other");
});

test("an instance that has ended is gone, and another look is taken every second", async () => {
  const machine = await connected();
  await machine.crash();
  machine.there.clear();
  await machine.pass(100);
  expect(machine.told).toEqual([
    "available a,b",
    "pending ",
    expect.stringMatching(/^gone nothing runs .* no instance/),
  ]);
  machine.found = instance("two");
  await machine.pass(1_000);
  machine.link.tell(["z"]);
  expect(machine.told.at(-1)).toBe("available z");
  expect(machine.link.runtimeDirectory).toBe("/run/two");
});

test("somebody who wants to call an instance that has just ended need not wait for the next try", async () => {
  const machine = await connected();
  await machine.crash();
  machine.directory.wake();
  await settled();
  expect(machine.told).toHaveLength(1);
  machine.there.clear();
  machine.directory.wake();
  await settled();
  expect(machine.told.at(-1)).toMatch(/^gone nothing runs/);
});

test("another instance in its place is connected with, though the one before has left its sockets", async () => {
  const machine = await connected();
  await machine.crash();
  machine.found = instance("two");
  await machine.pass(100);
  expect(machine.told.at(-1)).toBe("pending ");
  expect([machine.link.runtimeDirectory, machine.link.asked]).toEqual(["/run/two", ["subscribe Shop"]]);
});

test("an instance whose address does not answer any more is waited for while its sockets are there", async () => {
  const machine = await connected();
  machine.found = new Error("the instance at HELIOSTAT_ADDRESS cannot be asked");
  machine.link.break();
  await machine.pass(100);
  expect(machine.links).toHaveLength(2);
  machine.link.break();
  machine.there.clear();
  await machine.pass(200);
  expect(machine.told).toEqual(["available a,b", expect.stringMatching(/^gone the instance at HELIOSTAT_ADDRESS/)]);
});

test("one that never answered is a failure at once", async () => {
  const machine = new FakeMachine();
  machine.follow();
  await settled();
  machine.link.break();
  expect(machine.told).toEqual([expect.stringMatching(/^gone the instance in \/run\/one cannot be reached/)]);
});

test("a question ends with the controller that was asked, and the next one is asked another", async () => {
  const machine = await connected();
  const lost = machine.directory.status();
  await settled();
  const failure = lost.catch((error: Error) => error.message);
  await machine.crash();
  expect(await failure).toMatch(/^The status is not known: the instance in \/run\/one is gone/);
  expect(machine.directory.isBusy).toBe(false);
  // Tried at once, and nobody is there.
  const refused = machine.directory.status().catch((error: Error) => error.message);
  await settled();
  machine.link.break();
  expect(await refused).toMatch(/^The status is not known/);
  const asked = machine.directory.status();
  await settled();
  machine.link.answer((machine.link.sent.at(-1) as { id: number }).id, "fine");
  expect(await asked).toBe("fine");
});

test("tells when a controller has told of what is followed, and not when there is none", async () => {
  const machine = new FakeMachine();
  machine.follow();
  let isHeard = false;
  const heard = machine.directory.heard("shop", "Shop").then(() => (isHeard = true));
  await settled();
  machine.link.break();
  await machine.pass(1_000);
  expect(isHeard).toBe(false);
  machine.link.tell(["a"]);
  await heard;
  await machine.directory.heard("shop", "Shop");
});

test("closed, it tries no more", async () => {
  const machine = await connected();
  await machine.crash();
  machine.directory.close();
  expect(machine.clock.pendingTimers).toBe(0);
  expect(machine.told).toEqual(["available a,b"]);
});
