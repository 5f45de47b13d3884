/** Why a replica could not be made to run the version it should. */
export interface Failure {
  readonly phase: "load" | "construct" | "reconfigure" | "health" | "exit";
  /** What the user's code threw, as it is; for `exit`, an error that says how the process ended. */
  readonly error: unknown;
}

const PHASE_IN_WORDS: Record<Failure["phase"], string> = {
  load: "its code could not be loaded",
  construct: "its constructor threw",
  reconfigure: "its method reconfigure() threw",
  health: "its first health check failed",
  exit: "its process ended before it was ready",
};

/** Says in words what went wrong, such as `its constructor threw: no such model`. */
export function describeFailure(failure: Failure): string {
  return `${PHASE_IN_WORDS[failure.phase]}: ${messageOf(failure.error)}`;
}

/** The message of an error, or the text of anything else that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  try {
    return String(error);
  } catch {
    // An object without a prototype has no text.
    return typeof error;
  }
}
