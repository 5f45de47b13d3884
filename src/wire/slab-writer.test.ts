import { expect, test } from "vitest";
import { FLUSH_BYTES, HEADER_BYTES } from "./frames.ts";
import { SlabWriter } from "./slab-writer.ts";
import type { Transport } from "./transport.ts";

class FakeTransport implements Transport {
  connected = true;
  keeps = false;
  closed = 0;
  /** The memory itself, not copies. */
  readonly kept: Uint8Array[] = [];
  readonly copies: Uint8Array[] = [];
  #deferred: (() => void)[] = [];

  get deferrals(): number {
    return this.#deferred.length;
  }

  write(bytes: Uint8Array): boolean {
    this.copies.push(bytes.slice());
    if (this.keeps) this.kept.push(bytes);
    return !this.keeps;
  }

  defer(fn: () => void): void {
    this.#deferred.push(fn);
  }

  turn(): void {
    for (const fn of this.#deferred.splice(0)) fn();
  }

  start(): void {}

  close(): void {
    this.closed++;
  }

  destroy(): void {}
}

function open(): { transport: FakeTransport; writer: SlabWriter; frame(id: number, length?: number): void } {
  const transport = new FakeTransport();
  const writer = new SlabWriter(transport);
  return {
    transport,
    writer,
    frame(id, length = 0) {
      const start = writer.begin(3, 1, 2, id);
      writer.out.append(new Uint8Array(length).fill(id));
      writer.end(start);
    },
  };
}

test("a frame is its header and its body", () => {
  const { transport, writer } = open();
  const start = writer.begin(7, 0x21, 0xfffe, 0xf0000001);
  writer.out.append(Uint8Array.of(1, 2, 3));
  writer.end(start);
  transport.turn();
  expect([...transport.copies[0]!]).toEqual([3, 0, 0, 0, 7, 0x21, 0xfe, 0xff, 1, 0, 0, 0xf0, 1, 2, 3]);
});

test("the frames of a turn are handed over in one piece, at its end", () => {
  const { transport, frame } = open();
  frame(1);
  frame(2);
  frame(3);
  expect(transport.copies).toEqual([]);
  expect(transport.deferrals).toBe(1);
  transport.turn();
  expect(transport.copies.map((bytes) => bytes.byteLength)).toEqual([3 * HEADER_BYTES]);
  transport.turn();
  expect(transport.copies).toHaveLength(1);
  frame(4);
  transport.turn();
  expect(transport.copies).toHaveLength(2);
});

test("enough of them are handed over at once, and nothing twice", () => {
  const { transport, writer, frame } = open();
  frame(1, FLUSH_BYTES - 2 * HEADER_BYTES);
  expect(transport.copies).toHaveLength(0);
  frame(2);
  expect(transport.copies.map((bytes) => bytes.byteLength)).toEqual([FLUSH_BYTES]);
  transport.turn();
  expect(transport.copies).toHaveLength(1);
  expect([writer.handedBytes, writer.position]).toEqual([FLUSH_BYTES, FLUSH_BYTES]);
});

test("while the transport is busy frames gather, and what it keeps is not written to", () => {
  const { transport, writer, frame } = open();
  transport.keeps = true;
  frame(1, 100);
  transport.turn();
  for (let id = 2; id < 100; id++) frame(id, 1_000);
  transport.turn();
  expect(transport.copies).toHaveLength(1);
  expect(transport.kept[0]).toEqual(transport.copies[0]);
  transport.keeps = false;
  writer.resume();
  expect(transport.copies).toHaveLength(2);
  expect(transport.copies[1]!.byteLength).toBe(98 * (HEADER_BYTES + 1_000));
  expect(transport.kept[0]).toEqual(transport.copies[0]);
});

test("before the connection stands, frames gather and count as not handed over", () => {
  const { transport, writer, frame } = open();
  transport.connected = false;
  frame(1, 10_000);
  transport.turn();
  expect([transport.copies.length, writer.handedBytes, writer.position]).toEqual([0, 0, HEADER_BYTES + 10_000]);
  transport.connected = true;
  writer.resume();
  expect([transport.copies.length, writer.handedBytes]).toEqual([1, HEADER_BYTES + 10_000]);
});

test("memory that grew for a large frame serves the next, and is given back when only small ones come", () => {
  const { transport, writer, frame } = open();
  const small = writer.out.bytes.byteLength;
  frame(1, 1_000_000);
  expect(transport.copies[0]!.byteLength).toBe(HEADER_BYTES + 1_000_000);
  const grown = writer.out.bytes;
  expect(grown.byteLength).toBeGreaterThan(1_000_000);
  frame(2, 1_000_000);
  expect(writer.out.bytes === grown).toBe(true);
  for (let i = 0; i < 64; i++) {
    frame(3);
    transport.turn();
  }
  expect(writer.out.bytes.byteLength).toBe(small);
});

test("what the transport has kept serves again when it is done with it", () => {
  const { transport, writer, frame } = open();
  transport.keeps = true;
  frame(1, 1_000_000);
  const first = transport.kept[0]!.buffer;
  frame(2, 1_000_000);
  expect(writer.out.bytes.buffer === first).toBe(false);
  writer.resume();
  frame(3, 1_000_000);
  writer.resume();
  expect(transport.kept.map(({ buffer }) => buffer === first)).toEqual([true, false, true]);
});

test("memory for a very large frame is not kept", () => {
  const { writer, frame } = open();
  const small = writer.out.bytes.byteLength;
  frame(1, 9_000_000);
  expect(writer.out.bytes.byteLength).toBe(small);
});

test("a frame that is given up leaves no trace", () => {
  const { transport, writer, frame } = open();
  frame(1);
  const start = writer.begin(3, 0, 0, 9);
  writer.out.append(new Uint8Array(100_000));
  writer.out.at = start;
  frame(2);
  transport.turn();
  expect(transport.copies[0]!.byteLength).toBe(2 * HEADER_BYTES);
  expect(transport.copies[0]![HEADER_BYTES + 8]).toBe(2);
});

test("it ends the connection when everything is handed over", () => {
  const { transport, writer, frame } = open();
  frame(1);
  writer.finish();
  expect([transport.copies.length, transport.closed]).toEqual([1, 1]);
  const second = open();
  second.transport.keeps = true;
  second.frame(1);
  second.transport.turn();
  second.frame(2);
  second.writer.finish();
  expect([second.transport.copies.length, second.transport.closed]).toEqual([1, 0]);
  second.writer.resume();
  expect([second.transport.copies.length, second.transport.closed]).toEqual([2, 1]);
  const third = open();
  third.transport.connected = false;
  third.frame(1);
  third.writer.finish();
  expect([third.transport.copies.length, third.transport.closed]).toEqual([0, 1]);
});

test("once stopped, it hands nothing over", () => {
  const { transport, writer, frame } = open();
  frame(1);
  writer.stop();
  transport.turn();
  frame(2, 10_000);
  transport.turn();
  writer.resume();
  expect(transport.copies).toEqual([]);
});
