import { expect, test } from "vitest";
import { type Call, CallState } from "../core/handle/call.ts";
import { StreamOrder } from "./stream-order.ts";

function stream(): Call & { readonly got: unknown[]; readonly ended: number[] } {
  const got: unknown[] = [];
  return {
    items: 0,
    state: CallState.SENT,
    got,
    ended: [],
    item: (value: unknown, bytes: number) => got.push([value, bytes]),
  } as never;
}

const end = (order: StreamOrder, call: ReturnType<typeof stream>, items: number): void =>
  order.end(call, items, () => call.ended.push(call.got.length));

test("items in order pass, and the end behind them", () => {
  const order = new StreamOrder();
  const call = stream();
  order.item(call, 0, "a", 1);
  order.item(call, 1, "b", 2);
  end(order, call, 2);
  expect(call.got).toEqual([
    ["a", 1],
    ["b", 2],
  ]);
  expect(call.ended).toEqual([2]);
});

test("whatever the order of arrival, the order of the stream comes out and the end comes last", () => {
  const arrivals = ["0", "1", "2", "3", "end"];
  const permute = (rest: string[]): string[][] =>
    rest.length === 0
      ? [[]]
      : rest.flatMap((one, i) => permute(rest.toSpliced(i, 1)).map((others) => [one, ...others]));
  for (const arrival of permute(arrivals)) {
    const order = new StreamOrder();
    const call = stream();
    const other = stream();
    order.item(other, 1, "parked", 0);
    for (const what of arrival) {
      if (what === "end") end(order, call, 4);
      else order.item(call, Number(what), what, 0);
    }
    expect(
      call.got.map((item) => (item as unknown[])[0]),
      arrival.join(),
    ).toEqual(["0", "1", "2", "3"]);
    expect(call.ended).toEqual([4]);
    expect(other.got).toEqual([]);
  }
});

test("numbers go round at 65,536", () => {
  const order = new StreamOrder();
  const call = stream();
  call.items = 65_534;
  for (const number of [0, 65_535, 1, 65_534]) order.item(call, number, number, 0);
  end(order, call, 65_538);
  expect(call.got.map((item) => (item as unknown[])[0])).toEqual([65_534, 65_535, 0, 1]);
  expect(call.ended).toHaveLength(1);
});

test("a cancelled stream ends with its end, or with the item that its end waits for", () => {
  const order = new StreamOrder();
  const first = stream();
  first.state = CallState.SETTLED;
  end(order, first, 5);
  expect(first.ended).toHaveLength(1);

  const second = stream();
  end(order, second, 1);
  second.state = CallState.SETTLED;
  expect(second.ended).toEqual([]);
  order.drop(second);
  order.drop(second);
  expect(second.ended).toHaveLength(1);
  expect(second.got).toEqual([]);
});
