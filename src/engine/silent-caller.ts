import { HeliostatError } from "../core/errors.ts";
import { Caller } from "../core/handle/caller.ts";
import { processState } from "./process-state.ts";
import { systemClock } from "./system-clock.ts";

const nothing = new Uint8Array(0);

/** A caller that reaches nobody: its calls wait for ever. `onUse` is told of the first one. */
export function silentCaller(onUse: () => void): Caller {
  const ignore = (): void => {};
  return new Caller({
    clock: systemClock,
    contexts: processState.contexts,
    directory: {
      subscribe() {
        onUse();
        return ignore;
      },
    },
    connect() {
      throw new HeliostatError("This caller connects to nothing.");
    },
    encoder: { encode: () => ({ bytes: nothing, start: 0, end: 0 }), decode: () => [] },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    nodeId: "local",
    requestIdPrefix: "none",
    resolvePolicy: () => undefined,
  });
}
