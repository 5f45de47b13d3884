import { describe } from "vitest";
import type { Mode } from "../harness.ts";
import { describeHandles } from "./handles.ts";

/** What holds wherever an application runs. */
export function describeBehaviours(mode: Mode): void {
  describe(mode, () => {
    describeHandles(mode);
  });
}
