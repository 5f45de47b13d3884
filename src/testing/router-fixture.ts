import type { BodyEncoder, EncodedBody } from "../core/contracts/replica-client.ts";
import type { Log } from "../core/contracts/log.ts";
import { Call, CallState, type CallTemplate, noTerms } from "../core/handle/call.ts";
import type { RouterPolicy } from "../core/router/policy.ts";
import { ReplicaSlot, type SlotOwner } from "../core/router/replica-slot.ts";
import { Router } from "../core/router/router.ts";
import type { CodeReference, DeploymentSnapshot, ReplicaTarget } from "../core/router/snapshot.ts";
import { FakeReplica } from "./fake-replica.ts";
import { ManualClock } from "./manual-clock.ts";

/** A call that keeps its outcome. */
export class RecordedCall extends Call {
  outcome: { readonly value: unknown } | { readonly error: unknown } | undefined = undefined;
  settlements = 0;

  get error(): unknown {
    return this.outcome !== undefined && "error" in this.outcome ? this.outcome.error : undefined;
  }

  resolve(value: unknown): void {
    this.settlements++;
    this.outcome = { value };
  }

  reject(error: unknown): void {
    this.settlements++;
    this.outcome = { error };
  }

  item(): void {}
}

export interface CallOptions extends Partial<CallTemplate> {
  readonly args?: readonly unknown[];
  readonly priority?: number;
  readonly sequence?: number;
}

/** Calls made so far by all fixtures: sequences must differ also between callers. */
let sequence = 0;

export function recordedCall(options: CallOptions = {}): RecordedCall {
  const { args = [], priority = 0, sequence: own, ...template } = options;
  return new RecordedCall(
    {
      app: "shop",
      deployment: "Pricing",
      method: "call",
      stream: false,
      broadcast: false,
      requestSerialization: "structured",
      responseSerialization: "structured",
      multiplexedModelId: "",
      sessionId: "",
      preferLocalRouting: false,
      byReference: false,
      spinUs: 0,
      ...template,
    },
    args,
    own ?? ++sequence,
    { ...noTerms, priority },
  );
}

/** Encodes as JSON, so that what was encoded is what the arguments were then. */
export const jsonEncoder: BodyEncoder = {
  encode(call: Call): EncodedBody {
    const bytes = new TextEncoder().encode(JSON.stringify(call.args));
    return { bytes, start: 0, end: bytes.length };
  },
  decode(_template: CallTemplate, body: EncodedBody): unknown[] {
    return JSON.parse(new TextDecoder().decode(body.bytes.subarray(body.start, body.end))) as unknown[];
  },
};

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

export function target(replicaId: string, options: Partial<ReplicaTarget> = {}): ReplicaTarget {
  return { replicaId, nodeId: "here", address: { memory: replicaId }, modelIds: [], stats: {}, ...options };
}

export interface FixtureOptions {
  readonly clock?: ManualClock;
  readonly encoder?: BodyEncoder;
  readonly log?: Log;
  readonly policies?: Readonly<Record<string, RouterPolicy>>;
}

/** A router over fake replicas. `end` asserts that nothing is left: call it in every teardown. */
export class RouterFixture {
  readonly clock: ManualClock;
  readonly router: Router;
  /** Every connection that was made, in order. */
  readonly connections: FakeReplica[] = [];
  readonly calls: RecordedCall[] = [];
  #version = 0;
  #latest: Partial<DeploymentSnapshot> = {};

  constructor(options: FixtureOptions = {}) {
    this.clock = options.clock ?? new ManualClock();
    this.router = new Router({
      app: "shop",
      deployment: "Pricing",
      clock: this.clock,
      connect: (replica, listener) => {
        const connection = new FakeReplica(replica, listener);
        this.connections.push(connection);
        return connection;
      },
      encoder: options.encoder ?? jsonEncoder,
      nodeId: "here",
      log: options.log ?? silentLog,
      resolvePolicy: (reference: CodeReference) => options.policies?.[reference.name],
    });
  }

  /** Publishes a newer snapshot: what is not given stays as it was. Replicas may be given by their ids. */
  update(
    change: Partial<Omit<DeploymentSnapshot, "replicas">> & {
      readonly replicas?: readonly (string | ReplicaTarget)[];
    } = {},
  ): void {
    const { replicas, ...rest } = change;
    this.#latest = { ...this.#latest, ...rest };
    if (replicas !== undefined)
      this.#latest = {
        ...this.#latest,
        replicas: replicas.map((each) => (typeof each === "string" ? target(each) : each)),
      };
    this.router.update({
      app: "shop",
      deployment: "Pricing",
      version: ++this.#version,
      state: "available",
      message: "",
      maxOngoingRequests: 1,
      maxQueuedRequests: -1,
      policy: "power-of-two-choices",
      replicas: [],
      ...this.#latest,
    });
  }

  /** The newest connection to a replica. */
  replica(replicaId: string): FakeReplica {
    const found = this.connections.findLast((each) => each.target.replicaId === replicaId);
    if (found === undefined) throw new Error(`No connection was made to ${replicaId}.`);
    return found;
  }

  call(options: CallOptions = {}): RecordedCall {
    const call = recordedCall(options);
    this.calls.push(call);
    this.router.submit(call);
    return call;
  }

  /** The replica at which a call is; undefined if it is at none. */
  placeOf(call: Call): string | undefined {
    return this.connections.find((each) => each.open.includes(call))?.target.replicaId;
  }

  /** Answers everything, until nothing is left to answer. */
  finishAll(): void {
    for (;;) {
      const busy = this.connections.find((each) => each.open.length > 0);
      if (busy === undefined) return;
      busy.finish();
    }
  }

  /** Answers what is open, closes, and gives what is left over: nothing, if all is well. */
  end(): string[] {
    this.finishAll();
    for (const connection of this.connections) if (!connection.closed) connection.free();
    this.finishAll();
    const left: string[] = [];
    const { queued, ongoing } = this.router.stats();
    if (queued > 0) left.push(`${queued} queued`);
    if (ongoing !== 0) left.push(`${ongoing} ongoing`);
    this.router.close(new Error("end of test"));
    for (const connection of this.connections)
      if (!connection.closed) left.push(`connection to ${connection.target.replicaId}`);
    for (const call of this.calls)
      if (call.state !== CallState.SETTLED || call.settlements !== 1)
        left.push(`call ${call.sequence}: ${call.settlements} outcomes`);
    if (this.clock.pendingTimers > 0) left.push(`${this.clock.pendingTimers} timers`);
    return left;
  }
}

/** Slots with a free place, in the order of their start, as a policy is shown them. */
export function freeSlots(...replicas: (string | ReplicaTarget)[]): ReplicaSlot[] {
  return replicas.map((each, index) => {
    const slot = new ReplicaSlot(typeof each === "string" ? target(each) : each, noOwner, 100);
    slot.index = index;
    slot.freeIndex = index;
    return slot;
  });
}

const noOwner: SlotOwner = { onRoom() {}, onRefused() {}, onDraining() {}, onLost() {} };
