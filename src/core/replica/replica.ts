import type { Clock } from "../contracts/clock.ts";
import type { ContextStore } from "../contracts/context-store.ts";
import { RequestTimeoutError } from "../errors.ts";
import type { RequestScope } from "../handle/context.ts";
import type { Deadlines } from "../handle/deadlines.ts";
import { Admission } from "./admission.ts";
import { callableMethods, findMethod } from "./methods.ts";
import type { IncomingCall, Peer } from "./incoming-call.ts";
import { isAStream, notAStream, timedOutBefore, unknownMethod } from "./refusals.ts";
import { ActiveRequest } from "./request-scope.ts";
import { iteratorOf, pump } from "./streaming.ts";

/** What `getReplicaContext()` shows, fixed for the life of the replica but for the world's size. */
export interface ReplicaIdentity {
  readonly app: string;
  readonly deployment: string;
  readonly replicaId: string;
  readonly rank: number;
  worldSize: number;
  readonly codeVersion: string;
}

export interface ReplicaOptions {
  readonly identity: ReplicaIdentity;
  readonly clock: Clock;
  readonly contexts: ContextStore<RequestScope>;
  readonly deadlines: Deadlines;
  readonly maxOngoingRequests: number;
  /** Calls after which `onWorn` is told, once. */
  readonly maxRequests?: number | undefined;
  onWorn?(reason: string): void;
}

const NO_ARGS: readonly unknown[] = [];

/**
 * One running instance of a user's class: admits calls up to the limit, runs them, and tells refused callers when a
 * place is free. Its own count is the truth about its load.
 */
