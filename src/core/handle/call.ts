import type { EncodedBody } from "../contracts/replica-client.ts";
import type { RequestScope } from "./context.ts";

/** How the values of a call are written. */
export type SerializationName = "structured" | "v8" | "msgpack" | "json";

/** What all calls made through one handle's method have in common: made once, shared by every call. */
export interface CallTemplate {
  readonly app: string;
  readonly deployment: string;
  readonly method: string;
  /** An HTTP exchange, and how its body comes: with the head, in parts, or as messages. */
  readonly exchange?: "whole" | "parts" | "web-socket";
  readonly stream: boolean;
  /** A broadcast is admitted without a place. */
  readonly broadcast: boolean;
  readonly requestSerialization: SerializationName;
  readonly responseSerialization: SerializationName;
  readonly multiplexedModelId: string;
  readonly sessionId: string;
  readonly preferLocalRouting: boolean;
  readonly byReference: boolean;
  readonly spinUs: number;
}

/** Where the outcome of a call goes: a response, a stream, one place of a broadcast. Settled at most once. */
export interface CallSink {
  /** The value of a plain call; for a stream: its end. */
  resolve(value: unknown): void;
  reject(error: unknown): void;
  /** One item of a stream; `bytes` is its size on the wire, for the credit. */
  item(value: unknown, bytes: number): void;
}

/**
 * Where a call is on its way.
 *
 * ```
 * NEW ─► RESOLVING ─► QUEUED ─► SENT ─► SETTLED
 *  └───────┴────────────┴──(refused: back to QUEUED)──┘   any ─► SETTLED by error, cancel or deadline
 * ```
 */
export const CallState = { NEW: 0, RESOLVING: 1, QUEUED: 2, SENT: 3, SETTLED: 4 } as const;
export type CallState = (typeof CallState)[keyof typeof CallState];

/** The request of which a call is part. */
export type CallOrigin = Pick<RequestScope, "requestId" | "route" | "traceparent" | "clientAddress">;

/** What a call inherits from the request during which it is made, or is given: shared by all calls that have the same. */
export interface CallTerms {
  /** The request during which the call is made, if any; of an HTTP exchange: the request itself. */
  readonly parent: CallOrigin | undefined;
  readonly priority: number;
  /** On the clock; Infinity if there is none. */
  readonly deadlineMs: number;
  /** The `timeoutMs` that set the deadline; 0 if there is none. */
  readonly timeoutMs: number;
}

/** Those of a call outside any request that is given nothing. */
export const noTerms: CallTerms = Object.freeze({ parent: undefined, priority: 0, deadlineMs: Infinity, timeoutMs: 0 });

/**
 * One request on its way: the only record that handle, router and wire share.
 *
 * There may be a million of them in flight, so what most calls do not have is not a field of its own.
 */
export abstract class Call implements CallSink {
  readonly template: CallTemplate;
  readonly terms: CallTerms;
  /** Grows with each `.remote()` of the process: the order of service within a priority. */
  readonly sequence: number;
  /** Dropped once encoded, unless a user's routing policy wants to see them. */
  args: readonly unknown[] | undefined;
  body: EncodedBody | undefined = undefined;
  state: CallState = CallState.NEW;
  /** When it began to wait, on the clock: for ageing. */
  waitingSinceMs: number | undefined = undefined;
  /** The router's record of the replica that has it; kept after SETTLED until the replica's work has ended. */
  slot: unknown = undefined;
  /** The wire's own number for it on its connection. */
  wireId = 0;
  /** Stream items that have arrived. */
  items = 0;

  constructor(template: CallTemplate, args: readonly unknown[], sequence: number, terms: CallTerms = noTerms) {
    this.template = template;
    this.args = args;
    this.sequence = sequence;
    this.terms = terms;
  }

  get parent(): CallOrigin | undefined {
    return this.terms.parent;
  }

  get priority(): number {
    return this.terms.priority;
  }

  get deadlineMs(): number {
    return this.terms.deadlineMs;
  }

  get timeoutMs(): number {
    return this.terms.timeoutMs;
  }

  abstract resolve(value: unknown): void;
  abstract reject(error: unknown): void;
  abstract item(value: unknown, bytes: number): void;
}
