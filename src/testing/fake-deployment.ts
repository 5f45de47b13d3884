import { randomBytes } from "node:crypto";
import type { Clock } from "../core/contracts/clock.ts";
import { defaultHandleOptions } from "../core/deployment/handle-options.ts";
import { DeploymentUnavailableError } from "../core/errors.ts";
import { Caller } from "../core/handle/caller.ts";
import { Handle } from "../core/handle/handle.ts";
import type { DeploymentHandle } from "../core/handle/types.ts";
import { Replica } from "../core/replica/replica.ts";
import type { DeploymentSnapshot, PolicyName } from "../core/router/snapshot.ts";
import { processState } from "../engine/process-state.ts";
import { systemClock } from "../engine/system-clock.ts";
import { bodyEncoder, connector, handleExtension } from "../engine/wire-setup.ts";
import { stderrLog } from "../observe/log.ts";
import { memoryPair } from "../transport/memory.ts";
import { Acceptor } from "../wire/acceptor.ts";
import { formats } from "../formats/formats.ts";
import { defaultLimits } from "../wire/limits.ts";
import type { Transport } from "../wire/transport.ts";
import type { WireContext } from "../wire/wire-context.ts";
import type { FakeMethods } from "./fake-methods.ts";
import { LeftoversError } from "./leftovers-error.ts";
import { ManualClock } from "./manual-clock.ts";
import { settle, withRealTurns } from "./settle.ts";

/** How a fake deployment is routed to. */
export interface FakeDeploymentOptions {
  /** @default "Fake" */
  readonly name?: string;
  /** @default 1 */
  readonly numReplicas?: number;
  /** Of each replica. @default 5 */
  readonly maxOngoingRequests?: number;
  /** -1: no limit. @default -1 */
  readonly maxQueuedRequests?: number;
  /** @default "power-of-two-choices" */
  readonly policy?: PolicyName;
  /** That of the test cluster, where calls are made from inside one: deadlines are inherited. @default the real clock */
  readonly clock?: Clock;
}

/** One call that a fake has got, with its arguments as they arrived. */
export interface FakeCall {
  readonly replicaId: string;
  readonly method: string;
  readonly args: readonly unknown[];
}

const APP = "fake";
const recorded = new WeakMap<object, readonly FakeCall[]>();

/**
 * A typed handle that plain functions answer, for unit tests of classes which take handles.
 *
 * The calls go through a real handle, router and replica, so that responses, streams, errors, cancelling and what can
 * travel are as they are in production. `callsOf(handle)` tells what was called.
 *
 * ```ts
 * import { callsOf, fakeHandle } from "heliostat/testing";
 *
 * class Downstream {
 *   async sayHi(name: string): Promise<string> {
 *     throw new Error(`too slow for a test of ${name}`);
 *   }
 * }
 *
 * const downstream = fakeHandle<Downstream>({ sayHi: (name) => `Hi ${name}` });
 * console.log(await downstream.sayHi.remote("Ada")); // Hi Ada
 * console.log(callsOf(downstream).length); // 1
 * ```
 */
export function fakeHandle<T>(methods: FakeMethods<T>, options: FakeDeploymentOptions = {}): DeploymentHandle<T> {
  return fakeDeployment<T>(methods, options).handle;
}

/** The calls that a handle of `fakeHandle` or `fakeDeployment` has led to, in the order in which replicas took them. */
export function callsOf(handle: object): readonly FakeCall[] {
  const calls = recorded.get(handle);
  if (calls === undefined)
    throw new Error("Only the handle that fakeHandle() gave has recorded calls, not a copy of it or another.");
  return calls;
}

/** A deployment of fake replicas, for tests of how calls are spread over them and of what happens when one dies. */
export function fakeDeployment<T>(methods: FakeMethods<T>, options: FakeDeploymentOptions = {}): FakeDeployment<T> {
  return new FakeDeployment<T>(methods, options);
}

/** Replicas that plain functions answer, behind the router and the wire of a real deployment; made by `fakeDeployment`. */
export class FakeDeployment<T> implements AsyncDisposable {
  readonly handle: DeploymentHandle<T>;
  readonly calls: readonly FakeCall[];
  readonly #calls: FakeCall[] = [];
  readonly #methods: FakeMethods<T>;
  readonly #options: FakeDeploymentOptions;
  readonly #clock: Clock;
  readonly #manual: ManualClock | undefined;
  readonly #context: WireContext;
  readonly #caller: Caller;
  readonly #replicas = new Map<string, { readonly replica: Replica; readonly acceptor: Acceptor }>();
  readonly #subscribers = new Set<(snapshot: DeploymentSnapshot) => void>();
  #version = 0;
  #started = 0;
  #closing: Promise<void> | undefined = undefined;

