import { expect, test } from "vitest";
import { SLAB_BYTES, SlabPool } from "./frame-memory.ts";
import { FLUSH_BYTES, HEADER_BYTES } from "./frames.ts";
import { SlabWriter } from "./slab-writer.ts";
import type { Transport } from "./transport.ts";

/** What is not written is not zero, and what was given back is scrambled. */
class FakeMemory extends SlabPool {
  taken = 0;

  constructor() {
    const fresh = (bytes: number): Uint8Array<ArrayBuffer> => {
      this.taken++;
      return new Uint8Array(bytes).fill(0xdb);
    };
    super({ receive: fresh, fresh });
  }

  override give(slab: Uint8Array): void {
    super.give(slab.fill(0xdb));
  }
}

class FakeTransport implements Transport {
  readonly memory = new FakeMemory();
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

  #rounds: (() => void)[] = [];
  deferToRound(fn: () => void): void {
    this.#rounds.push(fn);
  }

  round(): void {
    for (const fn of this.#rounds.splice(0)) fn();
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

function begin(writer: SlabWriter, id: number, length: number): number {
  const start = writer.begin(3, 1, 2, id, length);
  writer.out.append(new Uint8Array(length).fill(id));
  return start;
}

/** The frames of a stream: ids and how long they are. Their bodies are checked. */
function framesOf(copies: readonly Uint8Array[]): [id: number, length: number][] {
  const bytes = Buffer.concat(copies);
  const frames: [number, number][] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at);
    const id = bytes.readUInt32LE(at + 8);
    at += HEADER_BYTES;
    expect(bytes.subarray(at, at + length).every((byte) => byte === (id & 0xff))).toBe(true);
    frames.push([id, length]);
    at += length;
  }
  return frames;
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

test("frames that gather wait for those of other connections, unless one follows that does not", () => {
  const { transport, writer } = open();
  const gathering = (id: number): void => writer.end(writer.begin(1, 0, 0, id), true);
  gathering(1);
  transport.turn();
  gathering(2);
  expect([transport.copies.length, transport.deferrals]).toEqual([0, 0]);
  transport.round();
  expect(transport.copies.map((bytes) => bytes.byteLength)).toEqual([2 * HEADER_BYTES]);
  gathering(3);
  writer.end(writer.begin(1, 0, 0, 4));
  gathering(5);
  transport.turn();
  transport.round();
  expect(transport.copies.map((bytes) => bytes.byteLength)).toEqual([2 * HEADER_BYTES, 3 * HEADER_BYTES]);
});

test("where there are no rounds, they leave at the end of the turn", () => {
  const { transport, writer } = open();
  Object.defineProperty(transport, "deferToRound", { value: undefined });
  writer.end(writer.begin(1, 0, 0, 1), true);
  transport.turn();
  expect(transport.copies).toHaveLength(1);
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
  expect(framesOf(transport.copies)).toEqual([[1, 100], ...Array.from({ length: 98 }, (_, i) => [i + 2, 1_000])]);
  // In slabs that were full, not in one that grew.
  expect(transport.copies.every(({ byteLength }) => byteLength <= SLAB_BYTES)).toBe(true);
  expect(writer.position).toBe(writer.handedBytes);
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

test("a large frame is written where it is handed over from, without growing", () => {
  const { transport, writer, frame } = open();
  frame(1);
  const start = begin(writer, 2, 1_000_000);
  const { bytes } = writer.out;
  // The body is aligned in its memory.
  expect((start + HEADER_BYTES) % 8).toBe(0);
  writer.end(start);
  expect(framesOf(transport.copies)).toEqual([
    [1, 0],
    [2, 1_000_000],
  ]);
  expect(transport.memory.taken).toBe(3);
  const again = begin(writer, 3, 999_000);
  expect(writer.out.bytes === bytes).toBe(true);
  writer.end(again);
  frame(4);
  transport.turn();
  expect(framesOf(transport.copies).map(([id]) => id)).toEqual([1, 2, 3, 4]);
  expect(writer.out.bytes.byteLength).toBe(SLAB_BYTES);
});

test("a frame that is larger than was expected, or smaller, is as good", () => {
  const { transport, writer } = open();
  for (const [id, expected, length] of [
    [1, 100_000, 400_000],
    [2, 400_000, 3],
    [3, 0, 300_000],
  ] as const) {
    const start = writer.begin(3, 1, 2, id, expected);
    writer.out.append(new Uint8Array(length).fill(id));
    writer.end(start);
  }
  transport.turn();
  expect(framesOf(transport.copies)).toEqual([
    [1, 400_000],
    [2, 3],
    [3, 300_000],
  ]);
});

test("what is said about the size of a frame costs no more memory than a frame may have", () => {
  const { transport, writer } = open();
  let largest = 0;
  const { take } = transport.memory;
  transport.memory.take = (bytes) => {
    largest = Math.max(largest, bytes);
    return take.call(transport.memory, Math.min(bytes, 1_000_000));
  };
  writer.end(writer.begin(3, 1, 2, 9, 8_000_000_000));
  expect(largest).toBeLessThan(300_000_000);
  expect(framesOf(transport.copies.length > 0 ? transport.copies : (transport.turn(), transport.copies))).toEqual([
    [9, 0],
  ]);
});

test("large frames wait in order for a busy transport, and what it keeps serves again when it is done with it", () => {
  const { transport, writer, frame } = open();
  transport.keeps = true;
  writer.end(begin(writer, 1, 1_000_000));
  writer.end(begin(writer, 2, 1_000_000));
  frame(3);
  writer.end(begin(writer, 4, 200_000));
  expect(transport.copies).toHaveLength(1);
  expect(transport.kept[0]).toEqual(transport.copies[0]);
  expect(writer.position).toBe(4 * HEADER_BYTES + 2_200_000);
  const first = transport.kept[0]!.buffer;
  writer.resume();
  writer.end(begin(writer, 5, 1_000_000));
  expect(transport.copies).toHaveLength(2);
  for (let i = 0; i < 4; i++) writer.resume();
  expect(framesOf(transport.copies)).toEqual([
    [1, 1_000_000],
    [2, 1_000_000],
    [3, 0],
    [4, 200_000],
    [5, 1_000_000],
  ]);
  expect(transport.kept.at(-1)!.buffer === first).toBe(true);
  expect(writer.position).toBe(writer.handedBytes);
});

test("what was not handed over is found by its position", () => {
  const { transport, writer, frame } = open();
  transport.keeps = true;
  frame(1, 5_000);
  const positions = new Map<number, number>();
  for (const [id, length] of [
    [2, 10],
    [3, 500_000],
    [4, 100],
    [5, 60_000],
    [6, 60_000],
    [7, 9],
  ] as const) {
    const start = begin(writer, id, length);
    positions.set(id, writer.positionOf(start));
    writer.end(start);
  }
  for (const [id, position] of positions) {
    const { bytes, at } = writer.waitingAt(position);
    expect(bytes[at + 8]).toBe(id);
  }
});

test("a frame that turns out to be large goes to the other connection with its memory", () => {
  const small = open();
  const bulk = open();
  bulk.frame(1);
  small.frame(2, 50);
  const start = small.writer.begin(3, 1, 2, 3);
  small.writer.out.append(new Uint8Array(300_000).fill(3));
  const grown = small.writer.out.bytes;
  const moved = small.writer.moveTo(bulk.writer, start);
  expect(bulk.writer.out.bytes === grown).toBe(true);
  expect(bulk.writer.positionOf(moved)).toBe(HEADER_BYTES);
  bulk.writer.end(moved);
  small.frame(4);
  small.transport.turn();
  expect(framesOf(bulk.transport.copies)).toEqual([
    [1, 0],
    [3, 300_000],
  ]);
  expect(framesOf(small.transport.copies)).toEqual([
    [2, 50],
    [4, 0],
  ]);
  const short = small.writer.begin(3, 1, 2, 5);
  small.writer.out.append(new Uint8Array(30).fill(5));
  bulk.writer.end(small.writer.moveTo(bulk.writer, short));
  bulk.transport.turn();
  expect(framesOf(bulk.transport.copies).at(-1)).toEqual([5, 30]);
  small.transport.turn();
  expect(framesOf(small.transport.copies)).toHaveLength(2);
});

test("where memory can be given away, a large frame goes in its own, and that never serves again", () => {
  const { transport, writer, frame } = open();
  const given: Uint8Array[] = [];
  (transport as Transport).give = (bytes) => {
    transport.copies.push(bytes.slice());
    given.push(bytes);
  };
  frame(1);
  writer.end(begin(writer, 2, 500_000));
  // Much smaller than was expected: its memory would be mostly empty.
  const start = writer.begin(3, 1, 2, 3, 500_000);
  writer.out.append(new Uint8Array(5_000).fill(3));
  writer.end(start);
  writer.end(begin(writer, 4, 500_000));
  frame(5);
  transport.turn();
  expect(framesOf(transport.copies).map(([id]) => id)).toEqual([1, 2, 3, 4, 5]);
  expect(given.map(({ byteLength }) => byteLength)).toEqual([500_000 + HEADER_BYTES, 500_000 + HEADER_BYTES]);
  expect(given.every(({ buffer, byteLength }) => buffer.byteLength - byteLength < 2_048)).toBe(true);
  for (const bytes of given) expect(bytes.every((byte, i) => i < HEADER_BYTES || byte === 2 || byte === 4)).toBe(true);
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
