import { afterEach, describe, expect, test } from "vitest";
import { Lane } from "../../src/wire/lane.ts";
import { defaultLimits } from "../../src/wire/limits.ts";
import type { Transport, TransportReceiver } from "../../src/wire/transport.ts";

export interface OpenedTransports {
  readonly near: Transport;
  readonly far: Transport;
  /** Frees what stands behind them. */
  close(): void | Promise<void>;
}

export interface TransportTraits {
  /** Whether it can be full, so that `write` returns false. */
  readonly backPressure: boolean;
  /** Whether the other side's own receiver is asked for `target`. */
  readonly targets: boolean;
}

/** A receiver that keeps everything, and complains about what no transport may do. */
export class Sink implements TransportReceiver {
  readonly received: Uint8Array[] = [];
  readonly closed: (Error | undefined)[] = [];
  length = 0;
  writable = 0;
  target: Uint8Array | undefined = undefined;
  /** This many bytes are to come into one piece of memory, as the rest of a large frame is. */
  wanted = 0;
  targeted = 0;
  forbidden = false;
  #waiting: (() => void)[] = [];

  onBytes(bytes: Uint8Array, start: number, end: number): void {
    this.#check();
    this.received.push(bytes.slice(start, end));
    this.length += end - start;
    if (this.wanted > 0) {
      this.wanted -= end - start;
      if (this.wanted > 0) this.target = new Uint8Array(this.wanted);
    }
    this.#wake();
  }

  onTarget(length: number): void {
    this.#check();
    const { target } = this;
    if (target === undefined) throw new Error("Bytes were put into a target that there is none of.");
    this.received.push(target.slice(0, length));
    this.length += length;
    this.targeted += length;
    this.wanted -= length;
    this.target = this.wanted === 0 ? undefined : target.subarray(length);
    this.#wake();
  }

  onWritable(): void {
    this.#check();
    this.writable++;
    this.#wake();
  }

  onClosed(error: Error | undefined): void {
    this.#check();
    this.closed.push(error);
    this.#wake();
  }

  /** Nothing may be called from inside `fn`. */
  guard<T>(fn: () => T): T {
    this.forbidden = true;
    try {
      return fn();
    } finally {
      this.forbidden = false;
    }
  }

  /** Resolves when `condition` holds, which is looked at whenever something happens. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  #check(): void {
    if (this.forbidden) throw new Error("The transport called its receiver from inside write or start.");
    if (this.closed.length > 0) throw new Error("The transport called its receiver after onClosed.");
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Writes as the wire does: one at a time, and not again before `onWritable` where `false` was returned. */
export async function write(transport: Transport, sink: Sink, bytes: Uint8Array): Promise<boolean> {
  await sink.until(() => transport.connected || sink.closed.length > 0);
  const before = sink.writable;
  const taken = sink.guard(() => transport.write(bytes));
  if (!taken) await sink.until(() => sink.writable > before || sink.closed.length > 0);
  return taken;
}

export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed * 17 + (i >> 8)) & 0xff;
  return bytes;
}

