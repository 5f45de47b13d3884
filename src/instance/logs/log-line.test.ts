import { expect, it } from "vitest";
import { dated, LineReader, merged } from "./log-line.ts";

const at = (second: number): string => `2030-01-01T00:00:0${second}.000Z`;
const ms = (second: number): number => Date.parse(at(second));

it("puts the replica in front of what a program writes by itself, and leaves our own lines as they are", () => {
  const reader = new LineReader("My Model#0a1b2c");
  expect(reader.read("hello")).toMatchObject({ text: "My Model#0a1b2c: hello", level: "info", atMs: undefined });
  const own = `${at(1)} My Model#0a1b2c warn: it is late: very`;
  expect(reader.read(own)).toMatchObject({ text: own, level: "warn", atMs: ms(1) });
  expect(reader.read("Other#1 error: x")).toMatchObject({ text: "My Model#0a1b2c: Other#1 error: x", level: "info" });
  expect(reader.read(`${at(1)} heliostat error: x`)).toMatchObject({
    text: `My Model#0a1b2c: ${at(1)} heliostat error: x`,
    level: "error",
  });
  const instance = new LineReader(undefined);
  expect(instance.read("(node:7) Warning")).toMatchObject({ text: "(node:7) Warning", level: "info" });
  expect(instance.read("heliostat error: no time")).toMatchObject({ level: "error", atMs: undefined });
});

it("gives the lines of a stack the level of what they belong to", () => {
  const reader = new LineReader("M#1");
  const levels = ["M#1 error: it broke", "    at a.ts:1", "    at b.ts:2", "hello", "  indented", ""].map(
    (line) => reader.read(line).level,
  );
  expect(levels).toEqual(["error", "error", "error", "info", "info", "info"]);
});

it("merges files by time, where a line has none by those near it, and keeps the order of each", () => {
  const lines = (replicaId: string, ...texts: string[]) => {
    const reader = new LineReader(replicaId);
    return texts.map((text) => reader.read(text));
  };
  const a = dated(
    lines("A", "begins", `${at(1)} A info: one`, "between", `${at(5)} A warn: five`, "  its stack", "the last"),
    ms(9),
  );
  expect(a.map(({ atMs }) => atMs)).toEqual([ms(1), ms(1), ms(1), ms(5), ms(5), ms(9)]);
  const b = dated(lines("B", "without", "times"), ms(6));
  const c = dated(lines("C", `${at(3)} C info: three`), ms(3));
  expect(merged([a, b, c]).map(({ text }) => text.replace(/^2030\S+ /, ""))).toEqual([
    "A: begins",
    "A info: one",
    "A: between",
    "C info: three",
    "A warn: five",
    "A:   its stack",
    "B: without",
    "B: times",
    "A: the last",
  ]);
});
