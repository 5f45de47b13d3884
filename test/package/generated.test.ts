import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { commandDocuments } from "../../scripts/command-documents.ts";
import { configDocuments } from "../../scripts/config-documents.ts";

const root = new URL("../../", import.meta.url);
/** The formatter decides about spaces. */
const plain = (text: string): string => text.replaceAll(/\s+|-{3,}/g, "");

it.each(Object.entries({ ...configDocuments(), ...commandDocuments() }))(
  "%s is what npm run generate makes",
  (path, text) => {
    expect(plain(readFileSync(new URL(path, root), "utf8"))).toBe(plain(text));
  },
);
