import { ProtocolError } from "../core/errors.ts";

/** Extensions whose whole content is their bytes: undefined, BigInt, typed arrays, Date. */
const dataTypes = new Set([0x00, 0x42, 0x74, 0xff]);
/** Extensions of one byte, with the content as a value behind it: Set, RegExp. */
const prefixTypes = new Set([0x73, 0x78]);

/**
 * Walks over a MessagePack message without making anything of it.
 *
 * @throws {ProtocolError} if it promises more than it holds, is too deep, or has an extension that we do not write.
 */
export function checkMsgpack(
  bytes: Uint8Array,
  { maxDepth, boxType }: { readonly maxDepth: number; readonly boxType: number },
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** Values still to come, in each container that is open. */
  const open: number[] = [1];
  let at = 0;

  const take = (count: number): number => {
    if (count > bytes.length - at)
      throw new ProtocolError(
        `A message is cut short: ${count} more bytes were announced, ${bytes.length - at} are left.`,
      );
    at += count;
    return at - count;
  };
  const length = (size: 1 | 2 | 4): number => {
    const from = take(size);
    return size === 1 ? view.getUint8(from) : size === 2 ? view.getUint16(from) : view.getUint32(from);
  };
  const container = (count: number): void => {
    if (count > bytes.length - at)
      throw new ProtocolError(
        `A message is cut short: ${count} more values were announced in ${bytes.length - at} bytes.`,
      );
    open.push(count);
    if (open.length > maxDepth) throw new ProtocolError("A message is nested too deep.");
  };
  const extension = (size: number): void => {
    const type = length(1);
    const from = take(size);
    if (dataTypes.has(type)) return;
    if ((!prefixTypes.has(type) && type !== boxType) || size !== 1)
      throw new ProtocolError(
        `A message holds the MessagePack extension 0x${type.toString(16)}, which is not used here.`,
      );
    // The array behind it is iterated at once; a huge string would do as well, but we write none.
    if ((bytes[from + 1] ?? 0xc0) >> 4 !== 9 && bytes[from + 1] !== 0xdc && bytes[from + 1] !== 0xdd)
      throw new ProtocolError("A message holds a MessagePack extension without its content.");
    container(1);
  };

  while (open.length > 0) {
    const left = open.length - 1;
    if (open[left] === 0) {
      open.pop();
      continue;
    }
    open[left]!--;
    const token = length(1);
    if (token < 0x80 || token >= 0xe0) continue;
    if (token < 0x90) container(2 * (token - 0x80));
    else if (token < 0xa0) container(token - 0x90);
    else if (token < 0xc0) take(token - 0xa0);
    else check(token);
  }
  if (at !== bytes.length)
    throw new ProtocolError(`A value is followed by ${bytes.length - at} bytes that belong to nothing.`);

  function check(token: number): void {
    switch (token) {
      case 0xc0:
      case 0xc2:
      case 0xc3:
        return;
      case 0xc4:
      case 0xd9:
        return void take(length(1));
      case 0xc5:
      case 0xda:
        return void take(length(2));
      case 0xc6:
      case 0xdb:
        return void take(length(4));
      case 0xc7:
        return extension(length(1));
      case 0xc8:
        return extension(length(2));
      case 0xc9:
        return extension(length(4));
      case 0xcc:
      case 0xd0:
        return void take(1);
      case 0xcd:
      case 0xd1:
        return void take(2);
      case 0xca:
      case 0xce:
      case 0xd2:
        return void take(4);
      case 0xcb:
      case 0xcf:
      case 0xd3:
        return void take(8);
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return extension(1 << (token - 0xd4));
      case 0xdc:
        return container(length(2));
      case 0xdd:
        return container(length(4));
      case 0xde:
        return container(2 * length(2));
      case 0xdf:
        return container(2 * length(4));
      default:
        throw new ProtocolError(`A message holds the MessagePack type 0x${token.toString(16)}, which means nothing.`);
    }
  }
}
