import { describe, expect, test } from "vitest";
import { ProtocolError, SerializationError } from "../../src/core/errors.ts";
import { BodyPages } from "../../src/wire/body-pages.ts";
import { SharedBody } from "../../src/wire/shared-body.ts";
import { SHARED_BYTES } from "../../src/wire/codec/tags.ts";
import type { RegionReference } from "../../src/wire/codec/shared-binary.ts";
import { FrameType, HEADER_BYTES } from "../../src/wire/frames.ts";
import { deferred, TestCall, type TestCaller, token, Wire, type WireOptions } from "./harness.ts";
import { FakeMachine, type FakeMemory, referenceBytes } from "./fake-memory.ts";
import type { Link } from "./link.ts";

const SIZE = SHARED_BYTES;

/** What the replica of these tests serves. */
class Model {
  readonly open: PromiseWithResolvers<unknown>[] = [];
  readonly kept: unknown[] = [];

  sum(bytes: Uint8Array): number {
    return bytes.reduce((sum, byte) => sum + byte, 0);
  }

  keep(...values: unknown[]): void {
    this.kept.push(...values);
  }

  give(fill: number): unknown {
    return { bytes: new Uint8Array(SIZE).fill(fill) };
  }

  sumOf(filling: { bytes: Uint8Array }): number {
    return this.sum(filling.bytes);
  }

  *items(count: number): Generator<Uint8Array> {
    for (let i = 0; i < count; i++) yield new Uint8Array(SIZE).fill(i);
  }

  fails(): never {
    throw Object.assign(new Error("with something large"), { bytes: new Uint8Array(SIZE) });
  }

  wait(): Promise<unknown> {
    const work = deferred<unknown>() as PromiseWithResolvers<unknown>;
    this.open.push(work);
    return work.promise;
  }
}

interface Setting {
  readonly wire: Wire;
  readonly model: Model;
  readonly caller: TestCaller;
  /** The caller's memory, and the replica's. */
  readonly near: FakeMemory;
  readonly far: FakeMemory;
}

function open(options: WireOptions & { canReach?: boolean; maxBytes?: number } = {}): Setting {
  const machine = new FakeMachine();
  const near = machine.process(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes });
  const far = machine.process({ canReach: options.canReach ?? true });
  const model = new Model();
  const wire = new Wire(model, { ...options, memory: far });
  return { wire, model, caller: wire.caller({ memory: near }), near, far };
}

/** Both sides know by now that they can map what the other lends. */
async function acquainted(options: Parameters<typeof open>[0] = {}): Promise<Setting> {
  const setting = open(options);
  await setting.caller.ask("sum", [filled(0)]);
  await setting.caller.ask("give", [0]);
  return setting;
}

function filled(value: number, bytes = SIZE): Uint8Array {
  return new Uint8Array(bytes).fill(value);
}

/** How many bytes the connections have carried while `work` went on. */
async function carried({ wire }: Setting, work: () => Promise<unknown>): Promise<number> {
  const count = (): number => wire.links.flatMap(({ ends }) => ends).reduce((sum, { written }) => sum + written, 0);
  const before = count();
  await work();
  return count() - before;
}

/** Everybody has let go of everything: nothing is left on either side. */
async function expectNothing({ wire, near, far }: Setting): Promise<void> {
  near.collect();
  far.collect();
  await wire.settle();
  expect([near.regions.size, far.regions.size]).toEqual([0, 0]);
}

