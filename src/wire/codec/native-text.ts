/** Conversions between strings and bytes that are faster than the loops and the web's classes. */
export interface NativeText {
  /** Writes at `offset` as much of `text` as fits, and returns the number of bytes. */
  utf8Write(bytes: Uint8Array, text: string, offset: number): number;
  utf8Slice(bytes: Uint8Array, start: number, end: number): string;
  latin1Slice(bytes: Uint8Array, start: number, end: number): string;
  utf16Slice(bytes: Uint8Array, start: number, end: number): string;
  /** Number of bytes of `text` in UTF-8. */
  utf8Length(text: string): number;
}

/** The best that this runtime has: Node's own methods where they are, the web's elsewhere. */
export const nativeText: NativeText = ofBuffer() ?? portable();

type Slice = (this: Uint8Array, start: number, end: number) => string;
type Write = (this: Uint8Array, text: string, offset: number, length?: number) => number;
interface BufferLike {
  byteLength(text: string): number;
  readonly prototype: { utf8Write?: Write; utf8Slice?: Slice; latin1Slice?: Slice; ucs2Slice?: Slice };
}

/** These methods are not in Node's documentation, though libraries have leaned on them for years: what does not behave is not used. */
function ofBuffer(): NativeText | undefined {
  const buffer = (globalThis as { Buffer?: BufferLike }).Buffer;
  const methods = buffer?.prototype;
  const { utf8Write, utf8Slice, latin1Slice, ucs2Slice } = methods ?? {};
  if (buffer === undefined || !utf8Write || !utf8Slice || !latin1Slice || !ucs2Slice) return undefined;
  const native: NativeText = {
    utf8Write: (bytes, text, offset) => utf8Write.call(bytes, text, offset),
    utf8Slice: (bytes, start, end) => utf8Slice.call(bytes, start, end),
    latin1Slice: (bytes, start, end) => latin1Slice.call(bytes, start, end),
    utf16Slice: (bytes, start, end) => ucs2Slice.call(bytes, start, end),
    utf8Length: (text) => buffer.byteLength(text),
  };
  return behaves(native) ? native : undefined;
}

function behaves(native: NativeText): boolean {
  try {
    const bytes = new Uint8Array(8);
    if (native.utf8Write(bytes, "aé€", 1) !== 6 || native.utf8Slice(bytes, 1, 7) !== "aé€") return false;
    bytes.set([0xe9, 0x61, 0xac, 0x20]);
    return (
      native.latin1Slice(bytes, 0, 2) === "éa" && native.utf16Slice(bytes, 2, 4) === "€" && native.utf8Length("€") === 3
    );
  } catch {
    return false;
  }
}

/** The web's way; also what the others must agree with. */
export function portable(): NativeText {
  const encoder = new TextEncoder();
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  // The decoder of that name is for windows-1252, which differs from Latin-1 between 0x80 and 0x9f; and one for
  // UTF-16 would replace the lone surrogates for which that encoding is there.
  const codeUnits = (count: number, at: (i: number) => number): string => {
    let text = "";
    for (let done = 0; done < count; done += 4_096) {
      const part: number[] = [];
      for (let i = done; i < count && i < done + 4_096; i++) part.push(at(i));
      text += String.fromCharCode(...part);
    }
    return text;
  };
  return {
    utf8Write: (bytes, text, offset) => encoder.encodeInto(text, bytes.subarray(offset)).written,
    utf8Slice: (bytes, start, end) => utf8.decode(bytes.subarray(start, end)),
    latin1Slice: (bytes, start, end) => codeUnits(end - start, (i) => bytes[start + i]!),
    utf16Slice: (bytes, start, end) =>
      codeUnits((end - start) >> 1, (i) => bytes[start + 2 * i]! | (bytes[start + 2 * i + 1]! << 8)),
    utf8Length: (text) => encoder.encode(text).byteLength,
  };
}
