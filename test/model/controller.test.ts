import fc from "fast-check";
import { expect, test } from "vitest";
import type { Log } from "../../src/core/contracts/log.ts";
import { HandleReference, type ApplicationSpec } from "../../src/core/deployment/spec.ts";
import type { DeploymentSnapshot } from "../../src/core/router/snapshot.ts";
import { Controller } from "../../src/control/controller.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { FakeEngine, healthy, type FakeReplica } from "../support/fake-engine.ts";
import { applicationSpec, deploymentSpec } from "../support/specs.ts";

const DEPLOYMENTS = ["Model", "Ingress"];
const WIDTH = 0.5;
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

interface Variant {
  readonly replicas: number;
  readonly code: string;
  readonly userConfig: number | undefined;
  readonly maxOngoingRequests: number;
  readonly withModel: boolean;
}

/** What a replica may do next; `pick` chooses which. */
type Deed = "ready" | "construct" | "load" | "exit" | "worn-out" | "sick" | "well" | "reconfigured" | "refuse" | "end";

type Step =
  | { readonly type: "deploy"; readonly variant: Variant }
  | { readonly type: "delete" }
  | { readonly type: "deed"; readonly deed: Deed; readonly pick: number }
  | { readonly type: "advance"; readonly ms: number };

const variant: fc.Arbitrary<Variant> = fc.record({
  replicas: fc.integer({ min: 1, max: 4 }),
  code: fc.constantFrom("A", "B", "C"),
  userConfig: fc.constantFrom(undefined, 1, 2),
  maxOngoingRequests: fc.constantFrom(5, 6),
  withModel: fc.boolean(),
});
// A trace of nothing but failures would seldom get anywhere, so what goes well is more frequent.
const deed = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Deed>("ready") },
  { weight: 2, arbitrary: fc.constantFrom<Deed[]>("end", "well", "reconfigured") },
  { weight: 2, arbitrary: fc.constantFrom<Deed[]>("construct", "load", "exit", "worn-out", "sick", "refuse") },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: fc.constant("deploy" as const), variant }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("delete" as const) }) },
  { weight: 12, arbitrary: fc.record({ type: fc.constant("deed" as const), deed, pick: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("advance" as const),
      ms: fc.constantFrom(1, 500, 1_000, 10_000, 30_000, 100_000),
    }),
  },
);

function applicationOf({ replicas, code, userConfig, maxOngoingRequests, withModel }: Variant): ApplicationSpec {
  const options = {
    code,
    maxOngoingRequests,
    rollingUpdatePercentage: WIDTH,
    ...(userConfig === undefined ? {} : { userConfig }),
  };
  const model = deploymentSpec("Model", { ...options, numReplicas: replicas });
  const ingress = deploymentSpec("Ingress", {
    ...options,
    code: "Ingress",
    initArgs: withModel ? [new HandleReference("default", "Model")] : [],
  });
  return applicationSpec(withModel ? [model, ingress] : [ingress]);
}

/** One run of the controller, with everything checked after every step. */
class World {
  readonly clock = new ManualClock();
  readonly engine = new FakeEngine(this.clock, {});
  readonly latest = new Map<string, DeploymentSnapshot>();
  readonly outcomes: ("pending" | "done" | "failed")[] = [];
  /** The most replicas that were wanted since the last time all was as wanted. */
  #most = 1;
  readonly controller = new Controller({ clock: this.clock, log: silent, nodeId: "n", engines: () => this.engine });
  readonly #unsubscribe = DEPLOYMENTS.map((name) =>
    this.controller.directory.subscribe("default", name, (snapshot) => this.#hear(snapshot)),
  );

