import { nativeText } from "./native-text.ts";

const ENTRIES = 1_024;
/** Longer names are rare, and comparing them costs as much as making them. */
const MAX_CHARS = 24;

const cached: (string | undefined)[] = new Array<undefined>(ENTRIES).fill(undefined);

/**
 * The property name of `length` Latin-1 characters at `bytes[at]`.
 *
 * Messages repeat a few names over and over, so the strings made for earlier ones are found by their bytes: no string is
 * made, and the engine already knows these as names. Shared by all readers; a name stays until another takes its place.
 */
export function cachedKey(bytes: Uint8Array, at: number, length: number): string {
  if (length === 0) return "";
  if (length > MAX_CHARS) return nativeText.latin1Slice(bytes, at, at + length);
  const slot =
    (bytes[at]! * 31 + bytes[at + length - 1]! * 7 + bytes[at + (length >> 1)]! * 131 + length * 521) & (ENTRIES - 1);
  const found = cached[slot];
  if (found !== undefined && found.length === length) {
    let i = 0;
    while (i < length && found.charCodeAt(i) === bytes[at + i]) i++;
    if (i === length) return found;
  }
  return (cached[slot] = shortText(bytes, at, length));
}

/** From here on the call into the runtime is cheaper than characters one by one. */
const NATIVE_CHARS = 12;

/** A short string of Latin-1 characters. */
export function shortText(bytes: Uint8Array, at: number, length: number): string {
  if (length > NATIVE_CHARS) return nativeText.latin1Slice(bytes, at, at + length);
  const { fromCharCode } = String;
  let text = "";
  let i = 0;
  for (; i + 4 <= length; i += 4)
    text += fromCharCode(bytes[at + i]!, bytes[at + i + 1]!, bytes[at + i + 2]!, bytes[at + i + 3]!);
  for (; i < length; i++) text += fromCharCode(bytes[at + i]!);
  return text;
}
