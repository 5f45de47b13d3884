import { expect, expectTypeOf, test } from "vitest";
import {
  BackPressureError,
  ReplicaDiedError,
  RequestTimeoutError,
  SerializationError,
  StreamMismatchError,
  UnknownMethodError,
} from "../core/errors.ts";
import type { DeploymentHandle } from "../core/handle/types.ts";
import { callsOf, fakeDeployment, fakeHandle } from "./fake-deployment.ts";
import { LeftoversError } from "./leftovers-error.ts";
import { ManualClock } from "./manual-clock.ts";
import { advance, settle } from "./settle.ts";

class Downstream {
  async sayHi(message: string): Promise<string> {
    return `Hello ${message}!`;
  }
  async *count(to: number): AsyncGenerator<number> {
    for (let i = 0; i < to; i++) yield i;
  }
  work(input: { n: number }): { n: number } {
    return input;
  }
}

class Ingress {
  readonly #downstream: DeploymentHandle<Downstream>;
  constructor(downstream: DeploymentHandle<Downstream>) {
    this.#downstream = downstream;
  }
  async call(name: string): Promise<string> {
    return `> ${await this.#downstream.sayHi.remote(name)}`;
  }
}

test("a class that takes a handle works with a fake one, and the fake tells what it was asked", async () => {
  const downstream = fakeHandle<Downstream>({ sayHi: (message) => `Hi ${message}` });
  expect(await new Ingress(downstream).call("Ada")).toBe("> Hi Ada");
  expect(callsOf(downstream)).toEqual([{ replicaId: "Fake#0", method: "sayHi", args: ["Ada"] }]);
});

test("a fake has the methods that it was given, and no others", async () => {
  const downstream = fakeHandle<Downstream>({ sayHi: () => "hi" });
  await expect(downstream.work.remote({ n: 1 })).rejects.toMatchObject({ available: ["sayHi"] });
  await expect(downstream.work.remote({ n: 1 })).rejects.toBeInstanceOf(UnknownMethodError);
});

test("a fake's answers are typed by the class it stands for", () => {
  expectTypeOf(fakeHandle<Downstream>({})).toEqualTypeOf<DeploymentHandle<Downstream>>();
  // @ts-expect-error: the method gives a string
  fakeHandle<Downstream>({ sayHi: () => 1 });
  // @ts-expect-error: there is no such method
  fakeHandle<Downstream>({ sayHello: () => "hi" });
});

test("a function stands for a function deployment", async () => {
  const double = fakeHandle<(x: number) => number>((x) => x * 2);
  expect(await double.remote(21)).toBe(42);
});

test("a generator stands for a stream, and only for one", async () => {
  const downstream = fakeHandle<Downstream>({
    *count(to) {
      for (let i = 0; i < to; i++) yield i * 10;
    },
  });
  const items: number[] = [];
  for await (const item of downstream.options({ stream: true }).count.remote(3)) items.push(item);
  expect(items).toEqual([0, 10, 20]);
  await expect(downstream.count.remote(3)).rejects.toBeInstanceOf(StreamMismatchError);
});

test("values and errors are encoded as they are on the way to another process", async () => {
  const downstream = fakeHandle<Downstream>({
    work(input) {
      if (input.n === 0) throw Object.assign(new RangeError("nothing to do"), { limit: 7 });
      input.n++;
      return input;
    },
  });
  const input = { n: 1 };
  expect(await downstream.work.remote(input)).toEqual({ n: 2 });
  expect(input.n).toBe(1);
  await expect(downstream.work.remote({ n: 0 })).rejects.toMatchObject({
    name: "RangeError",
    message: "nothing to do",
    limit: 7,
  });
  const unsendable = { n: 1, fn: () => {} };
  await expect(downstream.work.remote(unsendable)).rejects.toBeInstanceOf(SerializationError);
});

test("a full line is back pressure", async () => {
  const fake = fakeDeployment<Downstream>(
    { sayHi: () => new Promise(() => {}) },
    { maxOngoingRequests: 1, maxQueuedRequests: 1 },
  );
  const calls = [1, 2, 3].map((n) => fake.handle.sayHi.remote(`${n}`));
  await settle();
  await expect(calls[2]).rejects.toBeInstanceOf(BackPressureError);
  expect(fake.leftovers()).toContain("fake/Fake: 1 queued, 1 ongoing");
  await expect(fake.close()).rejects.toBeInstanceOf(LeftoversError);
});

test("a deadline passes on virtual time", async () => {
  const clock = new ManualClock();
  const fake = fakeDeployment<Downstream>({ sayHi: () => new Promise(() => {}) }, { clock });
  const call = fake.handle.options({ timeoutMs: 60_000 }).sayHi.remote("late");
  await advance(clock, 59_000);
  // The caller keeps one, and the replica its own.
  expect(fake.leftovers()).toContain("2 deadlines");
  await advance(clock, 1_010);
  await expect(call).rejects.toBeInstanceOf(RequestTimeoutError);
  // What was stopped keeps its place until it really ends, which this never does.
  expect(fake.leftovers()).toEqual(["fake/Fake: 0 queued, 1 ongoing", "replica Fake#0: 1 ongoing"]);
  await fake.close({ abandon: true });
  expect(clock.pendingTimers).toBe(0);
});

test("a killed replica fails its calls; later ones go to the others", async () => {
  const fake = fakeDeployment<Downstream>(
    { sayHi: (message) => (message === "stay" ? new Promise<string>(() => {}) : message) },
    { numReplicas: 2 },
  );
  const call = fake.handle.sayHi.remote("stay");
  await settle();
  const { replicaId } = fake.calls[0]!;
  fake.kill(replicaId);
  await expect(call).rejects.toBeInstanceOf(ReplicaDiedError);
  for (let i = 0; i < 10; i++) await fake.handle.sayHi.remote("go");
  expect(new Set(fake.calls.slice(1).map((later) => later.replicaId))).toEqual(new Set(fake.replicaIds));
  await fake.close();
});

test("spreads calls over 100 replicas, none of them over its limit, while virtual time does the work", async () => {
  const clock = new ManualClock();
  const ongoing = new Map<string, number>();
  let most = 0;
  const fake = fakeDeployment<(replica: number) => Promise<void>>(
    async () => {
      const { replicaId } = fake.calls.at(-1)!;
      const now = (ongoing.get(replicaId) ?? 0) + 1;
      ongoing.set(replicaId, now);
      most = Math.max(most, now);
      await new Promise<void>((resolve) => void clock.setTimer(1_000, resolve));
      ongoing.set(replicaId, ongoing.get(replicaId)! - 1);
    },
    { clock, numReplicas: 100, maxOngoingRequests: 2 },
  );
  const all = Promise.all(Array.from({ length: 1_000 }, (_, i) => fake.handle.remote(i)));
  await advance(clock, 1);
  expect(fake.calls.length).toBe(200);
  expect(new Set(fake.calls.map((call) => call.replicaId)).size).toBe(100);
  // 1,000 seconds of work on 200 places: five rounds.
  await advance(clock, 5_100);
  await all;
  expect(most).toBe(2);
  await fake.close();
  expect(clock.pendingTimers).toBe(0);
});
