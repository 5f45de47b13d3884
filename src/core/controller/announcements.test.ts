import { expect, test } from "vitest";
import { Driven, running } from "../../../test/support/driven-deployment.ts";
import { snapshotOf } from "./snapshot-builder.ts";

const targets = (driven: Driven) => snapshotOf(driven.state, { nodeId: "n", failure: undefined }).replicas;

test("models and routing stats of each replica are in the snapshot, as last told", () => {
  const driven = running({ numReplicas: 2 });
  expect(targets(driven)).toMatchObject([
    { modelIds: [], stats: {} },
    { modelIds: [], stats: {} },
  ]);
  driven.tell("r1", { type: "models", modelIds: ["a", "b"] });
  driven.tell("r1", { type: "routing-stats", stats: { cached: 1 } });
  driven.tell("r1", { type: "routing-stats", stats: { cached: 2 } });
  expect(targets(driven)).toMatchObject([
    { modelIds: [], stats: {} },
    { modelIds: ["a", "b"], stats: { cached: 2 } },
  ]);
});

test("a replica that is not ready yet, or stops, is not heard", () => {
  const driven = new Driven({ numReplicas: 1 });
  driven.tell("r0", { type: "routing-stats", stats: { early: true } });
  driven.ready("r0");
  expect(targets(driven)).toMatchObject([{ stats: {} }]);
});
