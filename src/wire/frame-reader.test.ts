import { expect, test } from "vitest";
import { HeliostatError, ProtocolError } from "../core/errors.ts";
import { FrameReader } from "./frame-reader.ts";
import { HEADER_BYTES } from "./frames.ts";

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly aux: number;
  readonly id: number;
  readonly body: Uint8Array;
}

function frame(id: number, length: number): Frame {
  return {
    type: 1 + (id % 12),
    flags: id % 256,
    aux: (id * 257) % 65_536,
    id: 0xff000000 + id,
    body: Uint8Array.from({ length }, (_, i) => (i * 7 + id) & 0xff),
  };
}

function bytesOf(frames: readonly Frame[]): Uint8Array {
  const total = frames.reduce((sum, { body }) => sum + HEADER_BYTES + body.byteLength, 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { type, flags, aux, id, body } of frames) {
    view.setUint32(at, body.byteLength, true);
    view.setUint8(at + 4, type);
    view.setUint8(at + 5, flags);
    view.setUint16(at + 6, aux, true);
    view.setUint32(at + 8, id, true);
    bytes.set(body, at + HEADER_BYTES);
    at += HEADER_BYTES + body.byteLength;
  }
  return bytes;
}

/** Reads chunks as a transport does: in a buffer that is written over afterwards, or where the reader wants them. */
function read(chunks: readonly Uint8Array[], options: { targets?: boolean; maxFrameBytes?: number } = {}): Frame[] {
  const got: Frame[] = [];
  const owned: { readonly bytes: Uint8Array; readonly copy: Uint8Array }[] = [];
  const reader = new FrameReader(options.maxFrameBytes ?? 1 << 20, (header, bytes, start, end) => {
    const { type, flags, aux, id } = header;
    const body = bytes.slice(start, end);
    got.push({ type, flags, aux, id, body });
    if (header.owned) owned.push({ bytes: bytes.subarray(start, end), copy: body });
  });
  for (const chunk of chunks) {
    let rest = chunk;
    while (options.targets && reader.target !== undefined && rest.byteLength > 0) {
      const { target } = reader;
      const length = Math.min(target.byteLength, rest.byteLength);
      target.set(rest.subarray(0, length));
      reader.advance(length);
      rest = rest.subarray(length);
    }
    const buffer = new Uint8Array(rest.byteLength + 16).fill(0xee);
    buffer.set(rest, 8);
    reader.push(buffer, 8, 8 + rest.byteLength);
    buffer.fill(0xee);
  }
  for (const { bytes, copy } of owned) expect(bytes).toEqual(copy);
  return got;
}

function cut(bytes: Uint8Array, ...at: number[]): Uint8Array[] {
  const edges = [0, ...at, bytes.byteLength];
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i]!, edge));
}

const small = [frame(1, 0), frame(2, 5), frame(3, 0), frame(4, 40), frame(5, 1)];
/** Around the size from which a frame that is cut has a buffer of its own (16,384). */
const mixed = [frame(1, 3), frame(2, 16_384), frame(3, 0), frame(4, 16_385), frame(5, 20_000), frame(6, 7)];

test("frames of one chunk arrive as they are", () => {
  expect(read([bytesOf(small)])).toEqual(small);
  expect(read([bytesOf(mixed)])).toEqual(mixed);
});

test.each([false, true])("small frames survive every cut into three (read into targets: %s)", (targets) => {
  const bytes = bytesOf(small);
  for (let a = 0; a <= bytes.byteLength; a++) {
    for (let b = a; b <= bytes.byteLength; b++) expect(read(cut(bytes, a, b), { targets })).toEqual(small);
  }
});

test("byte by byte", () => {
  const bytes = bytesOf(mixed);
  expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(mixed);
});

test.each([false, true])("large frames survive every cut near their edges (read into targets: %s)", (targets) => {
  const bytes = bytesOf(mixed);
  const cuts: number[] = [];
  let at = 0;
  for (const { body } of mixed) {
    const end = at + HEADER_BYTES + body.byteLength;
    for (let i = at; i <= Math.min(at + HEADER_BYTES + 2, end); i++) cuts.push(i);
    for (let i = Math.max(at, end - 2); i <= end; i++) cuts.push(i);
    at = end;
  }
  for (const a of cuts) {
    const got = read(cut(bytes, a), { targets });
    expect(got.length).toBe(mixed.length);
    got.forEach((each, i) => expect(Buffer.compare(each.body, mixed[i]!.body)).toBe(0));
    expect(got.map(({ body: _, ...header }) => header)).toEqual(mixed.map(({ body: _, ...header }) => header));
  }
});

