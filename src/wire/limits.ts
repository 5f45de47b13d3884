/** What a peer may ask of this process: beyond any of these a frame is refused, whoever sent it. */
export interface Limits {
  /** Encoded size of one value or of one call's arguments. @default 256 MiB */
  readonly maxMessageBytes: number;
  /** Body of one frame: a message and the few fields in front of it. @default 256 MiB + 1 MiB */
  readonly maxFrameBytes: number;
  /** Containers inside each other, and causes of causes. @default 1000 */
  readonly maxDepth: number;
  /** Slots of one array, holes included: the only count that a message need not pay for with bytes. @default 4_294_967_295 */
  readonly maxArrayLength: number;
  /** Digits of one BigInt, in bytes: reading it back takes more than linear time. @default 1 MiB */
  readonly maxBigIntBytes: number;
  /** Calls open at once on one connection; their ids are 20 bits wide. @default 1_048_576 */
  readonly maxConcurrentCalls: number;
  /** Items a stream may send before its reader has taken any. @default 256 */
  readonly streamWindowItems: number;
  /** Bytes a stream may send before its reader has taken any; the item that reaches it is still sent whole. @default 1 MiB */
  readonly streamWindowBytes: number;
  /** Bytes of a request's body that a caller may send before its reader has taken any. @default 512 KiB */
  readonly uploadWindowBytes: number;
}

const MIB = 1_048_576;

/** The limits that hold unless others are given; both sides of a connection should have the same. */
export const defaultLimits: Limits = {
  maxMessageBytes: 256 * MIB,
  maxFrameBytes: 257 * MIB,
  maxDepth: 1_000,
  maxArrayLength: 4_294_967_295,
  maxBigIntBytes: MIB,
  maxConcurrentCalls: 1_048_576,
  streamWindowItems: 256,
  streamWindowBytes: MIB,
  uploadWindowBytes: MIB / 2,
};
