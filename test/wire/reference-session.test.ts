import fc from "fast-check";
import { expect, test } from "vitest";
import { CallState } from "../../src/core/handle/call.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { type TestCall, type TestCaller, Wire } from "./harness.ts";

const WINDOW_ITEMS = 4;
const WINDOW_BYTES = 100_000;
const LIMIT = 3;
/** Enough for the bulk lane. */
const LARGE = 70_000;

/** What a call is asked to do: all that its outcome depends on. */
interface Plan {
  readonly kind: "value" | "error" | "stream" | "broken stream" | "unsendable";
  readonly broadcast: boolean;
  readonly largeArgument: boolean;
  /** Whether each item, or the only value, is large. */
  readonly large: readonly boolean[];
}

type Command =
  | { readonly do: "send"; readonly caller: number; readonly plan: Plan }
  | { readonly do: "complete"; readonly pick: number }
  | { readonly do: "cancel"; readonly pick: number }
  | { readonly do: "read"; readonly pick: number; readonly items: number }
  | { readonly do: "turn"; readonly pick: number }
  | { readonly do: "move"; readonly pick: number; readonly bytes: number }
  | { readonly do: "free"; readonly pick: number }
  | { readonly do: "break"; readonly caller: number; readonly pick: number };

const plans: fc.Arbitrary<Plan> = fc.record({
  kind: fc.constantFrom("value", "value", "error", "stream", "stream", "broken stream", "unsendable"),
  broadcast: fc.boolean(),
  largeArgument: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  large: fc.array(
    fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    { maxLength: 12 },
  ),
});
const pick = fc.nat(1_000);
const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("send" as const), caller: fc.nat(1), plan: plans }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("complete" as const), pick }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), pick }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("read" as const), pick, items: fc.integer({ min: 1, max: 5 }) }),
    },
    { weight: 10, arbitrary: fc.record({ do: fc.constant("turn" as const), pick }) },
    {
      weight: 20,
      arbitrary: fc.record({
        do: fc.constant("move" as const),
        pick,
        bytes: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 61, max: 200_000 })),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("free" as const), pick }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("break" as const), caller: fc.nat(1), pick }) },
  ),
  { minLength: 10, maxLength: 120 },
);

/** A call as the model knows it: what it must come to, whatever happens to bytes on the way. */
class Expected {
  readonly call: TestCall;
  readonly plan: Plan;
  readonly caller: number;
  readonly id: number;
  cancelledBy: Error | undefined = undefined;
  /** Its connection broke, when it may have been running. */
  lostBy: Error | undefined = undefined;
  started = 0;
  produced = 0;
  readItems = 0;
  /** Ends of its sendings that the router heard of. */
  sendings = 1;
  ends = 0;

  constructor(fields: { call: TestCall; plan: Plan; caller: number; id: number }) {
    this.call = fields.call;
    this.plan = fields.plan;
    this.caller = fields.caller;
    this.id = fields.id;
  }

  value(index: number): string {
    return `${this.id}.${index}.${this.plan.large[index] ? "x".repeat(LARGE) : "x"}`;
  }

  get items(): string[] {
    return this.plan.kind === "stream" || this.plan.kind === "broken stream"
      ? this.plan.large.map((_, i) => this.value(i))
      : [];
  }

  /** The model itself: from plan and fate to items and outcome. */
  check(): void {
    const { call, plan } = this;
    expect(call.outcomes, `outcomes of call ${this.id}`).toHaveLength(1);
    expect(this.ends, `ends of call ${this.id}`).toBe(this.sendings);
    expect(call.state).toBe(CallState.SETTLED);
    expect(this.started, `starts of call ${this.id}`).toBeLessThanOrEqual(1);
    const got = call.values as string[];
    const early = this.cancelledBy ?? this.lostBy;
    if (early !== undefined) {
      expect(call.outcome).toEqual({ error: early });
      expect(got.every((value, i) => value === this.items[i])).toBe(true);
      return;
    }
    expect(this.started).toBe(1);
    expect(got.length).toBe(this.items.length);
    expect(got.every((value, i) => value === this.items[i])).toBe(true);
    switch (plan.kind) {
      case "value":
        expect(call.outcome).toEqual({ value: this.value(0) });
        return;
      case "stream":
        expect(call.outcome).toEqual({ value: undefined });
        return;
      case "error":
      case "broken stream":
        expect(call.error.message).toBe(`error of ${this.id}`);
        return;
      case "unsendable":
        expect(call.error).toMatchObject({ code: "SERIALIZATION" });
        return;
    }
  }
}

