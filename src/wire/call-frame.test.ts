import { describe, expect, test } from "vitest";
import { ProtocolError } from "../core/errors.ts";
import type { Call } from "../core/handle/call.ts";
import { metaMask, noMeta, readMeta, writeMeta } from "./call-frame.ts";
import { ByteReader } from "./codec/reader.ts";
import { ByteWriter } from "./codec/writer.ts";
import { MetaField } from "./frames.ts";

interface Fields {
  readonly requestId?: string;
  readonly route?: string;
  traceparent?: string;
  readonly modelId?: string;
  readonly deadlineMs?: number;
  readonly timeoutMs?: number;
  readonly priority?: number;
}

function callOf(fields: Fields): Call {
  return {
    template: { multiplexedModelId: fields.modelId ?? "" },
    terms: {
      parent:
        fields.requestId === undefined
          ? undefined
          : { requestId: fields.requestId, route: fields.route ?? "", traceparent: fields.traceparent ?? "" },
      deadlineMs: fields.deadlineMs ?? Infinity,
      timeoutMs: fields.timeoutMs ?? 0,
      priority: fields.priority ?? 0,
    },
  } as Call;
}

/** Written with `before` bytes in front, in a writer that has room for no more. */
function written(call: Call, nowMs = 0, before = 0, sharesClock = false): Uint8Array {
  const out = new ByteWriter(new Uint8Array(before));
  out.at = before;
  writeMeta(out, metaMask(call, sharesClock), call, nowMs);
  return out.copy(before);
}

const everything: Fields = {
  requestId: "r-1",
  route: "/ä",
  modelId: "m",
  deadlineMs: 5_000,
  timeoutMs: 4_000,
  priority: -0.5,
};

test("a call that says nothing has no fields", () => {
  expect(metaMask(callOf({}), true)).toBe(0);
});

test.each<[string, Fields, Partial<typeof noMeta>]>([
  ["the id of the request", { requestId: "r" }, { requestId: "r" }],
  ["its route", { requestId: "r", route: "/x" }, { requestId: "r", route: "/x" }],
  ["its trace", { requestId: "r", traceparent: "00-a-b-01" }, { requestId: "r", traceparent: "00-a-b-01" }],
  ["a model", { modelId: "m" }, { multiplexedModelId: "m" }],
  ["a deadline, as the time left", { deadlineMs: 1_250, timeoutMs: 500 }, { remainingMs: 250, timeoutMs: 500 }],
  ["a deadline that is over", { deadlineMs: 10, timeoutMs: 500 }, { remainingMs: 0, timeoutMs: 500 }],
  ["a priority", { priority: 3 }, { priority: 3 }],
  [
    "everything",
    everything,
    { requestId: "r-1", route: "/ä", multiplexedModelId: "m", remainingMs: 4_000, timeoutMs: 4_000, priority: -0.5 },
  ],
])("%s arrives, and the arguments behind are aligned", (_, fields, expected) => {
  for (const before of [0, 8, 64]) {
    const bytes = written(callOf(fields), 1_000, before);
    expect(bytes.byteLength % 8).toBe(0);
    const reader = new ByteReader(bytes);
    expect(readMeta(reader)).toEqual({ ...noMeta, ...expected });
    expect(reader.at).toBe(bytes.byteLength);
  }
});

test("with a deadline, the time of sending goes along where both sides read one clock", () => {
  const call = callOf({ deadlineMs: 1_250, timeoutMs: 500, priority: 2 });
  expect(readMeta(new ByteReader(written(call, 1_000, 0, true)))).toEqual({
    ...noMeta,
    remainingMs: 250,
    timeoutMs: 500,
    priority: 2,
    sentMs: 1_000,
  });
});

test("a model id that does not fit is an error, not another id", () => {
  expect(() => written(callOf({ modelId: "x".repeat(65_536) }))).toThrow("65,535");
});

test("texts of every length keep the block whole", () => {
  for (let length = 0; length <= 40; length++) {
    const bytes = written(callOf({ requestId: "x".repeat(length), priority: 1 }));
    expect(bytes.byteLength % 8).toBe(0);
    expect(readMeta(new ByteReader(bytes))).toMatchObject({ requestId: "x".repeat(length), priority: 1 });
  }
});

test("fields of a newer peer are passed over", () => {
  const bytes = Uint8Array.from([...written(callOf({ priority: 2 })), 1, 2, 3, 4, 5, 6, 7, 8]);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, bytes.byteLength, true);
  view.setUint16(2, MetaField.PRIORITY | 0x8000, true);
  const reader = new ByteReader(bytes);
  expect(readMeta(reader)).toEqual({ ...noMeta, priority: 2 });
  expect(reader.at).toBe(bytes.byteLength);
});

describe("what is not well-formed is a ProtocolError", () => {
  test("every way of cutting it", () => {
    const whole = written(callOf(everything), 1_000);
    for (let end = 0; end < whole.byteLength; end++)
      expect(() => readMeta(new ByteReader(whole, 0, end)), `${end} bytes`).toThrow(ProtocolError);
  });

  test.each([0, 1, 3, 4, 8])("a length of %i that the fields do not fit in", (length) => {
    const bytes = written(callOf(everything), 1_000);
    new DataView(bytes.buffer).setUint16(0, length, true);
    expect(() => readMeta(new ByteReader(bytes))).toThrow(ProtocolError);
  });

  test.each([NaN, -1, -Infinity])("a time of %d", (time) => {
    for (const at of [4, 12]) {
      const bytes = written(callOf({ deadlineMs: 10, timeoutMs: 10 }));
      new DataView(bytes.buffer).setFloat64(at, time, true);
      expect(() => readMeta(new ByteReader(bytes))).toThrow(ProtocolError);
    }
  });

  test.each([NaN, Infinity])("a priority of %d", (priority) => {
    expect(() => readMeta(new ByteReader(written(callOf({ priority }))))).toThrow(ProtocolError);
  });
});
