import type { Clock } from "../contracts/clock.ts";
import type { Containment } from "../contracts/containment.ts";
import type { ContextStore } from "../contracts/context-store.ts";
import type { Log } from "../contracts/log.ts";
import { RequestTimeoutError } from "../errors.ts";
import type { RequestScope } from "../handle/context.ts";
import type { Deadlines } from "../handle/deadlines.ts";
import type { ExchangeHost, IncomingExchange, OpenedExchange } from "../http/incoming-exchange.ts";
import { serveFetch } from "../http/serve-fetch.ts";
import { serveWebSocket } from "../http/serve-web-socket.ts";
import { Admission } from "./admission.ts";
import { callableMethods, findMethod } from "./methods.ts";
import type { IncomingCall } from "./incoming-call.ts";
import type { Peer } from "./peer.ts";
import { isAStream, notAStream, timedOutBefore, unknownMethod } from "./refusals.ts";
import { iteratorOf, pump } from "./streaming.ts";
import { isThenable } from "./thenable.ts";

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
  readonly log?: Log | undefined;
  readonly containment?: Containment | undefined;
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
  readonly #peers = new Set<Peer>();
  readonly #admission: Admission;
  #target: object | Function | undefined = undefined;
  #running = 0;
  #served = 0;
  #state: "starting" | "running" | "draining" = "starting";
  #onDrained: (() => void) | undefined = undefined;
  #host: ExchangeHost | undefined = undefined;

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
    for (const peer of this.#peers) for (const call of peer.calls()) call.stop(error);
  }

  /** Takes one call: runs it, or refuses it. Never throws. */
  accept(call: IncomingCall): void {
    if (!this.#admits(call)) return;
    let args: unknown[];
    try {
      args = call.args();
    } catch (error) {
      call.fail(error, this.#admission.othersThan(call.peer));
      return;
    }
    if (this.#begin(call)) this.#run(call, args);
  }

  /** Takes one HTTP exchange, under the same rules. Never throws. */
  acceptExchange(exchange: IncomingExchange): void {
    if (!this.#admits(exchange)) return;
    let opened: OpenedExchange;
    try {
      opened = exchange.open();
    } catch (error) {
      exchange.fail(error, this.#admission.othersThan(exchange.peer));
      return;
    }
    if (!this.#begin(exchange)) return;
    this.#host ??= this.#exchangeHost();
    if (exchange.isWebSocket) serveWebSocket(exchange, opened, this.#host);
    else serveFetch(exchange, opened, this.#host);
  }

  /** Whether there is a place for it; if not, it was refused. */
  #admits(call: IncomingCall): boolean {
    const { peer } = call;
    if (this.#state !== "running") call.refuse("draining", this.#admission.othersThan(peer));
    else if (!call.broadcast && !this.#admission.hasRoom(peer)) call.refuse("full", this.#admission.othersThan(peer));
    else return true;
    return false;
  }

  /** Takes the place and begins the work; @returns false if it is too late for that. */
  #begin(call: IncomingCall): boolean {
    const { clock, deadlines } = this.#options;
    if (call.deadlineMs !== Infinity) {
      if (call.deadlineMs <= clock.now()) {
        call.fail(timedOutBefore(call), this.#admission.othersThan(call.peer));
        return false;
      }
      call.deadline = deadlines.add(call);
    }
    if (!call.broadcast) this.#admission.take(call.peer);
    this.#served++;
    if (this.#served === this.#options.maxRequests)
      this.#options.onWorn?.(`it has taken maxRequests (${this.#served}) requests`);
    this.#running++;
    call.begin(this.#options);
    return true;
  }

  #run(call: IncomingCall, args: unknown[]): void {
    const { contexts } = this.#options;
    let outcome: unknown;
    try {
      const method = this.#method(call);
      outcome = contexts.call(call, method, this.#target, args);
      // A promise stays as it is; what only looks like one may throw, or settle twice.
      if (isThenable(outcome)) outcome = Promise.resolve(outcome);
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    if (outcome instanceof Promise) {
      outcome.then(
        (value) => this.#complete(call, value),
        (error: unknown) => this.#fail(call, error),
      );
    } else {
      this.#complete(call, outcome);
    }
  }

  #method(call: IncomingCall): Function {
    const method = findMethod(this.#target!, call.method);
    if (method === undefined) throw unknownMethod(this.#target!, call, this.identity.deployment);
    return method;
  }

  #exchangeHost(): ExchangeHost {
    const { contexts } = this.#options;
    return {
      deployment: this.identity.deployment,
      target: this.#target!,
      acceptor: () => acceptorOf(this.#target!),
      method: (exchange) => this.#method(exchange),
      call: (exchange, method, self, args) => contexts.call(exchange, method, self, args),
      succeed: (exchange, tell) => {
        const late = timedOut(exchange);
        if (late !== undefined) {
          this.#fail(exchange, late);
          return;
        }
        this.#finish(exchange);
        try {
          tell(this.#admission.othersThan(exchange.peer));
        } catch (error) {
          exchange.fail(error, this.#admission.othersThan(exchange.peer));
        }
      },
      fail: (exchange, error) => this.#fail(exchange, error),
    };
  }

  #complete(call: IncomingCall, value: unknown): void {
    let iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined;
    try {
      iterator = iteratorOf(value);
      // Its code has not begun to run, or is stopped here: nobody will read it.
      if (iterator !== undefined && !call.stream) void Promise.resolve(iterator.return?.()).catch(() => {});
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    if (call.stream) {
      if (iterator === undefined) this.#fail(call, notAStream(call, this.identity.deployment));
      else this.#stream(call, iterator);
      return;
    }
    if (iterator !== undefined) {
      this.#fail(call, isAStream(call, this.identity.deployment));
      return;
    }
    const late = timedOut(call);
    if (late !== undefined) {
      this.#fail(call, late);
      return;
    }
    this.#finish(call);
    try {
      call.result(value, this.#admission.othersThan(call.peer));
    } catch (error) {
      call.fail(error, this.#admission.othersThan(call.peer));
    }
  }

  #stream(call: IncomingCall, iterator: AsyncIterator<unknown> | Iterator<unknown>): void {
    const { contexts } = this.#options;
    pump(call, iterator, {
      call: (method) => contexts.call(call, method, iterator, NO_ARGS),
      stopped: () => call.endedBy,
      onStop: (stop) => {
        call.onStop = stop;
      },
      ended: () => {
        const late = timedOut(call);
        if (late !== undefined) {
          this.#fail(call, late);
          return;
        }
        this.#finish(call);
        call.end(this.#admission.othersThan(call.peer));
      },
      failed: (error) => this.#fail(call, error),
    });
  }

  #fail(call: IncomingCall, error: unknown): void {
    this.#finish(call);
    call.fail(timedOut(call) ?? error, this.#admission.othersThan(call.peer));
  }

  #finish(call: IncomingCall): void {
    call.over();
    if (call.deadline !== undefined) {
      this.#options.deadlines.remove(call.deadline);
      call.deadline = undefined;
    }
    this.#running--;
    if (!call.broadcast) this.#admission.giveBack(call.peer);
    if (this.#onDrained !== undefined) this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#running === 0 && this.#peers.size === 0) this.#onDrained?.();
  }
}

/** What decides about WebSockets: `static acceptWebSocket` of the class, or the same of the app that it was made of. */
function acceptorOf(target: object | Function): ReturnType<ExchangeHost["acceptor"]> {
  const served = (target as { readonly constructor?: unknown }).constructor;
  const own = typeof served === "function" ? (served as { acceptWebSocket?: unknown }).acceptWebSocket : undefined;
  if (typeof own === "function") return { method: own, self: served };
  const method = findMethod(target, "acceptWebSocket");
  return method && { method, self: target };
}

export function methodsOf(target: object | Function): string[] {
  return callableMethods(target);
}

/**
 * The outcome of a request whose time was up, whatever its method made of that: caller and replica both watch the
 * deadline, and which of them is first must make no difference.
 */
function timedOut(call: IncomingCall): RequestTimeoutError | undefined {
  const { endedBy, deadlineMs } = call;
  if (endedBy !== undefined) return endedBy instanceof RequestTimeoutError ? endedBy : undefined;
  // Its timer may be a little late: a nested call, whose time ends at the same moment in another process, has told already,
  // and what code makes of that is no answer in time.
  return deadlineMs !== Infinity && call.clock.now() >= deadlineMs ? call.timeoutError() : undefined;
}
