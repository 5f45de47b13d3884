import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ByteReader } from "../../src/wire/codec/reader.ts";
import { StructuredFormat } from "../../src/wire/codec/structured.ts";
import { ByteWriter } from "../../src/wire/codec/writer.ts";
import { build, Reference } from "./described-value.ts";

interface Vector {
  readonly comment: string;
  readonly value: unknown;
  readonly hex: string | readonly [string, string, number];
}

const { vectors } = JSON.parse(readFileSync(new URL("vectors/structured.json", import.meta.url), "utf8")) as {
  vectors: Vector[];
};
const structured = new StructuredFormat({
  extension: {
    describe: (value) => (value instanceof Reference ? value.description : undefined),
    revive: (data) => new Reference(data),
  },
});

describe("the golden vectors of the structured format", () => {
  test.each(vectors)("$comment", ({ value: described, hex }) => {
    const expected = typeof hex === "string" ? hex : hex[0] + hex[1].repeat(hex[2]);
    const value = build(described);

    const writer = new ByteWriter();
    structured.encode(value, writer, "result");
    expect(Buffer.from(writer.copy()).toString("hex")).toBe(expected);

    const read = structured.decode(new ByteReader(Buffer.from(expected, "hex")));
    // What was read is written as the same bytes: identity, order and holes included.
    const again = new ByteWriter();
    structured.encode(read, again, "result");
    expect(Buffer.from(again.copy()).toString("hex")).toBe(expected);
    // An error's class is made anew, with the same name.
    if (value instanceof Error)
      expect([read, (read as Error).constructor.name]).toEqual([value, value.constructor.name]);
    else expect(read).toStrictEqual(value);
  });

  test("cover every tag of the format", () => {
    const written = new Set(vectors.map(({ hex }) => (typeof hex === "string" ? hex : hex[0]).slice(2, 4)));
    for (let tag = 0xa0; tag <= 0xb7; tag++) {
      const name = tag.toString(16);
      if (["af", "b0"].includes(name)) continue; // No values of their own.
      const inside = vectors.some(({ hex }) => typeof hex === "string" && hex.includes(name));
      expect(written.has(name) || inside, `tag ${name}`).toBe(true);
    }
  });
});