describe("large arguments", () => {
  test("travel in the message until the other side has said that it can map them, then beside it", async () => {
    const setting = open();
    const { caller, near } = setting;
    const first = await carried(setting, () => caller.ask("sum", [filled(1)]));
    expect(first).toBeGreaterThan(SIZE);
    expect(near.stored).toBe(0);
    let call!: TestCall;
    const second = await carried(setting, async () => (call = await caller.ask("sum", [filled(2)])));
    expect(call.outcomes).toEqual([{ value: 2 * SIZE }]);
    expect(second).toBeLessThan(500);
    expect(near.stored).toBe(1);
    await expectNothing(setting);
  });

  test("are what they were when the call was made, of whatever kind, at whatever depth", async () => {
    const setting = await acquainted();
    const floats = new Float32Array(SIZE / 4).map((_, i) => i);
    const buffer = Uint16Array.from({ length: SIZE }, (_, i) => i).buffer;
    const part = new Uint8Array(SIZE + 100).fill(5).subarray(50, SIZE + 60);
    const small = filled(3, 100);
    const before = setting.near.stored;
    setting.caller.send("keep", [{ deep: [floats, new Map([["buffer", buffer]])] }, part, small, floats]);
    floats.fill(-1);
    new Uint16Array(buffer).fill(0);
    part.fill(0);
    await setting.wire.settle();
    const [deep, givenPart, givenSmall, again] = setting.model.kept as [
      { deep: [Float32Array, Map<string, ArrayBuffer>] },
      Uint8Array,
      Uint8Array,
      Float32Array,
    ];
    expect(deep.deep[0].every((value, i) => value === i)).toBe(true);
    expect(new Uint16Array(deep.deep[1].get("buffer")!).every((value, i) => value === (i & 0xffff))).toBe(true);
    expect(givenPart).toEqual(filled(5, SIZE + 10));
    expect(givenSmall).toEqual(filled(3, 100));
    // One object at the sender is one at the receiver.
    expect(again).toBe(deep.deep[0]);
    expect(setting.near.stored - before).toBe(3);
    await expectNothing(setting);
  });

  test("are held for as long as the replica has them, and no longer", async () => {
    const setting = await acquainted();
    const { caller, model, near, far, wire } = setting;
    await caller.ask("keep", [filled(7)]);
    expect(near.regions.size).toBe(1);
    expect(model.kept[0]).toEqual(filled(7));
    far.collect();
    await wire.settle();
    expect(near.regions.size).toBe(0);
    expect(near.abandoned).toBe(0);
  });

  test("with one beside them that cannot travel leave nothing behind", async () => {
    const setting = await acquainted();
    expect(() => setting.caller.send("sum", [filled(1), () => {}])).toThrow(SerializationError);
    await expectNothing(setting);
  });

  test("travel in the message where there is no room for them", async () => {
    const setting = await acquainted({ maxBytes: 2 * SIZE });
    const sizes = await Promise.all(
      [1, 2, 3].map((fill) => carried(setting, () => setting.caller.ask("keep", [filled(fill)]))),
    );
    expect(sizes.every((bytes) => bytes > SIZE)).toBe(true);
    expect(setting.near.stored).toBe(2);
    expect(setting.model.kept).toEqual([1, 2, 3].map((fill) => filled(fill)));
    await expectNothing(setting);
  });

  test("are not larger together because they travel beside the message", async () => {
    const setting = await acquainted({ limits: { maxMessageBytes: 3 * SIZE } });
    expect(() => setting.caller.send("keep", [filled(1), filled(2), filled(3)])).toThrow(/too large/);
    await setting.caller.ask("keep", [filled(1), filled(2)]);
    expect(setting.model.kept).toHaveLength(2);
    await expectNothing(setting);
  });

  test.each(["of the caller", "of the replica"])("stay in the message for a handle that says so: %s", async (whose) => {
    const setting = await acquainted();
    const [method, args] = whose === "of the caller" ? ["sum", [filled(1)]] : ["give", [1]];
    const ask = (): Promise<unknown> => setting.caller.ask(method as string, args as unknown[], { byReference: false });
    expect(await carried(setting, ask)).toBeGreaterThan(SIZE);
    await expectNothing(setting);
  });

  test("stay in the message where the other side cannot map them, and are offered once", async () => {
    const setting = open({ canReach: false });
    for (let i = 0; i < 3; i++)
      expect(await carried(setting, () => setting.caller.ask("sum", [filled(i)]))).toBeGreaterThan(SIZE);
    expect(setting.near.stored).toBe(0);
  });

  test("stay in the message for a peer that has no such memory", async () => {
    const machine = new FakeMachine();
    const wire = new Wire(new Model());
    const near = machine.process();
    const caller = wire.caller({ memory: near });
    for (let i = 0; i < 3; i++) expect((await caller.ask("sum", [filled(i)])).outcomes).toEqual([{ value: i * SIZE }]);
    expect(near.stored).toBe(0);
  });
});