export class Replica {
  readonly identity: ReplicaIdentity;
  readonly #options: ReplicaOptions;
  readonly #active: ActiveRequest[] = [];
  readonly #peers = new Set<Peer>();
  readonly #admission: Admission;
  #target: object | Function | undefined = undefined;
  #served = 0;
  #state: "starting" | "running" | "draining" = "starting";
  #onDrained: (() => void) | undefined = undefined;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.identity = options.identity;
    this.#admission = new Admission(options.clock, options.maxOngoingRequests);
  }

  /** Calls that may run at a time. */
  get maxOngoingRequests(): number {
    return this.#admission.limit;
  }

  /** Calls that run now, of all callers; broadcasts take no place and do not count. */
  get ongoing(): number {
    return this.#admission.ongoing;
  }

  /** Calls that were admitted since the start. */
  get served(): number {
    return this.#served;
  }

  /** Begins to serve `target`, an instance of the user's class or the user's function. */
  open(target: object | Function): void {
    this.#target = target;
    this.#state = "running";
  }

  setLimit(maxOngoingRequests: number): void {
    this.#admission.limit = maxOngoingRequests;
  }

  join(peer: Peer): void {
    this.#peers.add(peer);
    if (this.#state === "draining") peer.drain();
  }

  /** The caller's process is gone; its calls were cancelled by its session. */
  leave(peer: Peer): void {
    this.#peers.delete(peer);
    this.#admission.forget(peer);
    this.#checkDrained();
  }

  /**
   * Refuses new calls from now on; resolves when the ongoing ones have ended and every caller has hung up.
   *
   * A caller hangs up when it has been told and has all its answers. Whoever exits before that leaves calls unanswered
   * that were on their way when the word went out, and their callers cannot know that they were never run.
   */
  drain(): Promise<void> {
    if (this.#state !== "draining") {
      this.#state = "draining";
      this.#admission.close();
      for (const peer of this.#peers) peer.drain();
    }
    return new Promise((resolve) => {
      this.#onDrained = resolve;
      this.#checkDrained();
    });
  }

  /** Stops what is still running. */
  abort(error: Error): void {
    for (const request of [...this.#active]) request.stop(error);
  }

  /** Takes one call: runs it, or refuses it. Never throws. */
  accept(call: IncomingCall): void {
    const { peer } = call;
    if (this.#state !== "running") {
      call.refuse("draining", this.#admission.othersThan(peer));
      return;
    }
    if (!call.broadcast && !this.#admission.hasRoom(peer)) {
      call.refuse("full", this.#admission.othersThan(peer));
      return;
    }
    let args: unknown[];
    try {
      args = call.args();
    } catch (error) {
      call.fail(error, this.#admission.othersThan(peer));
      return;
    }
    this.#run(call, args);
  }

  #run(call: IncomingCall, args: unknown[]): void {
    const { clock, contexts, deadlines } = this.#options;
    const request = new ActiveRequest(call, this.#options);
    if (call.deadlineMs !== Infinity) {
      if (call.deadlineMs <= clock.now()) {
        call.fail(timedOutBefore(call), this.#admission.othersThan(call.peer));
        return;
      }
      request.deadline = deadlines.add(request);
    }
    if (!call.broadcast) this.#admission.take(call.peer);
    this.#served++;
    if (this.#served === this.#options.maxRequests)
      this.#options.onWorn?.(`it has taken maxRequests (${this.#served}) requests`);
    request.index = this.#active.push(request) - 1;
    call.worker = request;
    let outcome: unknown;
    try {
      const method = findMethod(this.#target!, call.method);
      if (method === undefined) throw unknownMethod(this.#target!, call, this.identity.deployment);
      outcome = contexts.call(request, method, this.#target, args);
      // A promise stays as it is; what only looks like one may throw, or settle twice.
      if (isThenable(outcome)) outcome = Promise.resolve(outcome);
    } catch (error) {
      this.#fail(request, error);
      return;
    }
    if (outcome instanceof Promise) {
      outcome.then(
        (value) => this.#complete(request, value),
        (error: unknown) => this.#fail(request, error),
      );
    } else {
      this.#complete(request, outcome);
    }
  }

  #complete(request: ActiveRequest, value: unknown): void {
    const { call } = request;
    let iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined;
    try {
      iterator = iteratorOf(value);
      // Its code has not begun to run, or is stopped here: nobody will read it.
      if (iterator !== undefined && !call.stream) void Promise.resolve(iterator.return?.()).catch(() => {});
    } catch (error) {
      this.#fail(request, error);
      return;
    }
    if (call.stream) {
      if (iterator === undefined) this.#fail(request, notAStream(call, this.identity.deployment));
      else this.#stream(request, iterator);
      return;
    }
    if (iterator !== undefined) {
      this.#fail(request, isAStream(call, this.identity.deployment));
      return;
    }
    const late = timedOut(request);
    if (late !== undefined) {
      this.#fail(request, late);
      return;
    }
    this.#finish(request);
    try {
      call.result(value, this.#admission.othersThan(call.peer));
    } catch (error) {
      call.fail(error, this.#admission.othersThan(call.peer));
    }
  }

  #stream(request: ActiveRequest, iterator: AsyncIterator<unknown> | Iterator<unknown>): void {
    const { contexts } = this.#options;
    const { call } = request;
    pump(call, iterator, {
      call: (method) => contexts.call(request, method, iterator, NO_ARGS),
      stopped: () => request.endedBy,
      onStop: (stop) => {
        request.onStop = stop;
      },
      ended: () => {
        const late = timedOut(request);
        if (late !== undefined) {
          this.#fail(request, late);
          return;
        }
        this.#finish(request);
        call.end(this.#admission.othersThan(call.peer));
      },
      failed: (error) => this.#fail(request, error),
    });
  }

  #fail(request: ActiveRequest, error: unknown): void {
    this.#finish(request);
    request.call.fail(timedOut(request) ?? error, this.#admission.othersThan(request.call.peer));
  }

  #finish(request: ActiveRequest): void {
    request.call.worker = undefined;
    if (request.ends !== undefined) for (const fn of request.ends) fn();
    if (request.deadline !== undefined) {
      this.#options.deadlines.remove(request.deadline);
      request.deadline = undefined;
    }
    const last = this.#active.pop()!;
    if (last !== request) {
      this.#active[request.index] = last;
      last.index = request.index;
    }
    if (!request.call.broadcast) this.#admission.giveBack(request.call.peer);
    if (this.#onDrained !== undefined) this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#active.length === 0 && this.#peers.size === 0) this.#onDrained?.();
  }
}

export function methodsOf(target: object | Function): string[] {
  return callableMethods(target);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/**
 * The outcome of a request whose time was up, whatever its method made of that: caller and replica both watch the
 * deadline, and which of them is first must make no difference.
 */
function timedOut({ endedBy }: ActiveRequest): RequestTimeoutError | undefined {
  return endedBy instanceof RequestTimeoutError ? endedBy : undefined;
}
