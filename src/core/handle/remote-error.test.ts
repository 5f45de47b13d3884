import { expect, test } from "vitest";
import { appendLocalStack } from "./remote-error.ts";

test("the remote part comes first, then the call, then where it was made", () => {
  const error = new RangeError("too long");
  error.stack = "RangeError: too long\n    at Tokenizer.encode (tokenizer.ts:12:11)";
  appendLocalStack(error, "Error: \n    at main (main.ts:7:23)\n    at async run (main.ts:9:1)", "Tokenizer.encode");
  expect(error.stack).toBe(
    [
      "RangeError: too long",
      "    at Tokenizer.encode (tokenizer.ts:12:11)",
      "    at remote call (Tokenizer.encode)",
      "    at main (main.ts:7:23)",
      "    at async run (main.ts:9:1)",
    ].join("\n"),
  );
  expect(Object.keys(error)).toEqual([]);
});

test("an error without a stack gets one, and one that is frozen stays as it is", () => {
  const bare = new Error("m");
  Object.defineProperty(bare, "stack", { value: undefined, configurable: true });
  appendLocalStack(bare, "Error", "D.m");
  expect(bare.stack).toBe("Error: m\n    at remote call (D.m)");

  const frozen = Object.freeze(new Error("m"));
  const { stack } = frozen;
  appendLocalStack(frozen, "Error\n    at f (a.ts:1:1)", "D.m");
  expect(frozen.stack).toBe(stack);
});
