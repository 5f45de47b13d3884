import type { Clock } from "../contracts/clock.ts";
import type { ContextStore } from "../contracts/context-store.ts";
import type { Directory } from "../contracts/directory.ts";
import type { Log } from "../contracts/log.ts";
import type { BodyEncoder, ConnectReplica, EncodedBody } from "../contracts/replica-client.ts";
import { Router } from "../router/router.ts";
import type { RouterPolicy } from "../router/policy.ts";
import type { CodeReference } from "../router/snapshot.ts";
import { CallState, type CallTerms, noTerms } from "./call.ts";
import type { RequestScope } from "./context.ts";
import { Deadlines } from "./deadlines.ts";
import type { MethodTarget } from "./method-target.ts";
import type { CallSite, OutgoingCall } from "./outgoing-call.ts";
import { CallResponse, ResponseCall } from "./response.ts";
import { CallStream, StreamCall } from "./response-stream.ts";
import { settleWithError } from "./settle.ts";

/** What a caller needs from outside. */
export interface CallerOptions {
  readonly clock: Clock;
  readonly contexts: ContextStore<RequestScope>;
  readonly directory: Directory;
  readonly connect: ConnectReplica;
  readonly encoder: BodyEncoder;
  readonly log: Log;
  readonly nodeId: string;
  /** Distinguishes the requests of this process from those of every other. */
  readonly requestIdPrefix: string;
  resolvePolicy(reference: CodeReference): RouterPolicy | undefined;
}

/** Whether this process was told that an option does nothing. */
let hasWarned = false;

/** V8's own; the pure library types do not know it. */
const v8Errors = Error as unknown as { captureStackTrace(holder: object, below: Function): void };

/** Call sites captured in one refill period; beyond that, errors say only where they failed. */
const SITES_PER_REFILL = 1_000;
const REFILL_MS = 1_000;
/** A failure makes the next calls worth a look. */
const SITES_PER_FAILURE = 16;

/**
 * Everything of one process that makes calls: one router, and so one waiting line, for each deployment that is called,
 * however many handles there are.
 */
