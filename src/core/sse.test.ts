import { expect, test } from "vitest";
import { sse } from "./sse.ts";

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
