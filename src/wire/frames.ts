/**
 * The frames of the protocol; `PROTOCOL.md` specifies them.
 *
 * ```
 *  0        4      5       6       8        12
 *  ├────────┼──────┼───────┼───────┼────────┼───────────────
 *  │ length │ type │ flags │  aux  │   id   │ body (length bytes)
 *  │  u32   │  u8  │  u8   │  u16  │  u32   │
 * ```
 *
 * Little-endian. The length is that of the body alone.
 */
export const HEADER_BYTES = 12;

/** What a frame is; the comment says who sends it and what `aux` holds. */
export const FrameType = {
  /** Caller: `aux` names the method of the body for this lane. */
  METHOD: 1,
  /** Caller: a request; `aux` is the method. */
  CALL: 2,
  /** Replica: the value of a plain call; `aux` is what other callers have running. */
  RESULT: 3,
  /** Replica: the error of a call or stream; `aux` as in RESULT. */
  ERROR: 4,
  /** Replica: one item of a stream; `aux` is its number modulo 65,536. */
  ITEM: 5,
  /** Replica: the stream has ended; `aux` as in RESULT; the body is the number of items. */
  END: 6,
  /** Caller: `aux` more items, and as many more bytes as the body says. */
  CREDIT: 7,
  /** Caller: stop working on a call. */
  CANCEL: 8,
  /** Replica: the call was not run and will not be; `aux` as in RESULT. */
  REFUSE: 9,
  /** Replica: a place is free; `aux` as in RESULT. */
  FREE: 10,
  /** Replica: it is about to stop; what it has accepted goes on. */
  DRAIN: 11,
  /** Both: one control message, on control connections only. */
  CONTROL: 12,
  /** Caller: an HTTP request, or the opening of a WebSocket; `aux` is 0. Answered as a stream is. */
  EXCHANGE: 13,
  /** Caller: a part of an exchange's body, or a message; only when the replica has given room. */
  PART: 14,
  /** Replica: it has accepted an exchange whose body comes in parts; as many bytes more may be sent as the body says. */
  ROOM: 15,
  /** Both: where the other side may find memory that this one lends. */
  LEND: 16,
  /** Both: what was offered can be seen from here. */
  BORROW: 17,
  /** Both: the ids of regions that nobody looks at here any more, one for each time they were lent. */
  RETURN: 18,
  /** Both: the connection ends now, and why; the last frame on its lane. */
  GOODBYE: 19,
} as const;

/** Bits 0 to 3 of a frame's flags; bits 4 and 5 are the format of its values, 6 and 7 (CALL) that of the reply. */
export const CallFlag = { STREAM: 1, META: 2, BROADCAST: 4, KEPT: 8 } as const;
/** In an ERROR frame: the body starts with the number of items before the error. */
export const ErrorFlag = { STREAM: 1 } as const;
/** Of an EXCHANGE; META and KEPT as of a CALL. */
export const ExchangeFlag = { PARTS: 1, META: 2, WEB_SOCKET: 4, KEPT: 8 } as const;
/** Of the RESULT and the ITEMs of an exchange: their bodies are no values. */
export const ReplyFlag = { EXCHANGE: 1, HEAD: 2, TEXT: 4, CLOSE: 8 } as const;
/** With CLOSE, the last part holds the code and the reason with which a WebSocket was closed. */
export const PartFlag = { LAST: 1, TEXT: 2, CLOSE: 4 } as const;
export const CancelFlag = { REASON: 1 } as const;
export const RefuseFlag = { DRAINING: 1 } as const;

/** Bits of the mask in front of a CALL's optional fields, in the order in which they follow. */
export const MetaField = {
  REQUEST_ID: 1,
  ROUTE: 2,
  MODEL_ID: 4,
  DEADLINE: 8,
  PRIORITY: 16,
  SENT: 32,
  BY_VALUE: 64,
  TRACE: 128,
  CLIENT: 256,
} as const;

/** A call id is an index into the caller's table and the generation of that entry, so that a late frame for an earlier call is known as such. */
export const CALL_INDEX_BITS = 20;
export const CALL_INDEX_MASK: number = (1 << CALL_INDEX_BITS) - 1;

export const PROTOCOL_VERSION = 1;
/** The first bytes of every connection: "HELI". */
export const MAGIC = 0x494c4548;
/** magic u32, version u16, lane u8, zero u8, peer id 16 bytes, token 32 bytes. */
export const PREAMBLE_BYTES = 56;
export const Lane = { SMALL: 0, BULK: 1, CONTROL: 2 } as const;
/** Bodies larger than this travel on the bulk lane where there is one. */
export const BULK_BYTES = 65_536;
/** What has been encoded is handed over when it reaches this, without waiting for the end of the turn. */
export const FLUSH_BYTES = 4_096;

export function saturate16(n: number): number {
  return n > 0xffff ? 0xffff : n;
}
