import { errorText } from "../core/error-text.ts";
import { HeliostatError } from "../core/errors.ts";

/** A command that has failed, and with which code it ends: 1 it failed, 2 it was asked for something wrong. */
export class CommandError extends Error {
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** 2 for what was wrong before anything was changed, 1 for everything else. */
export function exitCodeOf(error: unknown): 1 | 2 {
  if (error instanceof CommandError) return error.exitCode;
  return HeliostatError.isInstance(error) && error.code === "CONFIG" ? 2 : 1;
}

/** What people are told of it. */
export function textOf(error: unknown): string {
  return error instanceof CommandError ? error.message : errorText(error);
}