describe("large results and items", () => {
  test("travel beside the message", async () => {
    const setting = await acquainted();
    let call!: TestCall;
    expect(await carried(setting, async () => (call = await setting.caller.ask("give", [9])))).toBeLessThan(500);
    expect(call.outcomes).toEqual([{ value: { bytes: filled(9) } }]);
    expect(setting.far.regions.size).toBe(1);
    await expectNothing(setting);
  });

  test("count for the credit of a stream as if they were in the message", async () => {
    const setting = await acquainted({ limits: { streamWindowBytes: 3 * SIZE } });
    const call = await setting.caller.ask("items", [10], { stream: true });
    expect(call.values).toEqual([0, 1, 2].map((i) => filled(i)));
    for (const bytes of call.sizes) expect(bytes).toBeGreaterThan(SIZE);
    setting.caller.session.grant(call, 10, 3 * SIZE);
    await setting.wire.settle();
    expect(call.values.length).toBeGreaterThan(3);
    expect(call.values.length).toBeLessThan(10);
    setting.caller.session.grant(call, 100, 100 * SIZE);
    await setting.wire.settle();
    expect(call.values).toEqual(Array.from({ length: 10 }, (_, i) => filled(i)));
    await expectNothing(setting);
  });

  test("of a call that was given up go back unseen", async () => {
    const setting = await acquainted();
    const { caller, wire, model, far } = setting;
    const call = await caller.ask("wait");
    caller.cancel(call);
    await wire.settle();
    model.open.pop()!.resolve([filled(1), filled(2)]);
    await wire.settle();
    expect([far.regions.size, setting.near.mapped]).toEqual([0, 0]);
    await expectNothing(setting);
  });

  test("are not used for errors", async () => {
    const setting = await acquainted();
    expect(await carried(setting, () => setting.caller.ask("fails"))).toBeGreaterThan(SIZE);
    await expectNothing(setting);
  });
});

describe("arguments that are refused", () => {
  test("come back as they were and go to the next replica, still beside the message", async () => {
    const setting = await acquainted({ maxOngoingRequests: 1 });
    const { caller, model, near, wire } = setting;
    await caller.ask("wait");
    const call = caller.send("sum", [filled(4)]);
    expect(near.stored).toBe(1);
    await wire.settle();
    const [refused] = caller.toldOf("refused");
    expect(refused!.call).toBe(call);
    expect([near.regions.size, setting.far.mapped]).toEqual([1, 0]);
    model.open.pop()!.resolve(0);
    await wire.settle();
    expect(caller.session.send(call)).toBe(true);
    await wire.settle();
    expect(call.outcomes).toEqual([{ value: 4 * SIZE }]);
    expect(near.stored).toBe(1);
    await expectNothing(setting);
  });

  test("of a call that was given up meanwhile leave nothing", async () => {
    const setting = await acquainted({ maxOngoingRequests: 1 });
    const { caller, model, wire } = setting;
    await caller.ask("wait");
    const call = caller.send("sum", [filled(4)]);
    caller.cancel(call);
    await wire.settle();
    expect(caller.toldOf("refused")).toHaveLength(1);
    model.open.pop()!.resolve(0);
    await expectNothing(setting);
  });

  test("that the caller has kept go back from the replica, and are sent again", async () => {
    const setting = await acquainted({ maxOngoingRequests: 1 });
    const { caller, model, near, far, wire } = setting;
    await caller.ask("wait");
    const call = new TestCall("sum", [filled(6)]);
    call.body = new BodyPages(caller.context.formats, caller.context.sharing).encode(call);
    caller.session.send(call);
    await wire.settle();
    expect(caller.toldOf("refused")).toHaveLength(1);
    far.collect();
    await wire.settle();
    expect([near.stored, near.regions.size]).toEqual([1, 1]);
    model.open.pop()!.resolve(0);
    await wire.settle();
    caller.session.send(call);
    await wire.settle();
    expect(call.outcomes).toEqual([{ value: 6 * SIZE }]);
    await expectNothing(setting);
  });

  test("by a replica that is about to stop are nobody's any more when the call is given up", async () => {
    const setting = await acquainted();
    const { caller, wire, near } = setting;
    const call = caller.send("sum", [filled(1)]);
    void wire.replica.drain();
    await wire.settle();
    expect(caller.toldOf("refused")).toMatchObject([{ reason: "draining" }]);
    expect(near.regions.size).toBe(1);
    expect(call.body).toBeInstanceOf(SharedBody);
    call.body!.leave!(call);
    await expectNothing(setting);
  });
});

