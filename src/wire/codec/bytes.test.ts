import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../core/errors.ts";
import { nativeText, portable } from "./native-text.ts";
import { ByteReader } from "./reader.ts";
import { ByteWriter } from "./writer.ts";

describe("a writer", () => {
  test("grows out of its slab and keeps what it holds", () => {
    const slab = new Uint8Array(8).subarray(2, 6);
    const writer = new ByteWriter(slab);
    writer.u32(0x04030201);
    expect(writer.bytes).toBe(slab);
    writer.u8(5);
    writer.f64(0.5);
    expect(writer.bytes).not.toBe(slab);
    expect([...writer.copy()]).toEqual([1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f]);
    expect([...slab]).toEqual([1, 2, 3, 4]);
  });

  test("lets a header be written over, and what was written be taken back", () => {
    const writer = new ByteWriter(new Uint8Array(4));
    writer.ensure(4);
    writer.at += 4;
    writer.utf8("héé");
    writer.view.setUint32(0, writer.at - 4, true);
    expect([...writer.copy()]).toEqual([5, 0, 0, 0, 0x68, 0xc3, 0xa9, 0xc3, 0xa9]);
    writer.at = 4;
    writer.append(Uint8Array.of(7, 8, 9), 1, 2);
    expect([...writer.copy(4)]).toEqual([8]);
    const other = new Uint8Array(2);
    writer.reset(other);
    writer.u8(1);
    expect([...other]).toEqual([1, 0]);
  });

  test("refuses to grow beyond its limit", () => {
    const writer = new ByteWriter(new Uint8Array(4));
    writer.limit = 10;
    writer.ensure(10);
    expect(() => writer.ensure(11)).toThrow(/too large/);
  });
});

describe("a reader", () => {
  test("never reads past its end, wherever the memory ends", () => {
    const bytes = new Uint8Array(32).fill(0x61);
    const reader = new ByteReader(bytes, 2, 5);
    for (const read of [
      () => reader.u32(),
      () => reader.f64(),
      () => reader.utf8(4),
      () => reader.copy(4),
      () => reader.take(0xffff_ffff),
    ]) {
      expect(read).toThrow(ProtocolError);
      expect(reader.at).toBe(2);
    }
    expect([reader.u16(), reader.u8()]).toEqual([0x6161, 0x61]);
    expect(() => reader.u8()).toThrow(ProtocolError);
  });

  test("reads where a view of memory begins, not where the memory does", () => {
    const memory = Uint8Array.from({ length: 16 }, (_, i) => i);
    const reader = new ByteReader(new Uint8Array(0));
    reader.reset(memory.subarray(3), 1, 9);
    expect([reader.u32(), reader.u16(), reader.utf8(2)]).toEqual([0x07060504, 0x0908, "\n\v"]);
    reader.reset(memory, 0, 2);
    expect(reader.u16()).toBe(0x0100);
  });
});

test("the web's way with text and the runtime's own agree", () => {
  const web = portable();
  for (const text of ["", "plain", "é".repeat(5_000), "\ufeff€😀", "x".repeat(9_000), "\u0080\u009f\u00ff"]) {
    const bytes = new Uint8Array(40_000);
    const other = new Uint8Array(40_000);
    const length = nativeText.utf8Write(bytes, text, 3);
    expect([web.utf8Write(other, text, 3), web.utf8Length(text), nativeText.utf8Length(text)]).toEqual([
      length,
      length,
      length,
    ]);
    expect(other).toEqual(bytes);
    expect([web.utf8Slice(bytes, 3, 3 + length), nativeText.utf8Slice(bytes, 3, 3 + length)]).toEqual([text, text]);
  }
  const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => i);
  expect(web.latin1Slice(bytes, 1, 9_999)).toBe(nativeText.latin1Slice(bytes, 1, 9_999));
  expect(web.utf16Slice(bytes, 1, 9_999)).toBe(nativeText.utf16Slice(bytes, 1, 9_999));
});
