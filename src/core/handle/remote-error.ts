/**
 * Lets the stack of an error that came from a replica go on with the place of the call.
 *
 * ```
 * RangeError: too long
 *     at Tokenizer.encode (file:///app/tokenizer.ts:12:11)
 *     at remote call (Tokenizer.encode)
 *     at main (file:///app/main.ts:7:23)
 * ```
 *
 * @param localStack as an Error has it: its first line, which names an error, is left out.
 */
export function appendLocalStack(error: Error, localStack: string, callee = "a replica"): void {
  const frames = framesOf(localStack);
  const remote = typeof error.stack === "string" ? error.stack : `${error.name}: ${error.message}`;
  const stack = `${remote}\n    at remote call (${callee})${frames === "" ? "" : `\n${frames}`}`;
  // An error that cannot be changed keeps the stack it has.
  Reflect.defineProperty(error, "stack", { value: stack, writable: true, configurable: true, enumerable: false });
}

function framesOf(stack: string): string {
  return stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .join("\n");
}