/** What every transport must do, whatever it is made of. */
export function describeTransport(name: string, traits: TransportTraits, open: () => Promise<OpenedTransports>): void {
  describe(name, () => {
    const opened: OpenedTransports[] = [];

    async function connect(): Promise<{ near: Transport; far: Transport; nearSink: Sink; farSink: Sink }> {
      const pair = await open();
      opened.push(pair);
      const { near, far } = pair;
      const nearSink = new Sink();
      const farSink = new Sink();
      nearSink.guard(() => near.start(nearSink));
      farSink.guard(() => far.start(farSink));
      return { near, far, nearSink, farSink };
    }

    afterEach(async () => {
      for (const { close } of opened.splice(0)) await close();
    });

    test("bytes arrive in order, both ways", async () => {
      const { near, far, nearSink, farSink } = await connect();
      for (let i = 0; i < 50; i++) {
        await write(near, nearSink, pattern(1 + i * 37, i));
        await write(far, farSink, pattern(1 + i * 11, i + 1));
      }
      const there = Buffer.concat(Array.from({ length: 50 }, (_, i) => pattern(1 + i * 37, i)));
      const back = Buffer.concat(Array.from({ length: 50 }, (_, i) => pattern(1 + i * 11, i + 1)));
      await farSink.until(() => farSink.length >= there.byteLength);
      await nearSink.until(() => nearSink.length >= back.byteLength);
      expect(farSink.bytes().equals(there)).toBe(true);
      expect(nearSink.bytes().equals(back)).toBe(true);
    });

    test("the memory of a write that returned true may be used again at once", async () => {
      const { near, nearSink, farSink } = await connect();
      const memory = new Uint8Array(1_000);
      const sent: Uint8Array[] = [];
      for (let i = 0; i < 200; i++) {
        memory.set(pattern(1_000, i));
        sent.push(memory.slice());
        await write(near, nearSink, memory);
        memory.fill(0xee);
      }
      await farSink.until(() => farSink.length === 200_000);
      expect(farSink.bytes().equals(Buffer.concat(sent))).toBe(true);
    });

    test("frames of all sizes arrive as they were written, and stay so where their memory is the receiver's", async () => {
      const pair = await open();
      opened.push(pair);
      const got: { readonly id: number; readonly body: Uint8Array; readonly owned: boolean }[] = [];
      let wake = (): void => {};
      const owner = {
        onFrame(
          _: Lane,
          header: { readonly id: number; readonly owned: boolean },
          ...at: [Uint8Array, number, number]
        ) {
          const [bytes, start, end] = at;
          const { id, owned } = header;
          got.push({ id, owned, body: owned ? bytes.subarray(start, end) : bytes.slice(start, end) });
          wake();
        },
        onLaneClosed() {},
      };
      const near = new Lane(pair.near, defaultLimits, owner);
      const far = new Lane(pair.far, defaultLimits, owner);
      pair.near.start(near);
      pair.far.start(far);
      // Small ones between large ones, several at once, and one that is not seen to be large before it is written.
      const sizes = Array.from({ length: 60 }, (_, i) => [0, 900_000, 40, 65_537, 3_000_000, 17_000, 200_000][i % 7]!);
      const source = new Uint8Array(3_000_000);
      const { writer } = near;
      for (const [id, size] of sizes.entries()) {
        const expected = id % 5 === 0 ? 0 : size;
        const start = writer.begin(3, 0, 0, id, expected);
        writer.out.append(source.fill(id + 1, 0, size), 0, size);
        writer.end(start);
        if (id % 4 === 3) await new Promise(setImmediate);
      }
      writer.schedule();
      while (got.length < sizes.length) await new Promise<void>((resolve) => (wake = resolve));
      expect(got.map(({ id }) => id)).toEqual([...sizes.keys()]);
      expect(got.map(({ body }) => body.byteLength)).toEqual(sizes);
      for (const { id, body } of got) expect(Buffer.alloc(body.byteLength, id + 1).equals(body)).toBe(true);
      expect(got.filter(({ owned }) => owned).length).toBeGreaterThan(10);
      near.close();
    });

    test("a large write that is closed behind arrives whole", async () => {
      const { near, nearSink, farSink } = await connect();
      await write(near, nearSink, pattern(10, 1));
      const large = pattern(3_000_000, 7);
      near.write(large);
      near.close();
      await farSink.until(() => farSink.closed.length > 0);
      expect(farSink.bytes().equals(Buffer.concat([pattern(10, 1), large]))).toBe(true);
    });

    test("what is given arrives once, and the giver does not have it any more", async () => {
      const { near, nearSink, farSink } = await connect();
      if (near.give === undefined) return;
      await write(near, nearSink, pattern(100, 1));
      const memory = pattern(1_000_000, 2);
      const { byteLength } = memory;
      near.give(memory.subarray(4));
      await write(near, nearSink, pattern(100, 3));
      await farSink.until(() => farSink.length === byteLength + 196);
      expect(
        farSink.bytes().equals(Buffer.concat([pattern(100, 1), pattern(1_000_000, 2).subarray(4), pattern(100, 3)])),
      ).toBe(true);
      near.close();
      near.give(pattern(10, 1));
      await quiet();
      expect(farSink.length).toBe(byteLength + 196);
    });

    test("16 MB arrive intact, through target where it is asked for", async () => {
      const { near, nearSink, farSink } = await connect();
      const total = 16 * 1_048_576;
      const large = pattern(total, 3);
      farSink.wanted = total;
      await write(near, nearSink, large);
      await farSink.until(() => farSink.length === total);
      expect(farSink.bytes().equals(large)).toBe(true);
      if (traits.targets) {
        // All but the first read.
        const { targeted } = farSink;
        expect(targeted).toBeGreaterThan(total - 1_048_576);
        await write(near, nearSink, pattern(10, 1));
        await farSink.until(() => farSink.length === total + 10);
        expect(farSink.targeted).toBe(targeted);
      }
    });

    test("many small writes arrive whole", async () => {
      const { near, nearSink, farSink } = await connect();
      for (let i = 0; i < 5_000; i++) await write(near, nearSink, Uint8Array.of(i & 0xff, i >> 8, 7));
      await farSink.until(() => farSink.length === 15_000);
      const bytes = farSink.bytes();
      for (let i = 0; i < 5_000; i++) expect(bytes[3 * i]! | (bytes[3 * i + 1]! << 8)).toBe(i);
    });

    test("a write may follow each onWritable, and nothing is lost on the way", async () => {
      const { near, nearSink, farSink } = await connect();
      const chunk = pattern(1_048_576, 5);
      let kept = 0;
      for (let i = 0; i < 12; i++) {
        const memory = chunk.slice();
        const taken = await write(near, nearSink, memory);
        if (!taken) kept++;
        // It is ours again, whichever way it went.
        memory.fill(0);
      }
      await farSink.until(() => farSink.length === 12 * chunk.byteLength);
      const bytes = farSink.bytes();
      for (let i = 0; i < 12; i++)
        expect(bytes.subarray(i * chunk.byteLength, (i + 1) * chunk.byteLength).equals(chunk)).toBe(true);
      expect(kept > 0).toBe(traits.backPressure);
    });

    test("deferred work runs once, later, in order", async () => {
      const { near } = await connect();
      const ran: number[] = [];
      near.defer(() => ran.push(1));
      near.defer(() => ran.push(2));
      expect(ran).toEqual([]);
      await new Promise(setImmediate);
      expect(ran).toEqual([1, 2]);
    });

    test("close delivers what was written before, and both sides hear of it once", async () => {
      const { near, far, nearSink, farSink } = await connect();
      await nearSink.until(() => near.connected);
      const last = pattern(200_000, 9);
      near.write(last);
      near.close();
      near.close();
      await farSink.until(() => farSink.closed.length > 0);
      await nearSink.until(() => nearSink.closed.length > 0);
      expect(farSink.bytes().equals(last)).toBe(true);
      far.close();
      await quiet();
      expect(nearSink.closed).toEqual([undefined]);
      expect(farSink.closed).toEqual([undefined]);
      expect(near.connected).toBe(false);
      expect(far.connected).toBe(false);
    });

    test("both sides may close at once", async () => {
      const { near, far, nearSink, farSink } = await connect();
      await nearSink.until(() => near.connected);
      near.close();
      far.close();
      await farSink.until(() => farSink.closed.length > 0);
      await nearSink.until(() => nearSink.closed.length > 0);
      await quiet();
      expect([nearSink.closed.length, farSink.closed.length]).toEqual([1, 1]);
    });

    test("what was written right before destroy arrives", async () => {
      const { near, nearSink, farSink } = await connect();
      await nearSink.until(() => near.connected);
      near.write(pattern(100, 4));
      near.destroy(new Error("over"));
      await farSink.until(() => farSink.closed.length > 0);
      expect(farSink.bytes().equals(pattern(100, 4))).toBe(true);
    });

    test("destroy ends it at once, with the error on the side that did it", async () => {
      const { near, far, nearSink, farSink } = await connect();
      await nearSink.until(() => near.connected);
      const reason = new Error("the peer broke the protocol");
      far.destroy(reason);
      far.destroy(new Error("another"));
      await farSink.until(() => farSink.closed.length > 0);
      await nearSink.until(() => nearSink.closed.length > 0);
      await quiet();
      expect(farSink.closed).toEqual([reason]);
      expect(nearSink.closed).toHaveLength(1);
      near.close();
      far.close();
      near.destroy(reason);
      await quiet();
      expect([nearSink.closed.length, farSink.closed.length]).toEqual([1, 1]);
    });

    test("writing after close does no harm, neither to what was written before", async () => {
      const { near, nearSink, farSink } = await connect();
      await nearSink.until(() => near.connected);
      const last = pattern(1_000_000, 2);
      near.write(last);
      near.close();
      expect(near.connected).toBe(false);
      near.write(pattern(10, 1));
      await farSink.until(() => farSink.closed.length > 0);
      await nearSink.until(() => nearSink.closed.length > 0);
      near.write(pattern(10, 1));
      await quiet();
      expect(farSink.bytes().equals(last)).toBe(true);
      expect(nearSink.closed).toEqual([undefined]);
      expect(farSink.closed).toEqual([undefined]);
    });
  });
}

/** Long enough for anything that is still to happen to happen: many turns, no time. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
}