describe("one copy for several replicas", () => {
  test("of a body that is sent over two connections", async () => {
    const machine = new FakeMachine();
    const near = machine.process();
    const models = [new Model(), new Model()];
    const wires = models.map((model) => new Wire(model, { memory: machine.process() }));
    const first = wires[0]!.caller({ memory: near });
    const callers = [first, wires[1]!.caller({ context: first.context })];
    // The two callers are one process, and so share the clock of the first.
    const settleBoth = async (): Promise<void> => {
      for (const i of [0, 1, 0, 1]) await wires[i]!.settle();
    };
    for (const caller of callers) caller.send("sum", [filled(0)]);
    await settleBoth();
    const stored = near.stored;
    const calls = callers.map(() => new TestCall("keep", [filled(8)], { broadcast: true }));
    const body = new BodyPages(first.context.formats, first.context.sharing).encode(calls[0]!);
    for (const call of calls) {
      call.body = body;
      body.join!(call);
    }
    for (const [i, call] of calls.entries()) {
      callers[i]!.session.send(call);
    }
    await settleBoth();
    expect(near.stored - stored).toBe(1);
    expect(models.map(({ kept }) => kept)).toEqual([[filled(8)], [filled(8)]]);
    (wires[0]!.options.memory as FakeMemory).collect();
    await settleBoth();
    expect(near.regions.size).toBe(1);
    (wires[1]!.options.memory as FakeMemory).collect();
    await settleBoth();
    expect([near.regions.size, near.abandoned]).toEqual([0, 0]);
  });

  test("is written into the message for one that cannot map it", async () => {
    const setting = await acquainted();
    const { caller } = setting;
    const call = new TestCall("keep", [filled(8), { text: "beside it" }]);
    call.body = new BodyPages(caller.context.formats, caller.context.sharing).encode(call);
    const model = new Model();
    const wire = new Wire(model);
    const other = wire.caller({ context: caller.context });
    other.session.send(call);
    await wire.settle();
    expect(model.kept).toEqual([filled(8), { text: "beside it" }]);
    expect(call.outcomes).toEqual([{ value: undefined }]);
    await expectNothing(setting);
  });

  test("is what a policy of the user's sees of the arguments, apart from the region", async () => {
    const setting = await acquainted();
    const { formats, sharing } = setting.caller.context;
    const pages = new BodyPages(formats, sharing);
    const call = new TestCall("keep", [filled(8)]);
    call.body = pages.encode(call);
    const [seen] = pages.decode(call.template, call.body) as [Uint8Array];
    setting.caller.session.send(call);
    await setting.wire.settle();
    await expectNothing(setting);
    expect(seen).toEqual(filled(8));
  });
});

describe("a connection that ends", () => {
  test("leaves regions that the other side may see untouched, and gives back the rest", async () => {
    const setting = await acquainted();
    const { caller, model, near, wire } = setting;
    await caller.ask("keep", [filled(3)]);
    for (const { near: end } of wire.links) end.die(new Error("gone"));
    for (const { far: end } of wire.links) end.die(undefined);
    await wire.settle();
    expect([near.regions.size, near.abandoned]).toEqual([0, 1]);
    expect(model.kept[0]).toEqual(filled(3));
  });

  test("before a call has left gives its arguments back with what they refer to", async () => {
    let isBusy = false;
    const setting = await acquainted({ link: { keeps: () => isBusy } });
    const { caller, near, wire } = setting;
    // The connection takes one write, and no other behind it.
    isBusy = true;
    caller.send("keep", ["first"]);
    caller.links[0]!.near.endTurn();
    const call = caller.send("sumOf", [{ bytes: filled(5) }]);
    caller.links[0]!.break(new Error("gone"));
    isBusy = false;
    await wire.settle();
    const [told] = caller.toldOf("lost");
    expect(told!.lost.map(({ written }) => written)).toEqual([true, false]);
    expect([near.regions.size, near.abandoned]).toEqual([1, 0]);
    const next = wire.caller({ context: caller.context });
    next.session.send(call);
    await wire.settle();
    expect(call.outcomes).toEqual([{ value: 5 * SIZE }]);
    expect(near.regions.size).toBe(0);
  });
});

