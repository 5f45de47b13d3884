import type { EncodedBody } from "../contracts/replica-client.ts";
import type { RequestScope } from "./context.ts";

/** How the values of a call are written. */
export type SerializationName = "structured" | "v8" | "msgpack" | "json";

/** What all calls made through one handle's method have in common: made once, shared by every call. */
export interface CallTemplate {
  readonly app: string;
  readonly deployment: string;
  readonly method: string;
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

/** One request on its way: the only record that handle, router and wire share. */
export class Call {
  readonly template: CallTemplate;
  readonly sink: CallSink;
  /** The request during which this call was made, if any. */
  readonly parent: RequestScope | undefined;
  /** Grows with each `.remote()` of the process: the order of service within a priority. */
  readonly sequence: number;
  readonly priority: number;
  /** On the clock; Infinity if there is none. */
  readonly deadlineMs: number;
  /** The `timeoutMs` that set the deadline; 0 if there is none. */
  readonly timeoutMs: number;
  /** Dropped once encoded, unless a user's routing policy wants to see them. */
  args: readonly unknown[] | undefined;
  body: EncodedBody | undefined = undefined;
  state: CallState = CallState.NEW;
  /** When it began to wait, on the clock: for ageing. 0 until it waits. */
  waitingSinceMs = 0;
  /** The router's record of the replica that has it; kept after SETTLED until the replica's work has ended. */
  slot: unknown = undefined;
  /** The wire's own number for it on its connection. */
  wireId = 0;
  /** Stream items that have arrived. */
  items = 0;

  /** @param sink undefined: the call itself, of a subclass that is one. */
  constructor(template: CallTemplate, sink: CallSink | undefined, fields: CallFields) {
    this.template = template;
    this.sink = sink ?? (this as unknown as CallSink);
    this.args = fields.args;
    this.parent = fields.parent;
    this.sequence = fields.sequence;
    this.priority = fields.priority;
    this.deadlineMs = fields.deadlineMs;
    this.timeoutMs = fields.timeoutMs;
  }
}

export interface CallFields {
  readonly args: readonly unknown[];
  readonly parent: RequestScope | undefined;
  readonly sequence: number;
  readonly priority: number;
  readonly deadlineMs: number;
  readonly timeoutMs: number;
}
