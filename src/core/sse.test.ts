import { expect, test } from "vitest";
import { ManualClock } from "../testing/manual-clock.ts";
import { makeSse } from "./sse.ts";

const clock = new ManualClock();
const sse = makeSse(clock);

test("sends strings as data, described events as such, anything else as JSON", async () => {
  const response = sse([
    "hello",
    { event: "token", id: "7", retry: 100, data: "x" },
    { data: 5 },
    [1],
    3,
    null,
    "two\nlines\r\nor\rfour",
  ]);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  expect(response.headers.get("cache-control")).toBe("no-cache");
  expect(response.headers.get("x-accel-buffering")).toBe("no");
  expect(await response.text()).toBe(
    [
      "data: hello\n\n",
      "event: token\nid: 7\nretry: 100\ndata: x\n\n",
      'data: {"data":5}\n\n',
      "data: [1]\n\n",
      "data: 3\n\n",
      "data: null\n\n",
      "data: two\ndata: lines\ndata: or\ndata: four\n\n",
    ].join(""),
  );
});

test("keeps what it is given", () => {
  const response = sse([], {
    status: 201,
    headers: { "Content-Type": "text/event-stream; charset=utf-8", "x-a": "b" },
  });
  expect(response.status).toBe(201);
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(response.headers.get("x-a")).toBe("b");
});

/** Counts for ever; notes how far it has come and whether it was left. */
function counter() {
  const seen = { steps: 0, left: false };
  async function* count() {
    try {
      for (;;) yield seen.steps++;
    } finally {
      seen.left = true;
    }
  }
  return { seen, items: count() };
}

test("asks for an item when it is read, and each is a chunk of its own", async () => {
  const { seen, items } = counter();
  const reader = sse(items).body!.getReader();
  expect(seen.steps).toBe(0);
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("data: 0\n\n");
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("data: 1\n\n");
  expect(seen.steps).toBe(2);
  expect(seen.left).toBe(false);
});

test("leaving it ends the items", async () => {
  const { seen, items } = counter();
  const reader = sse(items).body!.getReader();
  await reader.read();
  await reader.cancel();
  expect(seen.left).toBe(true);
});

test("an error of the items breaks the body, never ends it", async () => {
  async function* items() {
    yield "one";
    throw new RangeError("lost");
  }
  const reader = sse(items()).body!.getReader();
  await reader.read();
  await expect(reader.read()).rejects.toThrow(new RangeError("lost"));
});

test.each([
  [{ event: "a\ndata: forged", data: "x" }],
  [{ id: "a\rb", data: "x" }],
  [{ id: {}, data: "x" }],
  [{ retry: "soon", data: "x" }],
  [undefined],
  [() => {}],
])("an item that cannot be an event breaks the body and ends the items: %j", async (item) => {
  let left = false;
  async function* items() {
    try {
      yield item;
    } finally {
      left = true;
    }
  }
  await expect(sse(items()).text()).rejects.toThrow(/item of sse/);
  expect(left).toBe(true);
});

/** Lets promises settle. */
const settle = (): Promise<void> => new Promise(setImmediate);

test("heartbeatMs: a comment whenever no item has come for so long, and no item is lost by it", async () => {
  const work = Array.from({ length: 2 }, () => Promise.withResolvers<string>());
  const left: boolean[] = [];
  async function* items() {
    try {
      for (const { promise } of work) yield await promise;
    } finally {
      left.push(true);
    }
  }
  const reader = sse(items(), { heartbeatMs: 1_000 }).body!.getReader();
  const read = async (): Promise<string> => {
    const { value, done } = await reader.read();
    return done ? "end" : Buffer.from(value).toString();
  };
  const first = read();
  await settle();
  clock.advance(999);
  work[0]!.resolve("one");
  expect(await first).toBe("data: one\n\n");
  expect(clock.pendingTimers).toBe(0);
  for (let i = 0; i < 2; i++) {
    const comment = read();
    await settle();
    clock.advance(1_000);
    expect(await comment).toBe(": heartbeat\n\n");
  }
  const second = read();
  work[1]!.resolve("two");
  expect([await second, await read()]).toEqual(["data: two\n\n", "end"]);
  expect([clock.pendingTimers, left]).toEqual([0, [true]]);
});

test("heartbeatMs: leaving ends the timer and the items", async () => {
  const seen = { left: false };
  const items: AsyncIterable<unknown> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: () => {
        seen.left = true;
        return Promise.resolve({ value: undefined, done: true });
      },
    }),
  };
  const reader = sse(items, { heartbeatMs: 50 }).body!.getReader();
  void reader.read();
  await settle();
  await reader.cancel();
  expect([clock.pendingTimers, seen.left]).toEqual([0, true]);
  for (const heartbeatMs of [0, -1, NaN, Infinity])
    expect(() => sse([], { heartbeatMs })).toThrow(expect.objectContaining({ code: "CONFIG", path: "heartbeatMs" }));
});
