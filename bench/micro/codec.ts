/**
 * What one value costs in each format.
 *
 * Plain loops over one value each, the best of six; good for comparing formats in one run, not across machines.
 */
import { deserialize, serialize } from "node:v8";
import { Packr } from "msgpackr";
import { ByteReader } from "../../src/wire/codec/reader.ts";
import { StructuredFormat } from "../../src/wire/codec/structured.ts";
import { ByteWriter } from "../../src/wire/codec/writer.ts";
import { suite, type Value } from "../harness/suite.ts";

const nested = {
  id: "req-000017",
  model: "translate-en-de",
  created: 1_790_000_000_123,
  options: { beam: 4, temperature: 0.7, topK: 40, stop: ["\n", "###"], stream: false, seed: null },
  items: Array.from({ length: 9 }, (_, i) => ({
    index: i,
    text: `sentence number ${i}, of ordinary length`,
    score: i / 7,
    tags: ["en", "news"],
    box: { x: i * 10, y: i * 20, width: 110, height: 24 },
  })),
  usage: { promptTokens: 812, completionTokens: 163, totalTokens: 975 },
};

const values: Record<string, unknown> = {
  small: { a: 1, b: "x" },
  call: ["predict", [{ a: 1, b: "x" }]],
  nested,
  "f32 600 KB": new Float32Array(150_000).fill(0.5),
  rich: new Map<string, unknown>([
    ["set", new Set([1, 2, 3])],
    ["date", new Date(0)],
    ["big", 12_345_678_901_234n],
    ["none", undefined],
    ["bytes", new Uint8Array(16)],
  ]),
};

const structured = new StructuredFormat();
const writer = new ByteWriter(new Uint8Array(1_048_576));
const reader = new ByteReader(writer.bytes);
const packr = new Packr({ useRecords: false });
let encodedBytes = 0;

/** Encode, then the decode of what it gave; undefined where a format does not carry the value. */
const formats: Record<string, { encode(value: unknown): unknown; decode(encoded: never): unknown }> = {
  structured: {
    encode(value) {
      writer.at = 0;
      structured.encode(value, writer, "result");
      return (encodedBytes = writer.at);
    },
    decode() {
      reader.reset(writer.bytes, 0, encodedBytes);
      return structured.decode(reader);
    },
  },
  JSON: {
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (encoded: Buffer) => JSON.parse(encoded.toString()) as unknown,
  },
  "v8.serialize": { encode: serialize, decode: (encoded: Buffer) => deserialize(encoded) as unknown },
  msgpackr: { encode: (value) => packr.pack(value), decode: (encoded: Buffer) => packr.unpack(encoded) as unknown },
};

await suite(async ({ smoke, quick }) => {
  const measureMs = smoke ? 1 : quick ? 20 : 40;
  const found: Value[] = [];
  for (const [what, value] of Object.entries(values)) {
    for (const [name, { encode, decode }] of Object.entries(formats)) {
      if (name === "JSON" && (what === "rich" || what.startsWith("f32"))) continue;
      if (name === "msgpackr" && what === "rich") continue; // It has no way to write a Map in this mode.
      const encoded = encode(value) as never;
      const of = { unit: "ns", better: "lower" } as const;
      found.push({ ...of, what: `${what}, ${name}, encode`, value: best(() => encode(value), measureMs) });
      found.push({ ...of, what: `${what}, ${name}, decode`, value: best(() => decode(encoded), measureMs) });
      const bytes = typeof encoded === "number" ? encoded : (encoded as Buffer).length;
      found.push({ what: `${what}, ${name}, size`, value: bytes, unit: "bytes", better: "lower" });
    }
  }
  return { values: found };
}, "free");

/** Nanoseconds of one call. */
function best(fn: () => unknown, measureMs: number): number {
  let fastest = Infinity;
  let count = 1;
  let kept: unknown;
  for (let round = 0; round < 6;) {
    const start = performance.now();
    for (let i = 0; i < count; i++) kept = fn();
    const ms = performance.now() - start;
    if (ms < measureMs / 2) {
      count *= 2;
      continue;
    }
    fastest = Math.min(fastest, (ms * 1e6) / count);
    round++;
  }
  if (kept === best) throw new Error("Never so; but the loop must not be optimised away.");
  return fastest;
}
