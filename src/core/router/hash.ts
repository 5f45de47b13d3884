/** Hashes a text to 32 bits: murmur3 over its UTF-16 units, so that every process gives the same. */
export function hashText(text: string, seed = 0): number {
  let hash = seed | 0;
  const { length } = text;
  let i = 0;
  for (; i + 1 < length; i += 2) hash = mixBlock(hash, text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
  if (i < length) hash ^= scramble(text.charCodeAt(i));
  return avalanche(hash ^ (length * 2));
}

/** Hashes a whole number to 32 bits. */
export function hashNumber(value: number): number {
  return avalanche(mixBlock(mixBlock(0, value | 0), Math.floor(value / 2 ** 32)));
}

function mixBlock(hash: number, block: number): number {
  const mixed = hash ^ scramble(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function scramble(block: number): number {
  const spread = Math.imul(block, 0xcc9e2d51);
  return Math.imul((spread << 15) | (spread >>> 17), 0x1b873593);
}

function avalanche(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
