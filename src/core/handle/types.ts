/** Any function: the constraint through which a user's methods are seen. Its `any` accepts every signature and never reaches a caller. */
export type AnyFunction = (...args: any[]) => unknown;

/** Carries the class behind a handle or an application through the types; nothing has it at run time. */
declare const target: unique symbol;
export type { target };

/** How the values of a call are written; what each format carries is told in `docs/reference/serialization.md`. */
export type Serialization = "structured" | "v8" | "msgpack" | "json";

/** An argument of a call: the value itself, or a response that will yield it. */
export type Arg<A> = A | DeploymentResponse<A>;
type Args<P extends readonly unknown[]> = { [I in keyof P]: Arg<P[I]> };

/** What a call yields: the awaited return value. */
type Result<F> = F extends (...args: any[]) => infer R ? Awaited<R> : never;
/** What a stream yields, one by one. */
type ItemOf<R> = R extends AsyncIterable<infer I> | Iterable<infer I>
  ? I
  : R extends Promise<infer P>
    ? ItemOf<P>
    : never;

/** Names of the public methods of a deployment class; a function deployment has one, `call`. */
export type MethodName<T> = T extends AnyFunction
  ? "call"
  : { [K in keyof T & string]: T[K] extends AnyFunction ? K : never }[keyof T & string];
type MethodOf<T, K> = T extends AnyFunction ? T : K extends keyof T ? Extract<T[K], AnyFunction> : never;

/** How a handle is set to call: which method `.remote()` means, and whether it streams. */
export interface Mode {
  method: string;
  stream: boolean;
}

/** A handle as it is without options: `.remote()` calls `call` and gives one result. */
export interface DefaultMode {
  method: "call";
  stream: false;
}

type Returned<F extends AnyFunction, M extends Mode> = M["stream"] extends true
  ? DeploymentResponseGenerator<ItemOf<ReturnType<F>>>
  : DeploymentResponse<Result<F>>;

type WithOptions<M extends Mode, O> = {
  method: O extends { methodName: infer N extends string } ? N : M["method"];
  stream: O extends { stream: infer S extends boolean } ? S : M["stream"];
};

/** Makes a misspelt option an error also beside right ones. */
type NoOtherKeys<O> = { [K in Exclude<keyof O, keyof HandleOptions>]: never };

/**
 * How calls are made, given to `.options()` of a handle or of one method.
 *
 * Unknown keys and values out of range are a `ConfigError` whose `path` names the key.
 */
export interface HandleOptions {
  /** The method that `.remote()` calls. @default "call" */
  methodName?: string;
  /** The model the request is for; replicas that hold it are preferred. Not inherited by nested calls. @default "" */
  multiplexedModelId?: string;
  /** Gives the items of a generator or a ReadableStream one by one instead of one result. @default false */
  stream?: boolean;
  /** @deprecated Accepted for parity; warns once and does nothing. */
  useNewHandleApi?: boolean;
  /** Prefers replicas on the caller's own node while they have a free place. @default false */
  preferLocalRouting?: boolean;
  /** Allows large values to be passed without copying them where the transport can. Never changes what arrives. @default true */
  byReference?: boolean;
  /** How arguments are written. @default "structured" */
  requestSerialization?: Serialization;
  /** How results and stream items are written. @default "structured" */
  responseSerialization?: Serialization;
  /** Requests of one session go to one replica while that is possible. Not inherited by nested calls. @default "" */
  sessionId?: string;
  /**
   * A deadline in milliseconds, above 0, for everything the call needs: arguments, waiting, executing.
   *
   * It travels to nested calls, which can shorten it, never lengthen it. When it has passed the request is stopped and
   * the call rejects with `RequestTimeoutError`. @default none
   */
  timeoutMs?: number;
  /** Cancels every call made with these options when it aborts; `cause` of the error is its reason. @default none */
  signal?: AbortSignal;
  /**
   * Higher goes first among waiting requests; any finite number.
   *
   * Never pre-empts running work, and a waiting request gains one level a second, so nothing starves.
   * @default that of the request during which the call is made, else 0
   */
  priority?: number;
  /**
   * Spin up to so many microseconds for a reply before waiting, for latency-critical handles.
   *
   * The event loop polls instead of sleeping, here after a call and in the replica for the next one, and serves everything
   * else meanwhile. It is measured whether that makes replies faster; where it does not, it is only tried now and then.
   * In local mode, where nothing sleeps, it does nothing. @default 0
   */
  spinUs?: number;
}