test("a large frame whose header alone was cut, followed by others in the same chunk", () => {
  const frames = [frame(1, 30_000), frame(2, 4), frame(3, 30_000), frame(4, 0)];
  const bytes = bytesOf(frames);
  for (let at = 1; at < HEADER_BYTES; at++)
    expect(read(cut(bytes, at)).map(({ id, body }) => [id, body.byteLength])).toEqual(
      frames.map(({ id, body }) => [id, body.byteLength]),
    );
});

test("only a large frame that was put together is in memory of its own", () => {
  const owned: boolean[] = [];
  const reader = new FrameReader(1 << 20, (header) => owned.push(header.owned));
  const bytes = bytesOf([frame(1, 30_000), frame(2, 30_000), frame(3, 10)]);
  reader.push(bytes, 0, 40_000);
  expect(reader.target!.byteLength).toBe(2 * (HEADER_BYTES + 30_000) - 40_000);
  reader.push(bytes, 40_000, bytes.byteLength);
  expect(owned).toEqual([false, true, false]);
  expect(reader.target).toBeUndefined();
});

test("a large frame that lies alone in memory that was given stays where it is; others do not keep theirs", () => {
  const got: [id: number, owned: boolean, inPlace: boolean][] = [];
  let given: Uint8Array;
  const reader = new FrameReader(1 << 20, (header, bytes) =>
    got.push([header.id & 0xff, header.owned, bytes.buffer === given.buffer]),
  );
  const push = (bytes: Uint8Array, owned: boolean): void => {
    given = bytes;
    reader.push(bytes, 0, bytes.byteLength, owned);
  };
  const alone = bytesOf([frame(1, 30_000)]);
  push(alone, true);
  push(alone, false);
  push(bytesOf([frame(2, 100), frame(3, 30_000), frame(4, 100)]), true);
  push(bytesOf([frame(5, 30_000), frame(6, 30_000)]), true);
  push(bytesOf([frame(7, 1_000)]), true);
  const wide = new Uint8Array(100_000);
  wide.set(alone);
  push(wide.subarray(0, alone.byteLength), true);
  expect(got).toEqual([
    [1, true, true],
    [1, false, true],
    [2, false, true],
    [3, true, true],
    [4, false, true],
    [5, false, true],
    [6, false, true],
    [7, false, true],
    [1, false, true],
  ]);
});

test("memory for a large frame is asked for once, of its exact size", () => {
  const asked: number[] = [];
  const receive = (bytes: number): Uint8Array<ArrayBuffer> => {
    asked.push(bytes);
    return new Uint8Array(bytes).fill(0xee);
  };
  const got: Uint8Array[] = [];
  const reader = new FrameReader(1 << 20, (_, bytes, start, end) => got.push(bytes.slice(start, end)), { receive });
  const frames = [frame(1, 50_000), frame(2, 10), frame(3, 16_384)];
  for (const piece of cut(bytesOf(frames), 7, 20_000, 50_020)) reader.push(piece, 0, piece.byteLength);
  expect(asked).toEqual([50_000]);
  expect(got).toEqual(frames.map(({ body }) => body));
});

test("a frame over the limit is refused as soon as its header is there", () => {
  const bytes = bytesOf([frame(1, 0), frame(2, 100_000)]);
  const read5 = (...chunks: Uint8Array[]): Frame[] => read(chunks, { maxFrameBytes: 99_999 });
  expect(() => read5(bytes.subarray(0, 24))).toThrow(ProtocolError);
  expect(() => read5(bytes.subarray(0, 20), bytes.subarray(20, 24))).toThrow(ProtocolError);
  expect(() => read5(bytes)).toThrow(ProtocolError);
  expect(read([bytes], { maxFrameBytes: 100_000 })).toHaveLength(2);
});

test("a limit under the size of a carried frame holds too", () => {
  const bytes = bytesOf([frame(1, 200)]);
  expect(() => read([bytes], { maxFrameBytes: 199 })).toThrow(ProtocolError);
  expect(() => read(cut(bytes, 100), { maxFrameBytes: 199 })).toThrow(ProtocolError);
});

test("what a receiver throws comes out", () => {
  const reader = new FrameReader(1 << 20, () => {
    throw new HeliostatError("no");
  });
  expect(() => reader.push(bytesOf([frame(1, 3)]), 0, HEADER_BYTES + 3)).toThrow("no");
});
