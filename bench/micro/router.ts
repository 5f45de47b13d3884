import { Call, CallState } from "../../src/core/handle/call.ts";
import type { Clock } from "../../src/core/contracts/clock.ts";
import type { ReplicaClient, ReplicaClientListener } from "../../src/core/contracts/replica-client.ts";
import { Router } from "../../src/core/router/router.ts";
import type { PolicyName } from "../../src/core/router/snapshot.ts";
import { suite, type Value } from "../harness/suite.ts";

/**
 * What the router adds to a call: submit (pick, take a place, hand over) and finish (give it back). The replicas
 * do nothing, and the call is made once and used again, so that nothing but the router is measured. Best of the rounds.
 */
const CALLS = 300_000;
const ROUNDS = 5;

/** Calls in flight at once: half of the places, so that slots fill up and come free all the time. */
const shareInFlight = 0.5;

const clock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimer: () => ({ cancel() {} }),
  nextTurn: (fn) => queueMicrotask(fn),
  random: Math.random,
};

class RoutedCall extends Call {
  resolve(): void {}
  reject(error: unknown): void {
    throw error;
  }
  item(): void {}
}

class IdleClient implements ReplicaClient {
  readonly listener: ReplicaClientListener;
  constructor(listener: ReplicaClientListener) {
    this.listener = listener;
  }
  send(call: Call): boolean {
    call.wireId++;
    return true;
  }
  cancel(): void {}
  grant(): void {}
  close(): void {}
}

const template = {
  app: "bench",
  deployment: "Bench",
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
} as const;

interface Setting {
  readonly replicas: number;
  readonly policy: PolicyName;
  readonly sessions: boolean;
  readonly waiting: number;
}

/** @returns nanoseconds per call, the best of the rounds. */
function measure({ replicas, policy, sessions, waiting }: Setting, count: number): number {
  const maxOngoingRequests = 5;
  const router = new Router({
    app: "bench",
    deployment: "Bench",
    clock,
    connect: (_, listener) => new IdleClient(listener),
    encoder: { encode: () => ({ bytes: new Uint8Array(0), start: 0, end: 0 }), decode: () => [] },
    nodeId: "here",
    log: { debug() {}, info() {}, warn() {}, error() {} },
    resolvePolicy: () => undefined,
  });
  router.update({
    app: "bench",
    deployment: "Bench",
    version: 1,
    state: "available",
    message: "",
    maxOngoingRequests,
    maxQueuedRequests: -1,
    policy,
    replicas: Array.from({ length: replicas }, (_, i) => ({
      replicaId: `r${i}`,
      nodeId: "here",
      address: {},
      modelIds: [],
      stats: {},
    })),
  });
  const inFlight =
    waiting > 0
      ? replicas * maxOngoingRequests + waiting
      : Math.max(1, Math.floor(replicas * maxOngoingRequests * shareInFlight));
  const calls = Array.from(
    { length: inFlight },
    (_, i) => new RoutedCall({ ...template, sessionId: sessions ? `session-${i}` : "" }, [], i),
  );
  for (const call of calls) router.submit(call);
  let best = Infinity;
  let at = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      // The oldest at a replica ends, and comes back as a new call.
      const call = calls[at]!;
      at = at + 1 === calls.length ? 0 : at + 1;
      const slot = call.slot as { client: IdleClient };
      slot.client.listener.onFinished(call, 0);
      call.state = CallState.NEW;
      (call as { sequence: number }).sequence = inFlight + round * count + i;
      router.submit(call);
    }
    best = Math.min(best, ((performance.now() - start) * 1e6) / count);
  }
  return best;
}

const settings: [string, Omit<Setting, "replicas">][] = [
  ["power of two choices", { policy: "power-of-two-choices", sessions: false, waiting: 0 }],
  ["round robin", { policy: "round-robin", sessions: false, waiting: 0 }],
  ["consistent hash", { policy: "consistent-hash", sessions: false, waiting: 0 }],
  ["session affinity", { policy: "power-of-two-choices", sessions: true, waiting: 0 }],
  ["1,000 calls waiting", { policy: "power-of-two-choices", sessions: false, waiting: 1_000 }],
];
const counts = [1, 10, 100, 1_000];

await suite(async ({ smoke }) => {
  const values: Value[] = [];
  for (const [name, setting] of settings) {
    for (const replicas of counts) {
      const value = measure({ ...setting, replicas }, smoke ? 100 : CALLS) / 1_000;
      values.push({ what: `${name}, ${replicas} replicas`, value, unit: "us a call", better: "lower" });
    }
  }
  return { values };
}, "free");
