import type { RefusalReason, ReplicaClient, ReplicaClientListener } from "../core/contracts/replica-client.ts";
import { type Call, CallState } from "../core/handle/call.ts";
import type { ReplicaTarget } from "../core/router/snapshot.ts";

/** A connection to a replica that does what a test tells it to, and remembers what was asked of it. */
export class FakeReplica implements ReplicaClient {
  readonly target: ReplicaTarget;
  readonly #listener: ReplicaClientListener;
  /** Calls without an answer, in the order in which they came. */
  readonly open: Call[] = [];
  /** How many calls came in all. */
  received = 0;
  readonly cancelled: { readonly call: Call; readonly reason: unknown }[] = [];
  readonly granted: { readonly call: Call; readonly items: number; readonly bytes: number }[] = [];
  closed = false;
  /** Thrown by the next `send`. */
  failNextSend: Error | undefined = undefined;
  /** Sees each call as it is sent. */
  onSend: ((call: Call) => void) | undefined = undefined;

  constructor(target: ReplicaTarget, listener: ReplicaClientListener) {
    this.target = target;
    this.#listener = listener;
  }

  send(call: Call): boolean {
    const failure = this.failNextSend;
    this.failNextSend = undefined;
    if (failure !== undefined) throw failure;
    if (this.closed) return false;
    this.open.push(call);
    this.received++;
    this.onSend?.(call);
    return true;
  }

  cancel(call: Call, reason: unknown): void {
    this.cancelled.push({ call, reason });
  }

  grant(call: Call, items: number, bytes: number): void {
    this.granted.push({ call, items, bytes });
  }

  close(): void {
    if (!this.closed) this.lose(new Error("closed by this side"));
  }

  /** Answers a call, by default the oldest. */
  finish(call = this.open[0]!, others = 0, value: unknown = "done"): void {
    this.#take(call);
    this.#listener.onFinished(call, others);
    if (call.state === CallState.SETTLED) return;
    call.state = CallState.SETTLED;
    call.resolve(value);
  }

  refuse(call = this.open[0]!, reason: RefusalReason = "full", others = 1): void {
    this.#take(call);
    this.#listener.onRefused(call, reason, others);
  }

  free(others = 0): void {
    this.#listener.onFree(others);
  }

  drain(): void {
    this.#listener.onDraining();
  }

  /** Breaks the connection. */
  lose(error = new Error("connection reset"), isWritten: (call: Call) => boolean = () => true): void {
    this.closed = true;
    const lost = this.open.splice(0).map((call) => ({ call, written: isWritten(call) }));
    this.#listener.onLost(error, lost);
  }

  /** Closes it without a word, as seen when `send` is the first to notice. */
  vanish(): void {
    this.closed = true;
  }

  #take(call: Call): void {
    const at = this.open.indexOf(call);
    if (at < 0) throw new Error(`Replica ${this.target.replicaId} does not have call ${call.sequence}.`);
    this.open.splice(at, 1);
  }
}
