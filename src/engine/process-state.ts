import type { ContextStore } from "../core/contracts/context-store.ts";
import type { Caller } from "../core/handle/caller.ts";
import type { RequestScope } from "../core/handle/context.ts";
import type { ReplicaIdentity } from "../core/replica/replica.ts";
import type { ReplicaFacilities } from "../core/replica/workplace.ts";
import type { ScriptRun } from "./code-loader.ts";
import { contextStore } from "./context-store.ts";

/** What a replica's process or thread is to the code in it. */
export interface ReplicaRole {
  readonly identity: ReplicaIdentity;
  readonly caller: Caller;
  /** The script has reached what only the driver does, such as `serve.run`. Returns whether it must wait there for ever. */
  parks(run?: ScriptRun): boolean;
  /** It has reached where it waits for ever in any case. */
  waits(): void;
  /** Stands in for the driver's caller where the script goes on: its calls never end. */
  readonly scriptCaller: Caller;
  status(): Promise<unknown>;
}

/** What a process that only builds applications is to the code in it. */
export interface BuilderRole {
  /** Another process has built the application already: the module is loaded again, for its definitions. */
  readonly loadsAgain: boolean;
  /** The script has reached `serve.run`, where it waits for ever. */
  capture(app: unknown): void;
}

/** What all copies of the package in one thread share: a user's module may import another copy than the replica runs on. */
export interface ProcessState {
  /** Set in a replica before the user's module is loaded; never in a driver. */
  replica: ReplicaRole | undefined;
  /** Set where the user's module is loaded only to see which applications it makes. */
  builder?: BuilderRole | undefined;
  readonly contexts: ContextStore<RequestScope>;
  /** Which replica life-cycle code runs for, where several share a process. */
  readonly residence: ContextStore<ReplicaIdentity>;
  /** What `batch` and `multiplexed` work with in each replica that runs here. */
  readonly facilities: WeakMap<ReplicaIdentity, ReplicaFacilities>;
}

const KEY = Symbol.for("heliostat.process.1");

function makeState(): ProcessState {
  return { replica: undefined, contexts: contextStore(), residence: contextStore(), facilities: new WeakMap() };
}

export const processState: ProcessState = ((globalThis as Record<symbol, unknown>)[KEY] ??=
  makeState()) as ProcessState;

/** The replica whose code is running, if any. */
export function currentReplica(): ReplicaIdentity | undefined {
  return processState.contexts.get()?.identity ?? processState.residence.get() ?? processState.replica?.identity;
}