export class Caller {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly #options: CallerOptions;
  readonly #routers = new Map<string, { readonly router: Router; readonly unsubscribe: () => void }>();
  #sequence = 0;
  #sites = SITES_PER_REFILL;
  #refilledAtMs = 0;
  #closedBy: Error | undefined = undefined;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.deadlines = new Deadlines(options.clock);
  }

  /** The router to a deployment, made on first use. */
  router(app: string, deployment: string): Router {
    const key = `${app}\n${deployment}`;
    const known = this.#routers.get(key);
    if (known !== undefined) return known.router;
    const { clock, connect, contexts, encoder, log, nodeId, directory } = this.#options;
    const router = new Router({
      app,
      deployment,
      clock,
      // A connection belongs to no request, though one may be the first to need it.
      connect: (target, listener) =>
        contexts.call(undefined, connect, undefined, [target, listener]) as ReturnType<ConnectReplica>,
      encoder,
      log,
      nodeId,
      resolvePolicy: (reference) => this.#options.resolvePolicy(reference),
    });
    if (this.#closedBy !== undefined) {
      router.close(this.#closedBy);
      return router;
    }
    const unsubscribe = directory.subscribe(app, deployment, (snapshot) => router.update(snapshot));
    this.#routers.set(key, { router, unsubscribe });
    return router;
  }

  /** Makes a call and gives what `.remote()` returns. Never throws. */
  call(target: MethodTarget, args: readonly unknown[], remote: Function): CallResponse | CallStream {
    const site = this.site(remote);
    if (target.stream) {
      const call = new StreamCall(target, args, site);
      this.#send(call);
      return new CallStream(call);
    }
    const call = new ResponseCall(target, args, site);
    this.#send(call);
    return call.response;
  }

  /** Runs `send` when the arguments of a call are known: at once, unless there are responses among them. */
  whenResolved(call: OutgoingCall, send: () => void): void {
    const args = call.args!;
    if (hasResponse(args)) this.#resolveThen(call, args, send);
    else send();
  }

  /** @throws {SerializationError} if an argument cannot travel. */
  encode(call: OutgoingCall): EncodedBody {
    return this.#options.encoder.encode(call);
  }

  /** The id of a request that was made outside any other. */
  requestIdOf(sequence: number): string {
    return `${this.#options.requestIdPrefix}-${sequence.toString(36)}`;
  }

  get log(): Log {
    return this.#options.log;
  }

  /** A call has failed. */
  noteFailure(): void {
    if (this.#sites < SITES_PER_REFILL) this.#sites += SITES_PER_FAILURE;
  }

  /** Tells people, once per process, about an option that is accepted and does nothing. */
  warnOfNewHandleApi(): void {
    if (hasWarned) return;
    hasWarned = true;
    this.#options.log.warn("The handle option useNewHandleApi does nothing: there is one handle API. Leave it out.");
  }

  /** What is waiting or running: empty when everything has ended. */
  leftovers(): string[] {
    const found: string[] = [];
    for (const [key, { router }] of this.#routers) {
      const { queued, ongoing } = router.stats();
      if (queued > 0 || ongoing > 0) found.push(`${key.replace("\n", "/")}: ${queued} queued, ${ongoing} ongoing`);
    }
    if (this.deadlines.count > 0) found.push(`${this.deadlines.count} deadlines`);
    return found;
  }

  /** Ends every call with `error` and closes every connection. Later calls get the same error. Idempotent. */
  close(error: Error): void {
    if (this.#closedBy !== undefined) return;
    this.#closedBy = error;
    for (const { router, unsubscribe } of this.#routers.values()) {
      unsubscribe();
      router.close(error);
    }
  }

  nextSequence(): number {
    return ++this.#sequence;
  }

  /** What a call has of the request during which it is made, and of its handle's options. */
  termsOf(target: MethodTarget): CallTerms {
    const parent = this.#options.contexts.get();
    const { priority } = target;
    if (parent === undefined && priority === undefined && target.timeoutMs === undefined) return noTerms;
    let { deadlineMs, timeoutMs } = parent === undefined || parent.isOver ? noTerms : parent;
    if (target.timeoutMs !== undefined) {
      const ownMs = this.clock.now() + target.timeoutMs;
      if (ownMs < deadlineMs) {
        deadlineMs = ownMs;
        timeoutMs = target.timeoutMs;
      }
    }
    return { parent, priority: priority ?? parent?.priority ?? 0, deadlineMs, timeoutMs };
  }

  #send(call: OutgoingCall): void {
    if (!call.attach()) return;
    const args = call.args!;
    // Not through `whenResolved`: a closure for each call would cost those that need none.
    if (hasResponse(args)) this.#resolveThen(call, args, () => call.target.router.submit(call));
    else call.target.router.submit(call);
  }

  /** Replaces the responses among the arguments by what they yield. */
  #resolveThen(call: OutgoingCall, args: readonly unknown[], send: () => void): void {
    const { encoder } = this.#options;
    const { template } = call;
    call.state = CallState.RESOLVING;
    // The values beside the responses are encoded now, like those of every call: what happens to them later has no effect.
    let rest: EncodedBody;
    try {
      call.args = args.map((arg) => (arg instanceof CallResponse ? null : arg));
      rest = encoder.encode(call);
    } catch (error) {
      settleWithError(call, error);
      return;
    }
    call.args = undefined;
    Promise.all(args.map((arg) => (arg instanceof CallResponse ? arg : undefined))).then(
      (values) => {
        if (call.state === CallState.RESOLVING) {
          call.state = CallState.NEW;
          const own = encoder.decode(template, rest);
          call.args = own.map((arg, i) => (args[i] instanceof CallResponse ? values[i] : arg));
        }
        rest.leave?.(call);
        if (call.state === CallState.NEW) send();
      },
      (error: unknown) => {
        rest.leave?.(call);
        settleWithError(call, error);
      },
    );
  }

  /** Where the call was made, for as many calls a second as cost nothing that one would notice. */
  site(remote: Function): CallSite | undefined {
    if (this.#sites <= 0) {
      if ((this.#sequence & 63) !== 0) return undefined;
      const nowMs = this.clock.now();
      if (nowMs - this.#refilledAtMs < REFILL_MS) return undefined;
      this.#refilledAtMs = nowMs;
      this.#sites = SITES_PER_REFILL;
    }
    this.#sites--;
    const site: CallSite = {};
    v8Errors.captureStackTrace(site, remote);
    return site;
  }
}

function hasResponse(args: readonly unknown[]): boolean {
  for (let i = 0; i < args.length; i++) if (args[i] instanceof CallResponse) return true;
  return false;
}