/** The system under test and the model of it, driven by one list of commands. */
class Run {
  readonly wire: Wire;
  readonly callers: TestCaller[];
  readonly expected: Expected[] = [];
  readonly running: { readonly id: number; complete(): void }[] = [];
  readonly #heard: number[] = [0, 0];
  readonly #refused: Expected[] = [];
  #largest = 0;

  constructor(seed: number) {
    const chance = new ManualClock({ seed });
    this.wire = new Wire(this.#target(), {
      maxOngoingRequests: LIMIT,
      limits: { streamWindowItems: WINDOW_ITEMS, streamWindowBytes: WINDOW_BYTES },
      link: { keeps: () => chance.random() < 0.3 },
    });
    this.callers = [this.wire.caller({ peer: 1 }), this.wire.caller({ peer: 2 })];
  }

  async obey(command: Command): Promise<void> {
    const ends = this.wire.links.flatMap((link) => link.ends);
    switch (command.do) {
      case "send":
        this.#send(command.caller, command.plan);
        break;
      case "complete":
        if (this.running.length > 0) this.running.splice(command.pick % this.running.length, 1)[0]!.complete();
        break;
      case "cancel":
        this.#cancel(command.pick);
        break;
      case "read":
        this.#read(command.pick, command.items);
        break;
      case "turn":
        ends[command.pick % ends.length]!.endTurn();
        break;
      case "move":
        ends[command.pick % ends.length]!.deliver(command.bytes);
        break;
      case "free":
        ends[command.pick % ends.length]!.free();
        break;
      case "break":
        await this.#break(command.caller, command.pick);
        break;
    }
    await new Promise(setImmediate);
    this.#listen();
  }

  /** Everything that can happen happens. */
  async finish(): Promise<void> {
    for (let rounds = 0; ; rounds++) {
      if (rounds > 500) throw new Error("The calls do not come to an end.");
      await this.wire.settle();
      this.#listen();
      const open = this.expected.filter(({ call, ends, sendings }) => call.outcomes.length === 0 || ends < sendings);
      // Work that nobody waits for any more takes its place until it ends.
      if (open.length === 0 && this.#refused.length === 0 && this.running.length === 0) break;
      for (const work of this.running.splice(0)) work.complete();
      for (const each of open) if (each.call.state !== CallState.SETTLED) this.#grant(each, Infinity);
      for (const each of this.#refused.splice(0)) this.#resend(each);
      this.wire.clock.advance(10);
    }
    for (const each of this.expected) each.check();
    expect(this.wire.replica.ongoing).toBe(0);
    expect(this.wire.deadlines.count).toBe(0);
    expect(this.callers.map(({ session }) => session.ongoing)).toEqual([0, 0]);
    for (const caller of this.callers) caller.session.close();
    await this.wire.settle();
    expect(this.wire.acceptor.size).toBe(0);
    expect(this.wire.links.every(({ near, far }) => near.closed && far.closed)).toBe(true);
    this.wire.clock.advance(5);
    expect(this.wire.clock.pendingTimers).toBe(0);
  }

  #send(caller: number, plan: Plan): void {
    const id = this.expected.length;
    const args = [id, plan.largeArgument ? "y".repeat(LARGE) : "y"];
    const stream = plan.kind === "stream" || plan.kind === "broken stream";
    const call = this.callers[caller]!.send(stream ? "stream" : "plain", args, { stream, broadcast: plan.broadcast });
    this.expected.push(new Expected({ call, plan, caller, id }));
  }

  #resend(each: Expected): void {
    if (each.call.state === CallState.SETTLED) return;
    each.sendings++;
    each.call.items = 0;
    if (!this.callers[each.caller]!.session.send(each.call)) throw new Error("An open session took no call.");
  }

  #cancel(pick: number): void {
    const open = this.expected.filter(({ call }) => call.state !== CallState.SETTLED);
    if (open.length === 0) return;
    const each = open[pick % open.length]!;
    each.cancelledBy = new Error(`cancel of ${each.id}`);
    this.callers[each.caller]!.cancel(each.call, each.cancelledBy);
  }

  #read(pick: number, items: number): void {
    const streams = this.expected.filter(({ call }) => call.template.stream && call.state !== CallState.SETTLED);
    if (streams.length > 0) this.#grant(streams[pick % streams.length]!, items);
  }

  /** As a reader does that takes up to `items` of what has come. */
  #grant(each: Expected, items: number): void {
    const { call } = each;
    const from = each.readItems;
    const to = Math.min(call.values.length, from + items);
    if (from === to) return;
    each.readItems = to;
    const bytes = call.sizes.slice(from, to).reduce((sum, size) => sum + size, 0);
    this.callers[each.caller]!.session.grant(call, to - from, bytes);
  }

  async #break(index: number, pick: number): Promise<void> {
    const caller = this.callers[index]!;
    this.#listen();
    const error = new Error("broken");
    caller.links[pick % caller.links.length]!.break(error);
    // Both processes hear of it, some time before the next thing happens.
    for (const { near, far } of caller.links) {
      near.finish();
      far.finish();
    }
    await new Promise(setImmediate);
    const [lost] = caller.toldOf("lost");
    const again: Expected[] = [];
    for (const { call, written } of lost!.lost) {
      const each = this.#of(call as TestCall);
      each.ends++;
      if (call.state === CallState.SETTLED) continue;
      if (written) {
        each.lostBy = error;
        call.state = CallState.SETTLED;
        call.reject(error);
      } else {
        expect(each.started, `starts of unwritten call ${each.id}`).toBe(0);
        again.push(each);
      }
    }
    this.#heard[index] = 0;
    this.callers[index] = this.wire.caller({ peer: index + 1 });
    for (const each of again) this.#resend(each);
  }

  #of(call: TestCall): Expected {
    return this.expected.find((each) => each.call === call)!;
  }

  /** What the sessions have told their routers since the last time. */
  #listen(): void {
    this.callers.forEach((caller, index) => {
      for (const told of caller.told.slice(this.#heard[index])) {
        if (told.what === "finished") this.#of(told.call as TestCall).ends++;
        else if (told.what === "refused") {
          const each = this.#of(told.call as TestCall);
          each.ends++;
          expect(each.started).toBe(0);
          expect(each.plan.broadcast).toBe(false);
          this.#refused.push(each);
        }
      }
      this.#heard[index] = caller.told.length;
    });
    const limited = this.running.filter(({ id }) => !this.expected[id]!.plan.broadcast).length;
    this.#largest = Math.max(this.#largest, limited);
    expect(this.#largest).toBeLessThanOrEqual(LIMIT);
    for (const each of this.expected) {
      if (each.produced > 0)
        expect(each.produced, `items of call ${each.id} beyond its credit`).toBeLessThanOrEqual(
          each.readItems + WINDOW_ITEMS,
        );
    }
  }

  #target(): object {
    const begin = (id: number): Promise<void> => {
      const each = this.expected[id]!;
      each.started++;
      return new Promise((resolve) => this.running.push({ id, complete: resolve }));
    };
    const { expected, running } = this;
    return {
      async plain(id: number, filling: string): Promise<unknown> {
        const each = expected[id]!;
        expect(filling.length).toBe(each.plan.largeArgument ? LARGE : 1);
        await begin(id);
        if (each.plan.kind === "error") throw new Error(`error of ${id}`);
        return each.plan.kind === "unsendable" ? { value: each.value(0), fn: () => {} } : each.value(0);
      },
      async *stream(id: number): AsyncGenerator<string> {
        const each = expected[id]!;
        const begun = begin(id);
        try {
          // Half of them have their items at once, the others when the test says so.
          if (id % 2 === 0) await begun;
          for (const item of each.items) {
            each.produced++;
            yield item;
          }
          await begun;
          if (each.plan.kind === "broken stream") throw new Error(`error of ${id}`);
        } finally {
          // A cancelled producer that waits at an item ends there, and its work with it.
          const at = running.findIndex((work) => work.id === id);
          if (at >= 0) running.splice(at, 1);
        }
      },
    };
  }
}

test("whatever bytes do on the way, every call comes to what the model says", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), commands, async (seed, list) => {
      const run = new Run(seed);
      for (const command of list) await run.obey(command);
      await run.finish();
    }),
    { numRuns: Number(process.env["REFERENCE_RUNS"] ?? 1_000) },
  );
}, 60_000);
