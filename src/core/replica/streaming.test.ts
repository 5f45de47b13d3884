import { describe, expect, test } from "vitest";
import type { IncomingCall } from "./incoming-call.ts";
import { iteratorOf, pump } from "./streaming.ts";

/** The caller's side of a stream: takes `credit` items, then no more until `grant`. */
class Reader {
  readonly items: unknown[] = [];
  readonly ends: unknown[] = [];
  credit: number;
  onCredit: (() => void) | undefined = undefined;
  onStop: (() => void) | undefined = undefined;
  endedBy: Error | undefined = undefined;
  itemError: Error | undefined = undefined;
  runs = 0;

  constructor(credit = Infinity) {
    this.credit = credit;
  }

  item(value: unknown): boolean {
    if (this.itemError !== undefined) throw this.itemError;
    this.items.push(value);
    this.credit--;
    return this.credit > 0;
  }

  grant(items: number): void {
    this.credit += items;
    this.onCredit?.();
  }

  stop(error: Error): void {
    this.endedBy = error;
    this.onStop?.();
  }

  pump(iterator: unknown): void {
    pump(this as unknown as IncomingCall, iterator as Iterator<unknown>, {
      call: (method) => {
        this.runs++;
        return Reflect.apply(method, iterator, []) as unknown;
      },
      stopped: () => this.endedBy,
      onStop: (stop) => {
        this.onStop = stop;
      },
      ended: () => this.ends.push("end"),
      failed: (error) => this.ends.push(error),
    });
  }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe("iteratorOf", () => {
  test("generators, async generators and readable streams stream; what is a value does not", () => {
    const generator = (function* () {})();
    const asyncGenerator = (async function* () {})();
    expect(iteratorOf(generator)).toBe(generator);
    expect(iteratorOf(asyncGenerator)).toBe(asyncGenerator);
    expect(iteratorOf(new ReadableStream())).toHaveProperty("next");
    for (const value of [[1], "text", new Map(), new Set(), new Uint8Array(2), {}, null, undefined, 5, () => {}])
      expect(iteratorOf(value)).toBeUndefined();
    // Read once, like any of the above.
    expect(iteratorOf([1].values())).toBeDefined();
  });
});

describe("pump", () => {
  test("a generator runs to its end at once, in its context", () => {
    const reader = new Reader();
    reader.pump(
      (function* () {
        yield 1;
        yield 2;
        return 3;
      })(),
    );
    expect(reader.items).toEqual([1, 2]);
    expect(reader.ends).toEqual(["end"]);
    expect(reader.runs).toBe(3);
  });

  test("an async generator likewise, step by step", async () => {
    const reader = new Reader();
    reader.pump(
      (async function* () {
        yield 1;
        await Promise.resolve();
        yield 2;
      })(),
    );
    await turn();
    expect(reader.items).toEqual([1, 2]);
    expect(reader.ends).toEqual(["end"]);
  });

  test("an error comes behind the items", async () => {
    for (const iterator of [
      (function* () {
        yield 1;
        throw new Error("broken");
      })(),
      (async function* () {
        yield 1;
        throw new Error("broken");
      })(),
    ]) {
      const reader = new Reader();
      reader.pump(iterator);
      await turn();
      expect(reader.items).toEqual([1]);
      expect(reader.ends).toEqual([new Error("broken")]);
    }
  });

  test("without credit nothing is produced; with credit it goes on", async () => {
    let produced = 0;
    const reader = new Reader(2);
    reader.pump(
      (async function* () {
        for (;;) yield ++produced;
      })(),
    );
    await turn();
    expect(produced).toBe(2);
    reader.grant(3);
    await turn();
    expect(produced).toBe(5);
    expect(reader.items).toEqual([1, 2, 3, 4, 5]);
    reader.stop(new Error("enough"));
    await turn();
    expect(reader.ends).toEqual([new Error("enough")]);
    expect([reader.onCredit, produced]).toEqual([undefined, 5]);
  });

  test("when it is stopped, the producer cleans up before the place is given back", async () => {
    const cleanup = Promise.withResolvers<void>();
    let cleaned = 0;
    const reader = new Reader(1);
    reader.pump(
      (async function* () {
        try {
          for (;;) yield 1;
        } finally {
          await cleanup.promise;
          cleaned++;
        }
      })(),
    );
    await turn();
    reader.stop(new Error("cancelled"));
    reader.stop(new Error("again"));
    await turn();
    expect(reader.ends).toEqual([]);
    cleanup.resolve();
    await turn();
    expect(cleaned).toBe(1);
    expect(reader.ends).toEqual([new Error("cancelled")]);
  });

  test("a stop while the producer works is heeded when its item comes, which is dropped", async () => {
    const work = Promise.withResolvers<string>();
    const reader = new Reader();
    reader.pump(
      (async function* () {
        yield await work.promise;
      })(),
    );
    reader.stop(new Error("cancelled"));
    await turn();
    expect(reader.ends).toEqual([]);
    work.resolve("late");
    await turn();
    expect(reader.items).toEqual([]);
    expect(reader.ends).toEqual([new Error("cancelled")]);
  });

  test("an item that cannot travel ends the stream, and the producer cleans up", async () => {
    let cleaned = 0;
    const reader = new Reader();
    reader.itemError = new Error("a function cannot travel");
    reader.pump(
      (function* () {
        try {
          yield () => {};
        } finally {
          cleaned++;
        }
      })(),
    );
    await turn();
    expect(cleaned).toBe(1);
    expect(reader.ends).toEqual([reader.itemError]);
  });

  test("an iterator that returns what only looks like a promise is awaited", async () => {
    let n = 0;
    const reader = new Reader();
    reader.pump({
      next: () => ({
        then: (resolve: (step: unknown) => void) => resolve(++n > 2 ? { done: true } : { done: false, value: n }),
      }),
    });
    await turn();
    expect(reader.items).toEqual([1, 2]);
    expect(reader.ends).toEqual(["end"]);
  });

  test.each([[undefined], [null], [7], ["text"]])(
    "an iterator whose step is %s fails, as the language has it",
    async (step) => {
      for (const next of [() => step, () => Promise.resolve(step)]) {
        const reader = new Reader();
        reader.pump({ next });
        await turn();
        expect(reader.items).toEqual([]);
        expect(reader.ends).toEqual([expect.any(TypeError)]);
      }
    },
  );

  test("a cleanup that fails is what the stream fails with", async () => {
    const reader = new Reader(1);
    const fail = (): never => {
      throw new Error("in the cleanup");
    };
    reader.pump(
      (function* () {
        try {
          for (;;) yield 1;
        } finally {
          fail();
        }
      })(),
    );
    reader.stop(new Error("cancelled"));
    await turn();
    expect(reader.ends).toEqual([new Error("in the cleanup")]);
  });
});
