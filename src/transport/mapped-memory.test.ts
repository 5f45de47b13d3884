import { closeSync, openSync, readdirSync, readlinkSync, writeSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { ProtocolError } from "../core/errors.ts";
import type { RegionReference } from "../wire/codec/shared-binary.ts";
import type { RemoteMemory, SharedMemory } from "../wire/shared-memory.ts";
import { openMappedMemory } from "./mapped-memory.ts";

const MIB = 1_048_576;
const token = new Uint8Array(32).fill(1);
const opened: SharedMemory[] = [];

function open(maxBytes = 16 * MIB, secret = token): SharedMemory {
  const memory = openMappedMemory(secret, maxBytes);
  if (memory === undefined) throw new Error("There is no shared memory here; npm install koffi.");
  opened.push(memory);
  return memory;
}

/** Memory of this process as another one would see it: the way is the same. */
function openBoth(maxBytes?: number): { memory: SharedMemory; remote: RemoteMemory } {
  const memory = open(maxBytes);
  return { memory, remote: memory.reach(memory.offer)! };
}

function numbered(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i + from);
}

const nothing = (): void => {};

/** Open files of the kind that regions are. */
function memoryFiles(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes("memfd:heliostat");
    } catch {
      return false;
    }
  }).length;
}

afterEach(() => {
  for (const memory of opened.splice(0)) memory.close();
  expect(memoryFiles()).toBe(0);
});

