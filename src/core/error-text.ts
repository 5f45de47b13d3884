import { HeliostatError } from "./errors.ts";

/** What people are told of an error: of our own the message, since where one was made says nothing; of others where they come from. */
export function errorText(error: unknown): string {
  if (HeliostatError.isInstance(error)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
