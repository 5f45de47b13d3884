import { expect } from "vitest";
import { apply } from "../../src/core/controller/apply.ts";
import { newDeployment, retarget, type DeploymentState } from "../../src/core/controller/deployment-state.ts";
import { elapse, observe, type ReplicaEvent } from "../../src/core/controller/observe.ts";
import { isSettled, reconcile, type Action } from "../../src/core/controller/reconcile.ts";
import { snapshotOf } from "../../src/core/controller/snapshot-builder.ts";
import { nextTarget } from "../../src/core/controller/target.ts";
import type { DeploymentOptions } from "../../src/core/deployment/types.ts";
import { deploymentSpec } from "./specs.ts";

/** One deployment driven by hand: what `reconcile` asks for is noted as begun, and kept for the test to look at. */
export class Driven {
  state: DeploymentState;
  nowMs = 1_000;
  actions: readonly Action[] = [];
  #deploys = 1;
  #started = 0;

  constructor(options: Given) {
    this.state = newDeployment(nextTarget(deploymentSpec("D", options), { app: "default", known: [], unused: 1 }));
    this.run();
  }

  deploy(options: Given): void {
    this.#deploys += 1;
    this.state = retarget(
      this.state,
      nextTarget(deploymentSpec("D", options), { app: "default", known: [this.state.target], unused: this.#deploys }),
    );
    this.run();
  }

  tell(replicaId: string, event: ReplicaEvent): void {
    this.observe(replicaId, event);
    this.run();
  }

  /** Without a step after it, as when two events come at once. */
  observe(replicaId: string, event: ReplicaEvent): void {
    this.state = observe(this.state, replicaId, { event, nowMs: this.nowMs });
  }

  ready(replicaId: string): void {
    this.tell(replicaId, { type: "ready", address: { memory: replicaId }, methods: [] });
  }

  wait(ms: number): void {
    this.nowMs += ms;
    this.run();
  }

  run(): void {
    const moment = { nowMs: this.nowMs, wallNowMs: 0, newReplicaId: () => `r${this.#started++}` };
    this.state = elapse(this.state, this.nowMs);
    this.actions = reconcile(this.state, moment);
    for (const action of this.actions) this.state = apply(this.state, action, moment);
    expect(reconcile(this.state, moment), "what is begun is not asked for again").toEqual([]);
  }

  /** Such as `start r3` of the last step. */
  get did(): string[] {
    return this.actions.map(({ type, replicaId }) => `${type} ${replicaId}`);
  }

  get routed(): string[] {
    return snapshotOf(this.state, { nodeId: "n", failure: undefined }).replicas.map(({ replicaId }) => replicaId);
  }
}

type Given = DeploymentOptions & { code?: string };

/** A deployment all of whose replicas run. */
export function running(options: Given): Driven {
  const driven = new Driven(options);
  for (const { replicaId } of driven.state.replicas) driven.ready(replicaId);
  expect(isSettled(driven.state)).toBe(true);
  return driven;
}
