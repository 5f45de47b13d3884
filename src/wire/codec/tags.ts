/** First byte of a message, as bits: how the rest is to be read. */
export const Header = { PLAIN: 0, REFERENCES: 1, SHARED: 2 } as const;

/** Below these, a tag holds a small number itself. */
export const SMALL_INT_END = 0x40;
export const SHORT_STRING = 0x40;
export const SHORT_STRING_END = 0x80;
export const SMALL_ARRAY = 0x80;
export const SMALL_ARRAY_END = 0xa0;

/** What follows; `PROTOCOL-values.md` specifies each. */
export const Tag = {
  UNDEFINED: 0xa0,
  NULL: 0xa1,
  FALSE: 0xa2,
  TRUE: 0xa3,
  INT8: 0xa4,
  INT16: 0xa5,
  INT32: 0xa6,
  DOUBLE: 0xa7,
  STRING8: 0xa8,
  STRING32: 0xa9,
  STRING_UTF16: 0xaa,
  BIGINT: 0xab,
  ARRAY: 0xac,
  OBJECT: 0xad,
  NULL_OBJECT: 0xae,
  END: 0xaf,
  HOLES: 0xb0,
  DATE: 0xb1,
  REGEXP: 0xb2,
  MAP: 0xb3,
  SET: 0xb4,
  BINARY: 0xb5,
  ERROR: 0xb6,
  EXTENSION: 0xb7,
  REFERENCE: 0xb8,
  SHARED: 0xb9,
} as const;

/** Binary of at least this size is padded so that its first byte is at a multiple of 8. */
export const ALIGNED_BYTES = 8_192;
/** Binary of at least this size may be left in shared memory, where both sides can reach it. */
export const SHARED_BYTES = 1_048_576;
