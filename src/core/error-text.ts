import { HeliostatError } from "./errors.ts";

/** What people are told of an error: of our own the message, since where one was made says nothing; of others where they come from. */
export function errorText(error: unknown): string {
  if (HeliostatError.isInstance(error)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** What was thrown, as an error: users may throw anything. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  let text = "a value without text";
  try {
    text = String(thrown);
  } catch {
    // It stays as it is.
  }
  return new HeliostatError(`What was thrown is no error: ${text}`, { cause: thrown });
}
