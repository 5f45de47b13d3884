import { expect, test } from "vitest";
import type { Call } from "../core/handle/call.ts";
import { CallTable } from "./call-table.ts";
import { CALL_INDEX_BITS, CALL_INDEX_MASK } from "./frames.ts";

const newCall = (): Call => ({ wireId: -1 }) as Call;

function add(table: CallTable, position = 0, bulk = false): Call {
  const call = newCall();
  const id = table.nextId();
  table.add(call, position, bulk);
  expect(call.wireId).toBe(id);
  return call;
}

test("calls are found by their ids, which are dense", () => {
  const table = new CallTable();
  const calls = Array.from({ length: 5 }, (_, i) => add(table, i, i === 3));
  expect(calls.map(({ wireId }) => wireId)).toEqual([0, 1, 2, 3, 4]);
  for (const call of calls) expect(table.get(call.wireId)).toBe(call);
  expect(calls.map(({ wireId }) => table.isBulk(wireId))).toEqual([false, false, false, true, false]);
  expect(table.size).toBe(5);
  expect(table.get(5)).toBeUndefined();
  expect(table.get(4_294_967_295)).toBeUndefined();
});

test("an index that is used again has another id; the old one finds nothing", () => {
  const table = new CallTable();
  const first = add(table);
  table.remove(first.wireId);
  expect([table.size, table.get(first.wireId)]).toEqual([0, undefined]);
  const second = add(table);
  expect(second.wireId).toBe(1 << CALL_INDEX_BITS);
  expect(table.get(first.wireId)).toBeUndefined();
  expect(table.get(second.wireId)).toBe(second);
});

test("generations go round, as unsigned numbers", () => {
  const table = new CallTable();
  const ids = new Set<number>();
  const generations = 2 ** (32 - CALL_INDEX_BITS);
  for (let i = 0; i < generations; i++) {
    const { wireId } = add(table);
    expect(wireId & CALL_INDEX_MASK).toBe(0);
    expect(wireId).toBeGreaterThanOrEqual(0);
    ids.add(wireId);
    table.remove(wireId);
  }
  expect(ids.size).toBe(generations);
  expect(add(table).wireId).toBe(0);
});

test("drain gives what is open, with where it stands, and leaves nothing", () => {
  const table = new CallTable();
  const calls = [add(table, 10), add(table, 20, true), add(table, 30)];
  table.remove(calls[1]!.wireId);
  expect(table.drain()).toEqual([
    { call: calls[0], position: 10, bulk: false },
    { call: calls[2], position: 30, bulk: false },
  ]);
  expect([table.size, table.get(calls[0]!.wireId), table.drain()]).toEqual([0, undefined, []]);
});

test("as a map, whatever the order", () => {
  const table = new CallTable();
  const model = new Map<number, Call>();
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    return seed % below;
  };
  for (let step = 0; step < 20_000; step++) {
    if (random(2) === 0 || model.size === 0) {
      const call = newCall();
      table.add(call, 0, false);
      if (model.has(call.wireId)) throw new Error(`The id ${call.wireId} is in use.`);
      model.set(call.wireId, call);
    } else {
      const id = [...model.keys()][random(model.size)]!;
      if (table.get(id) !== model.get(id)) throw new Error(`Another call is found under ${id}.`);
      model.delete(id);
      table.remove(id);
      if (table.get(id) !== undefined) throw new Error(`Something is still found under ${id}.`);
    }
    if (table.size !== model.size) throw new Error(`${table.size} calls instead of ${model.size}.`);
  }
  expect(new Set(table.drain().map(({ call }) => call))).toEqual(new Set(model.values()));
});