describe.skipIf(process.platform !== "linux")("mapped memory", () => {
  test("shows what was stored, to everybody who maps it", () => {
    const { memory, remote } = openBoth();
    const bytes = numbered(MIB + 77);
    const region = memory.store(bytes)!;
    bytes.fill(0);
    for (const _ of [1, 2]) {
      const buffer = remote.map(region, false, nothing);
      expect(new Uint8Array(buffer, 0, MIB + 77)).toEqual(numbered(MIB + 77));
    }
    region.release(true);
  });

  test("is of the exact length where that is asked for", () => {
    const { memory, remote } = openBoth();
    const region = memory.store(numbered(MIB + 3))!;
    expect(remote.map(region, true, nothing).byteLength).toBe(MIB + 3);
    expect(remote.map(memory.store(numbered(2 * MIB))!, true, nothing).byteLength).toBe(2 * MIB);
  });

  test("can be written to by each who maps it, which nobody else sees", () => {
    const { memory, remote } = openBoth();
    const region = memory.store(numbered(MIB))!;
    const [first, second] = [1, 2].map(() => new Uint8Array(remote.map(region, true, nothing))) as [
      Uint8Array,
      Uint8Array,
    ];
    first.fill(9);
    expect(first).toEqual(new Uint8Array(MIB).fill(9));
    expect(second).toEqual(numbered(MIB));
    expect(region.bytes).toEqual(numbered(MIB));
    expect(new Uint8Array(remote.map(region, true, nothing))).toEqual(numbered(MIB));
  });

  test("cannot be written to through the file by another process", () => {
    const { memory } = openBoth();
    const region = memory.store(numbered(MIB))!;
    const fd = openSync(`/proc/self/fd/${region.place}`, "r+");
    expect(() => writeSync(fd, new Uint8Array(8), 0, 8, 0)).toThrow(/EPERM/);
    closeSync(fd);
  });

  test("is used again when its last holder has let go, without a trace of what it held", () => {
    const { memory, remote } = openBoth();
    const first = memory.store(new Uint8Array(2 * MIB).fill(5))!;
    first.hold();
    first.release(true);
    expect(memory.store(numbered(MIB + 1))!.id).not.toBe(first.id);
    first.release(true);
    const again = memory.store(numbered(MIB + 1))!;
    expect(again.id).toBe(first.id);
    const buffer = remote.map(again, false, nothing);
    expect(new Uint8Array(buffer, 0, MIB + 1)).toEqual(numbered(MIB + 1));
    expect(new Uint8Array(buffer, MIB + 1).every((byte) => byte === 0)).toBe(true);
  });

  test("is never written to again when somebody may look at it still", () => {
    const { memory, remote } = openBoth();
    const region = memory.store(numbered(MIB))!;
    const seen = new Uint8Array(remote.map(region, true, nothing));
    region.hold();
    region.release(false);
    region.release(true);
    const files = memoryFiles();
    for (let i = 0; i < 4; i++) memory.store(new Uint8Array(MIB).fill(i))!.release(true);
    expect(memoryFiles()).toBe(files + 1);
    expect(seen).toEqual(numbered(MIB));
  });

  test("ends at its limit, and goes on when something was let go", () => {
    const memory = open(4 * MIB);
    const regions = [1, 2, 3, 4].map((fill) => memory.store(new Uint8Array(MIB).fill(fill)));
    expect(regions.every((region) => region !== undefined)).toBe(true);
    expect(memory.store(new Uint8Array(MIB))).toBeUndefined();
    regions[0]!.release(true);
    regions[1]!.release(true);
    // What is free makes room for what is of another size.
    const large = memory.store(numbered(2 * MIB))!;
    expect(large.bytes).toEqual(numbered(2 * MIB));
    expect(memory.store(new Uint8Array(MIB))).toBeUndefined();
  });

  test("is seen by those who know the same secret alone", () => {
    const mine = open();
    const other = open(16 * MIB, new Uint8Array(32).fill(2));
    expect(other.reach(mine.offer)).toBeUndefined();
    expect(mine.reach(other.offer)).toBeUndefined();
    expect(mine.reach(mine.offer)).toBeDefined();
  });

  test.each([
    ["cut short", (offer: Uint8Array) => offer.subarray(1)],
    ["with another sign", (offer: Uint8Array) => offer.map((byte, i) => (i === 3 ? byte ^ 1 : byte))],
    ["of a process that there is not", (offer: Uint8Array) => offer.map((byte, i) => (i === 19 ? 0x7f : byte))],
    ["of another file", (offer: Uint8Array) => offer.map((byte, i) => (i === 20 ? 0 : byte))],
  ])("an offer %s leads nowhere", (_, change) => {
    const memory = open();
    expect(memory.reach(change(memory.offer.slice()))).toBeUndefined();
  });

  test("a reference to anything else is a ProtocolError", () => {
    const { memory, remote } = openBoth();
    const region = memory.store(numbered(MIB))!;
    const other = openSync("/etc/passwd", "r");
    const { id, place } = region;
    const wrong: RegionReference[] = [
      { id, place: other, byteLength: MIB },
      { id, place: 0, byteLength: MIB },
      { id, place: 9_999, byteLength: MIB },
      { id: id + 1, place, byteLength: MIB },
      { id, place, byteLength: MIB + 1 },
      { id, place, byteLength: 0xffff_ffff },
    ];
    for (const reference of wrong) expect(() => remote.map(reference, false, nothing)).toThrow(ProtocolError);
    closeSync(other);
    region.release(true);
  });

  test("an array over it fails cleanly where it cannot do what another can", async () => {
    const { memory, remote } = openBoth();
    const array = new Float32Array(remote.map(memory.store(numbered(MIB))!, true, nothing), 0, 1_000);
    const first = [...array.subarray(0, 4)];
    expect(() => array.buffer.transfer()).toThrow(TypeError);
    expect(() => structuredClone(array, { transfer: [array.buffer] })).toThrow(/transfer/i);
    const { port1, port2 } = new MessageChannel();
    const received = new Promise((resolve) => (port2.onmessage = ({ data }) => resolve(data)));
    port1.postMessage(array);
    expect(await received).toEqual(array);
    port1.close();
    expect(structuredClone(array)).toEqual(array);
    expect([...array.subarray(0, 4)]).toEqual(first);
    expect(array.buffer.resizable).toBe(false);
    expect(await new Blob([array]).arrayBuffer()).toEqual(array.slice().buffer);
  });

  test("gives nothing and takes nothing once it is closed", () => {
    const memory = open();
    const region = memory.store(numbered(MIB))!;
    memory.close();
    expect(memory.store(numbered(MIB))).toBeUndefined();
    expect(memory.reach(memory.offer)).toBeUndefined();
    expect(() => region.release(true)).not.toThrow();
  });
});
