import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as errors from "../../src/core/errors.ts";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const source = read("src/core/errors.ts");
const page = read("docs/reference/errors.md");

/** `## BACK_PRESSURE: BackPressureError`, and the text up to the next heading. */
const sections = [...page.matchAll(/^## ([A-Z_]+): (\w+)\n([\s\S]*?)(?=^## |$(?![\s\S]))/gm)].map(
  ([, code, name, text]) => ({ code: code!, name: name!, text: text! }),
);
const codes = [...source.matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map(([, code]) => code!);
const classes = Object.keys(errors);

test("there are codes and classes to look at", () => {
  expect(codes.length).toBeGreaterThan(10);
  expect(classes).toContain("BackPressureError");
});

test("every code has a section, and nothing else has", () => {
  expect(sections.map(({ code }) => code).toSorted()).toEqual(codes.toSorted());
});

test("every class has a section, and nothing else has", () => {
  expect(sections.map(({ name }) => name).toSorted()).toEqual(classes.toSorted());
});

describe.each(sections)("$code", ({ code, name, text }) => {
  const Class = (errors as Record<string, unknown>)[name] as new (
    message: string,
    fields: object,
  ) => errors.HeliostatError;
  const error = new Class("message", {});

  test("is the code of its class", () => {
    expect(error).toBeInstanceOf(errors.HeliostatError);
    expect(error.code).toBe(code);
  });

  test("says truly whether it is retryable", () => {
    expect(/^Retryable: (yes|no)/m.exec(text)?.[1]).toBe(error.retryable ? "yes" : "no");
  });

  test("names every field", () => {
    const own = Object.keys(error).filter((key) => key !== "code" && key !== "retryable");
    for (const field of own) expect(text).toContain(`\`${field}\``);
  });

  test("says when it comes, shows a message and what to do", () => {
    for (const part of ["When:", "Example:", "What to do:"]) expect(text).toContain(part);
  });
});
