import { describe } from "vitest";
import type { Mode } from "../harness.ts";
import { describeArguments } from "./arguments.ts";
import { describeEnding } from "./ending.ts";
import { describeErrors } from "./errors.ts";
import { describeHandles } from "./handles.ts";
import { describeLife } from "./life.ts";
import { describeMembers } from "./members.ts";
import { describeStreams } from "./streams.ts";
import { describeValues } from "./values.ts";

/** What holds wherever an application runs. */
export function describeBehaviours(mode: Mode): void {
  describe(mode, () => {
    describeHandles(mode);
    describeErrors(mode);
    describeEnding(mode);
    describeStreams(mode);
    describeMembers(mode);
    describeValues(mode);
    describeArguments(mode);
    describeLife(mode);
  });
}