/** One method of a deployment, ready to be called: `handle.sayHi`. */
export interface MethodHandle<F extends AnyFunction, M extends Mode = DefaultMode> {
  /** Calls the method. Sent at once, awaited or not; never throws: every failure is a rejection. */
  remote(...args: Args<Parameters<F>>): Returned<F, M>;
  /** An updated copy that shares the router. @throws {ConfigError} for an unknown key or a value out of range. */
  options<const O extends Omit<HandleOptions, "methodName">>(
    options: O & NoOtherKeys<O>,
  ): MethodHandle<F, WithOptions<M, O>>;
}

/** What every handle has, whatever its deployment: the names that a deployment's methods cannot take. */
export interface HandleMembers<T, M extends Mode> {
  readonly [target]: T;
  /** Name of the application. */
  readonly appName: string;
  /** Name of the deployment within it. */
  readonly deploymentName: string;
  /** Calls `call` (or `methodName`, if set). Sent at once, awaited or not; never throws: every failure is a rejection. */
  remote(...args: Args<Parameters<MethodOf<T, M["method"]>>>): Returned<MethodOf<T, M["method"]>, M>;
  /**
   * An updated copy that shares this handle's router.
   *
   * @throws {ConfigError} for an unknown key or a value out of range.
   */
  options<const O extends HandleOptions & { methodName?: MethodName<T> }>(
    options: O & NoOtherKeys<O>,
  ): DeploymentHandle<T, WithOptions<M, O>>;
  /**
   * Calls a method on every running replica, and waits for replicas to exist if there are none.
   *
   * It counts against no limit: for control, never on a hot path.
   */
  broadcast<K extends MethodName<T>>(
    method: K,
    ...args: Args<Parameters<MethodOf<T, K>>>
  ): DeploymentBroadcastResponse<Result<MethodOf<T, K>>>;
}

type MethodHandles<T, M extends Mode> = T extends AnyFunction
  ? unknown
  : { readonly [K in Exclude<MethodName<T>, keyof HandleMembers<T, M>>]: MethodHandle<MethodOf<T, K>, M> };

/**
 * Makes requests to a deployment at run time. `T` is the deployment's class, or function type.
 *
 * Each public method of the class is a name on the handle, typed from the class. All handles of a process to one
 * deployment share one waiting line. A handle may be an argument, a result or a stream item.
 *
 * ```ts
 * import { deployment, serve } from "heliostat";
 *
 * class Greeter {
 *   greet(name: string) {
 *     return `Hello ${name}!`;
 *   }
 * }
 *
 * const handle = await serve.run(deployment(Greeter).bind());
 * console.log(await handle.greet.remote("world"));
 * await serve.shutdown();
 * ```
 */
export type DeploymentHandle<T, M extends Mode = DefaultMode> = HandleMembers<T, M> & MethodHandles<T, M>;

/**
 * The future result of one call. Sent when made, awaited or not; awaitable any number of times.
 *
 * It is a promise, so an `async` function that returns it awaits it; given to another `.remote()` at top level it is
 * resolved first. A failure that nobody awaits never ends the process.
 */
export interface DeploymentResponse<R> extends Promise<R> {
  /** Of the request: inherited by every call that is made while serving it. */
  readonly requestId: string;
  /** Whether `cancel()` or the signal ended the call. */
  readonly cancelled: boolean;
  /** The result; rejects with `RequestTimeoutError` (`stopped: false`) when the time is up. The call itself goes on and can be asked again. */
  result(options?: { timeoutMs?: number }): Promise<R>;
  /** Ends the call: it never starts, or its signal aborts. Idempotent; without effect after the result. */
  cancel(): void;
}

/**
 * The items of one streaming call, in order, flow-controlled. Leaving the loop early cancels.
 *
 * An error comes after the items before it, is delivered once, and `done` follows.
 */
export interface DeploymentResponseGenerator<I>
  extends AsyncIterableIterator<I, undefined, undefined>, AsyncDisposable {
  readonly requestId: string;
  readonly cancelled: boolean;
  /** Ends the stream and drops unread items; the next `next()` rejects with `RequestCancelledError`. Idempotent. */
  cancel(): void;
  /** The same items as a web stream; cancelling it cancels the call. */
  toReadableStream(): ReadableStream<I>;
}

/** The results of a call made on every replica, in the order of the replicas' start. */
export interface DeploymentBroadcastResponse<R> extends Promise<R[]> {
  /**
   * One result for each replica; rejects with the first failure, or holds it in its place with `returnExceptions`.
   *
   * Rejects with `RequestTimeoutError` (`stopped: false`) when `timeoutMs` is up; the calls go on.
   */
  results(options?: { timeoutMs?: number; returnExceptions?: false }): Promise<R[]>;
  results(options: { timeoutMs?: number; returnExceptions: true }): Promise<(R | Error)[]>;
  /** Cancels the call on every replica. Idempotent. */
  cancel(): void;
}