  constructor(methods: FakeMethods<T>, options: FakeDeploymentOptions) {
    const { name = "Fake", numReplicas = 1 } = options;
    this.#manual = options.clock instanceof ManualClock ? options.clock : undefined;
    const clock = this.#manual === undefined ? (options.clock ?? systemClock) : withRealTurns(this.#manual);
    this.calls = this.#calls;
    this.#methods = methods;
    this.#options = options;
    this.#clock = clock;
    const peerId = randomBytes(16);
    const extension = handleExtension(() => this.#caller);
    this.#context = { clock, formats: formats(extension), limits: defaultLimits, token: randomBytes(32), peerId };
    this.#caller = new Caller({
      clock,
      contexts: processState.contexts,
      directory: { subscribe: (_app, _deployment, onSnapshot) => this.#subscribe(onSnapshot) },
      connect: connector(this.#context, (target) => this.#open(target.replicaId)),
      encoder: bodyEncoder(this.#context),
      log: stderrLog("error", "heliostat"),
      nodeId: "local",
      requestIdPrefix: peerId.toString("hex").slice(0, 12),
      resolvePolicy: () => undefined,
    });
    for (let i = 0; i < numReplicas; i++) this.addReplica();
    const handle = new Handle(this.#caller, { app: APP, deployment: name }, defaultHandleOptions);
    recorded.set(handle, this.#calls);
    this.handle = handle as unknown as DeploymentHandle<T>;
  }

  /** Ids of the replicas that run, in the order of their start. */
  get replicaIds(): readonly string[] {
    return [...this.#replicas.keys()];
  }

  /** Starts one more replica. @returns its id. */
  addReplica(): string {
    const { maxOngoingRequests = 5, name = "Fake", numReplicas = 1 } = this.#options;
    const rank = this.#started++;
    const replicaId = `${name}#${rank}`;
    const replica = new Replica({
      identity: { app: APP, deployment: name, replicaId, rank, worldSize: numReplicas, codeVersion: "fake" },
      clock: this.#clock,
      contexts: processState.contexts,
      deadlines: this.#caller.deadlines,
      maxOngoingRequests,
    });
    replica.open(this.#recording(replicaId));
    this.#replicas.set(replicaId, { replica, acceptor: new Acceptor(this.#context, replica) });
    this.#publish();
    return replicaId;
  }

  /** Ends a replica without mercy: its calls fail with `ReplicaDiedError`. */
  kill(replicaId: string): void {
    const found = this.#replicas.get(replicaId);
    if (found === undefined)
      throw new Error(`There is no replica ${replicaId} to kill. Running: ${this.replicaIds.join(", ") || "none"}.`);
    this.#replicas.delete(replicaId);
    found.replica.abort(new Error(`The replica was killed.`));
    found.acceptor.close();
    this.#publish();
  }

  /** Requests and deadlines that have not ended. */
  leftovers(): string[] {
    const found = this.#caller.leftovers();
    for (const [id, { replica }] of this.#replicas)
      if (replica.ongoing > 0) found.push(`replica ${id}: ${replica.ongoing} ongoing`);
    return found;
  }

  /**
   * Ends every call and connection. Idempotent: every call gives the same outcome.
   *
   * @throws {LeftoversError} if calls were still open, unless `abandon` says that they may be.
   */
  close(options: { readonly abandon?: boolean } = {}): Promise<void> {
    return (this.#closing ??= this.#close(options.abandon ?? false));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(abandon: boolean): Promise<void> {
    await settle(this.#manual);
    const found = abandon ? [] : this.leftovers();
    this.#caller.close(new DeploymentUnavailableError("The fake deployment was closed."));
    for (const { replica, acceptor } of this.#replicas.values()) {
      replica.abort(new Error("The fake deployment was closed."));
      acceptor.close();
    }
    this.#replicas.clear();
    await settle(this.#manual);
    if (found.length > 0) throw new LeftoversError("in the fake deployment", found);
  }

  /** What a replica serves: the given functions, each noting its calls. */
  #recording(replicaId: string): object | Function {
    const methods: unknown = this.#methods;
    const record =
      (method: string, fn: Function, self: unknown): Function =>
      (...args: unknown[]): unknown => {
        this.#calls.push({ replicaId, method, args });
        return Reflect.apply(fn, self, args);
      };
    if (typeof methods === "function") return record("call", methods, undefined);
    const functions = Object.entries(methods as Record<string, unknown>).filter(
      (entry): entry is [string, Function] => typeof entry[1] === "function",
    );
    return Object.fromEntries(functions.map(([name, fn]) => [name, record(name, fn, methods)]));
  }

  #open(replicaId: string): Transport {
    const [near, far] = memoryPair();
    const acceptor = this.#replicas.get(replicaId)?.acceptor;
    if (acceptor === undefined) far.close();
    else acceptor.accept(far);
    return near;
  }

  #subscribe(onSnapshot: (snapshot: DeploymentSnapshot) => void): () => void {
    this.#subscribers.add(onSnapshot);
    this.#clock.nextTurn(() => {
      if (this.#subscribers.has(onSnapshot)) onSnapshot(this.#snapshot());
    });
    return () => this.#subscribers.delete(onSnapshot);
  }

  #publish(): void {
    this.#version++;
    for (const onSnapshot of this.#subscribers) onSnapshot(this.#snapshot());
  }

  #snapshot(): DeploymentSnapshot {
    const {
      name = "Fake",
      maxOngoingRequests = 5,
      maxQueuedRequests = -1,
      policy = "power-of-two-choices",
    } = this.#options;
    const replicas = this.replicaIds.map((replicaId) => ({
      replicaId,
      nodeId: "local",
      address: { memory: replicaId },
      modelIds: [],
      stats: {},
    }));
    return {
      app: APP,
      deployment: name,
      version: this.#version,
      state: "available",
      message: "",
      maxOngoingRequests,
      maxQueuedRequests,
      policy,
      replicas,
    };
  }
}
