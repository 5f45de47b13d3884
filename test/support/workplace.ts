import type { ContextStore } from "../../src/core/contracts/context-store.ts";
import type { Log } from "../../src/core/contracts/log.ts";
import type { RequestScope } from "../../src/core/handle/context.ts";
import type { Peer } from "../../src/core/replica/peer.ts";
import { type FakeCallFields, FakeIncomingCall } from "../../src/testing/fake-incoming-call.ts";
import type { IncomingCall } from "../../src/core/replica/incoming-call.ts";
import { ReplicaModels } from "../../src/core/replica/replica-models.ts";
import type { ReplicaIdentity } from "../../src/core/replica/replica.ts";
import type { ReplicaFacilities, Workplace } from "../../src/core/replica/workplace.ts";
import { contextStore } from "../../src/engine/context-store.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";

/** A place to batch and to load models in, on virtual time, with replicas and requests as a test wants them. */
export class TestWorkplace implements Workplace {
  readonly clock = new ManualClock();
  readonly warnings: string[] = [];
  readonly errors: string[] = [];
  readonly log: Log = {
    debug() {},
    info() {},
    warn: (message) => void this.warnings.push(message),
    error: (message) => void this.errors.push(message),
  };
  readonly contexts: ContextStore<RequestScope> = contextStore();
  readonly residence: ContextStore<ReplicaIdentity> = contextStore();
  readonly facilities = new WeakMap<ReplicaIdentity, ReplicaFacilities>();

  identity(): ReplicaIdentity | undefined {
    return this.contexts.get()?.identity ?? this.residence.get();
  }

  replica(name = "Model#1", maxOngoingRequests = 100): TestReplica {
    const replica = new TestReplica(this, name);
    this.facilities.set(replica.identity, {
      clock: this.clock,
      log: this.log,
      models: replica.models,
      maxOngoingRequests,
    });
    return replica;
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      this.clock.turn();
      await new Promise((resolve) => void setImmediate(resolve));
    }
  }

  /** Lets `ms` pass, and what that sets off happen. */
  async pass(ms: number): Promise<void> {
    await this.settle();
    this.clock.advance(ms);
    await this.settle();
  }
}

export class TestReplica {
  readonly identity: ReplicaIdentity;
  readonly models: ReplicaModels;
  /** What was announced, oldest first. */
  readonly announced: (readonly string[])[] = [];
  readonly #place: TestWorkplace;
  #requests = 0;

  constructor(place: TestWorkplace, replicaId: string) {
    this.#place = place;
    this.identity = { app: "default", deployment: "Model", replicaId, rank: 0, worldSize: 1, codeVersion: "1" };
    this.models = new ReplicaModels({ clock: place.clock, announce: (modelIds) => void this.announced.push(modelIds) });
  }

  /** Runs life-cycle code, such as a constructor. */
  reside<T>(fn: () => T): T {
    return this.#place.residence.run(this.identity, fn);
  }

  /** A request that runs until `end`. */
  request(modelId = "", options: Partial<Pick<IncomingCall, "deadlineMs" | "priority">> = {}): TestRequest {
    return new TestRequest(this.#place, this.identity, {
      multiplexedModelId: modelId,
      requestId: `r${this.#requests++}`,
      ...options,
    });
  }
}

const nobody: Peer = { ongoing: 0, waiting: false, calls: () => [], free() {}, drain() {} };

export class TestRequest {
  readonly scope: IncomingCall;
  readonly #place: TestWorkplace;

  constructor(place: TestWorkplace, identity: ReplicaIdentity, fields: FakeCallFields) {
    this.#place = place;
    this.scope = new FakeIncomingCall(nobody, fields);
    this.scope.begin({ identity, clock: place.clock });
  }

  run<T>(fn: () => T): T {
    return this.#place.contexts.run(this.scope, fn);
  }

  cancel(reason: unknown = "changed my mind"): void {
    this.scope.cancelled(reason);
  }

  /** Its work is over, as a replica notes it. */
  end(): void {
    this.scope.over();
  }
}