describe("a peer that breaks the rules", () => {
  /** A connection whose near end a test holds; it has offered the memory of `near`, and the replica has borrowed it. */
  async function borrowing(setting: Setting): Promise<{ link: Link; errors: unknown[] }> {
    const link = setting.wire.raw();
    const errors: unknown[] = [];
    const { destroy } = link.far;
    link.far.destroy = (error) => {
      errors.push(error);
      destroy.call(link.far, error);
    };
    link.near.start({ target: undefined, onTarget() {}, onBytes() {}, onWritable() {}, onClosed() {} });
    const preamble = new Uint8Array(56);
    preamble.set([0x48, 0x45, 0x4c, 0x49, 1, 0, 0, 0]);
    preamble.fill(99, 8, 24);
    preamble.set(token, 24);
    link.near.write(preamble);
    link.near.write(frame(FrameType.METHOD, new TextEncoder().encode("keep")));
    await setting.wire.settle();
    return { link, errors };
  }

  function frame(type: number, body: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(HEADER_BYTES + body.byteLength);
    new DataView(bytes.buffer).setUint32(0, body.byteLength, true);
    bytes[4] = type;
    bytes.set(body, HEADER_BYTES);
    return bytes;
  }

  const call = (...references: RegionReference[]): Uint8Array =>
    frame(
      FrameType.CALL,
      Uint8Array.of(
        ...new Uint8Array(8),
        2,
        0x80 + references.length,
        ...references.flatMap((reference) => [...referenceBytes(reference)]),
      ),
    );
  const lend = (process: number): Uint8Array => frame(FrameType.LEND, Uint8Array.of(0xab, process));
  const good: RegionReference = { id: 1, place: 101, byteLength: SIZE };

  const cases: readonly (readonly [what: string, frames: readonly Uint8Array[]])[] = [
    ["refers to memory that it has not offered", [call(good)]],
    ["refers to a region that there is not", [lend(0), call({ ...good, id: 9 })]],
    ["refers to another place than the region's", [lend(0), call({ ...good, place: 5 })]],
    ["refers to more than there is", [lend(0), call({ ...good, byteLength: SIZE + 1 })]],
    ["refers to less than is worth a region", [lend(0), call({ ...good, byteLength: SIZE - 1 })]],
    ["refers to more than a message may hold", [lend(0), call(...Array.from({ length: 5 }, () => good))]],
    ["offers twice", [lend(0), lend(0)]],
    ["borrows what it was not offered", [frame(FrameType.BORROW, new Uint8Array(0))]],
    ["returns what it has not got", [lend(0), frame(FrameType.RETURN, Uint8Array.of(1, 0, 0, 0))]],
    ["returns a part of an id", [lend(0), frame(FrameType.RETURN, Uint8Array.of(1, 0))]],
  ];
  test.each(cases)("%s: the connection is closed, and nobody else is harmed", async (_, frames) => {
    const setting = open({ limits: { maxMessageBytes: 4 * SIZE } });
    setting.near.store(filled(1));
    const { link, errors } = await borrowing(setting);
    for (const bytes of frames) {
      link.near.write(bytes);
      await setting.wire.settle();
    }
    expect(errors).toEqual([expect.any(ProtocolError)]);
    expect(setting.model.kept).toEqual([]);
    const mine = await setting.caller.ask("sum", [filled(2)]);
    expect(mine.outcomes).toEqual([{ value: 2 * SIZE }]);
    expect(setting.near.regions.get(1)!.bytes).toEqual(filled(1));
  });

  test("the same frames with a good reference are served", async () => {
    const setting = open();
    setting.near.store(filled(1));
    const { link, errors } = await borrowing(setting);
    for (const bytes of [lend(0), call(good)]) {
      link.near.write(bytes);
      await setting.wire.settle();
    }
    expect(errors).toEqual([]);
    expect(setting.model.kept).toEqual([filled(1)]);
  });
});
