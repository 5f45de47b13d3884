import type { Workplace } from "../core/replica/workplace.ts";
import { currentReplica, processState } from "../engine/process-state.ts";
import { wakefulClock } from "../engine/system-clock.ts";
import { stderrLog } from "../observe/log.ts";

/** Where code that users import without any context runs. */
export const workplace: Workplace = {
  clock: wakefulClock,
  log: stderrLog("warn", "heliostat"),
  contexts: processState.contexts,
  residence: processState.residence,
  facilities: processState.facilities,
  identity: currentReplica,
};