  async take(step: Step): Promise<void> {
    switch (step.type) {
      case "deploy": {
        this.#most = Math.max(this.#most, step.variant.replicas);
        const index = this.outcomes.push("pending") - 1;
        this.controller.deploy(applicationOf(step.variant)).then(
          () => (this.outcomes[index] = "done"),
          () => (this.outcomes[index] = "failed"),
        );
        break;
      }
      case "delete":
        void this.controller.delete("default");
        break;
      case "deed":
        this.#act(step.deed, step.pick);
        break;
      case "advance":
        this.clock.advance(step.ms);
        break;
    }
    await this.settle();
    this.check();
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 6; round++) {
      this.clock.turn();
      await Promise.resolve();
    }
  }

  /** From now on no replica fails, and what was left unanswered is answered. */
  async heal(): Promise<void> {
    this.engine.behaviour = healthy;
    for (const replica of this.engine.alive) {
      replica.behaviour = healthy;
      if (isLeaving(replica)) replica.exit("exited with code 0");
      else if (!replica.isReady) replica.ready();
      const told = replica.told("reconfigure").at(-1);
      if (told !== undefined) replica.say({ type: "reconfigured", id: told.id });
    }
    for (let round = 0; round < 20; round++) {
      this.clock.advance(20_000);
      await this.settle();
      this.check();
    }
  }

  check(): void {
    for (const snapshot of this.latest.values()) {
      const routed = snapshot.replicas.map(({ replicaId }) => this.engine.replicas.find(({ id }) => id === replicaId)!);
      for (const replica of routed) {
        expect(replica.isAlive && replica.isReady && !isLeaving(replica), `${replica.id} may be routed to`).toBe(true);
      }
      const ranks = routed.map(({ spec }) => spec.rank);
      expect(new Set(ranks).size, "no two routed replicas have one rank").toBe(ranks.length);
    }
    for (const name of DEPLOYMENTS) {
      const live = this.engine.of(name).filter((replica) => !isLeaving(replica));
      expect(live.length, `live replicas of ${name}`).toBeLessThanOrEqual(this.#most + Math.ceil(WIDTH * this.#most));
    }
  }

  checkConverged(): void {
    expect(this.outcomes).not.toContain("pending");
    const app = this.controller.status().applications["default"];
    for (const name of DEPLOYMENTS) {
      const deployment = app?.deployments[name];
      const alive = this.engine.of(name);
      expect(alive.map(({ spec }) => spec.rank).toSorted(), `ranks of ${name}`).toEqual(
        Array.from({ length: deployment?.targetReplicas ?? 0 }, (_, rank) => rank),
      );
      expect(new Set(alive.map(({ spec }) => spec.code.name)).size, "one version only").toBeLessThanOrEqual(1);
      const { state, replicas } = this.latest.get(name)!;
      // Of a failed first deploy the reason stays; both make callers give up at once.
      expect(deployment === undefined ? ["gone", "failed"] : ["available"]).toContain(state);
      expect(replicas.map(({ replicaId }) => replicaId).toSorted()).toEqual(alive.map(({ id }) => id).toSorted());
      if (deployment !== undefined) expect(["HEALTHY", "DEPLOY_FAILED"]).toContain(deployment.status);
    }
    if (this.outcomes.at(-1) === "done" && app !== undefined) expect(app.status).toBe("RUNNING");
    this.#most = app?.deployments["Model"]?.targetReplicas ?? 1;
  }

  async end(): Promise<void> {
    const closing = this.controller.shutdown();
    for (let round = 0; round < 5; round++) {
      await this.settle();
      this.clock.advance(30_000);
    }
    await closing;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    expect(this.engine.alive).toEqual([]);
    expect(this.controller.isIdle()).toBe(true);
    expect(this.clock.pendingTimers).toBe(0);
    expect(this.outcomes).not.toContain("pending");
  }

  #hear(snapshot: DeploymentSnapshot): void {
    expect(snapshot.version).toBeGreaterThan(this.latest.get(snapshot.deployment)?.version ?? 0);
    this.latest.set(snapshot.deployment, snapshot);
  }

  #act(deed: Deed, pick: number): void {
    const able = this.engine.alive.filter((replica) => isAble(replica, deed));
    const replica = able[pick % able.length];
    if (replica === undefined) return;
    switch (deed) {
      case "ready":
        return replica.ready();
      case "construct":
      case "load":
        return replica.fail(deed, new Error(deed));
      case "exit":
      case "end":
        return replica.exit("it ended");
      case "worn-out":
        return replica.say({ type: "worn-out", reason: "memory" });
      case "sick":
        return replica.say({ type: "health", id: replica.told("check-health").at(-1)!.id, error: new Error("sick") });
      case "well":
        return replica.say({ type: "health", id: replica.told("check-health").at(-1)!.id });
      case "reconfigured":
        return replica.say({ type: "reconfigured", id: replica.told("reconfigure").at(-1)!.id });
      case "refuse":
        return replica.say({
          type: "reconfigured",
          id: replica.told("reconfigure").at(-1)!.id,
          error: new Error("refused"),
        });
    }
  }
}

function isAble(replica: FakeReplica, deed: Deed): boolean {
  switch (deed) {
    case "ready":
    case "construct":
    case "load":
      return !replica.isReady && !isLeaving(replica);
    case "end":
      return isLeaving(replica);
    case "sick":
    case "well":
      return replica.told("check-health").length > 0;
    case "reconfigured":
    case "refuse":
      return replica.told("reconfigure").length > 0;
    case "exit":
    case "worn-out":
      return true;
  }
}

function isLeaving(replica: FakeReplica): boolean {
  return replica.kills > 0 || replica.told("stop").length > 0;
}

test("whatever replicas do, the controller keeps its promises, converges when failures stop, and leaves nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
      const world = new World();
      for (const each of steps) await world.take(each);
      await world.heal();
      world.checkConverged();
      await world.end();
    }),
    { numRuns: 300 },
  );
}, 60_000);

test("it ends cleanly in the middle of anything, also if no replica ever answers again", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
      const world = new World();
      for (const each of steps) await world.take(each);
      world.engine.behaviour = { kill: healthy.kill! };
      for (const replica of world.engine.alive) {
        replica.behaviour = { kill: healthy.kill! };
        if (replica.kills > 0) replica.exit("killed by SIGKILL");
      }
      await world.end();
    }),
    { numRuns: 200 },
  );
}, 60_000);
