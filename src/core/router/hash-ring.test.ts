import { describe, expect, it } from "vitest";
import { hashNumber, hashText } from "./hash.ts";
import { HashRing } from "./hash-ring.ts";

const KEYS = 20_000;

function owners(ids: readonly string[]): string[] {
  const ring = new HashRing(ids);
  return Array.from({ length: KEYS }, (_, i) => ring.replicaAt(ring.find(hashText(`session-${i}`))));
}

const ids = (count: number) => Array.from({ length: count }, (_, i) => `shop#Pricing#${i.toString(36)}`);

describe("HashRing", () => {
  it("is the same whatever the order of the replicas", () => {
    const shuffled = ids(9).sort((a, b) => hashText(a) - hashText(b));
    expect(shuffled).not.toEqual(ids(9));
    expect(owners(shuffled)).toEqual(owners(ids(9)));
  });

  it("gives each replica a fair share", () => {
    const shares = new Map<string, number>();
    for (const owner of owners(ids(10))) shares.set(owner, (shares.get(owner) ?? 0) + 1);
    expect(shares.size).toBe(10);
    for (const share of shares.values()) {
      expect(share).toBeGreaterThan(KEYS / 10 / 1.5);
      expect(share).toBeLessThan((KEYS / 10) * 1.5);
    }
  });

  it("moves only the share of a replica that comes or goes", () => {
    const [before, after] = [owners(ids(10)), owners(ids(11))];
    const moved = before.filter((owner, i) => owner !== after[i]).length;
    expect(moved).toBeGreaterThan(KEYS / 11 / 1.5);
    expect(moved).toBeLessThan((KEYS / 11) * 1.5);
    // Whatever moved went to the new one: nothing was passed about among the others.
    expect(before.every((owner, i) => after[i] === owner || after[i] === ids(11)[10])).toBe(true);
  });

  it("goes round at the end", () => {
    const ring = new HashRing(["a"]);
    expect(ring.replicaAt(ring.find(0xffffffff))).toBe("a");
    expect(ring.replicaAt(ring.points)).toBe("a");
  });
});

describe("hashes", () => {
  it("are those of murmur3 over UTF-16, little-endian, and fixed: other processes must agree", () => {
    // From an independent implementation.
    const known: [string, number, number][] = [
      ["", 0, 0],
      ["a", 0, 1867108634],
      ["session-1", 0, 1075467182],
      ["session-1", 7, 1562328450],
      ["\u00e9\u{1f600}", 0, 2273808744],
    ];
    for (const [text, seed, hash] of known) expect(hashText(text, seed)).toBe(hash);
    expect(hashNumber(1)).not.toBe(hashNumber(2 ** 32 + 1));
  });

  it("spread over 32 bits", () => {
    const buckets = new Uint32Array(64);
    for (let i = 0; i < 64_000; i++) {
      buckets[hashText(`k${i}`) >>> 26]!++;
      buckets[hashNumber(i) >>> 26]!++;
    }
    for (const count of buckets) expect(Math.abs(count - 2_000)).toBeLessThan(300);
  });
});
