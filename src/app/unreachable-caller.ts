import { HeliostatError } from "../core/errors.ts";
import { Caller } from "../core/handle/caller.ts";
import { processState } from "../engine/process-state.ts";
import { systemClock } from "../engine/system-clock.ts";

/** A caller whose every call fails with `error`: for handles made where nothing runs. */
export function unreachableCaller(error: Error): Caller {
  const never = (): never => {
    throw new HeliostatError("A closed caller connects to nothing.");
  };
  const silent = (): void => {};
  const caller = new Caller({
    clock: systemClock,
    contexts: processState.contexts,
    directory: { subscribe: () => silent },
    connect: never,
    encoder: { encode: never, decode: never },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    nodeId: "local",
    requestIdPrefix: "none",
    resolvePolicy: () => undefined,
  });
  caller.close(error);
  return caller;
}
