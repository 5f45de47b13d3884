import type { RefusalReason } from "../core/contracts/replica-client.ts";
import { IncomingCall } from "../core/replica/incoming-call.ts";
import type { Peer } from "../core/replica/peer.ts";

/** What a call says that a test cares about. */
export interface FakeCallFields {
  readonly broadcast?: boolean;
  readonly requestId?: string;
  readonly multiplexedModelId?: string;
  readonly priority?: number;
  readonly deadlineMs?: number;
}

/** A call at a replica that keeps how it ended; it does not stream. */
export class FakeIncomingCall<P extends Peer = Peer> extends IncomingCall {
  readonly peer: P;
  readonly method = "work";
  readonly stream = false;
  readonly broadcast: boolean;
  readonly requestId: string;
  readonly route = "";
  readonly traceparent = "";
  readonly clientAddress = undefined;
  readonly multiplexedModelId: string;
  readonly priority: number;
  readonly deadlineMs: number;
  readonly timeoutMs = 0;
  readonly outcomes: unknown[] = [];
  readonly others: number[] = [];
  argsError: Error | undefined = undefined;

  constructor(peer: P, fields: FakeCallFields = {}) {
    super();
    this.peer = peer;
    this.broadcast = fields.broadcast ?? false;
    this.requestId = fields.requestId ?? "r-1";
    this.multiplexedModelId = fields.multiplexedModelId ?? "";
    this.priority = fields.priority ?? 0;
    this.deadlineMs = fields.deadlineMs ?? Infinity;
  }

  args(): unknown[] {
    if (this.argsError !== undefined) throw this.argsError;
    return [];
  }

  result(value: unknown, others: number): void {
    this.outcomes.push(value);
    this.others.push(others);
  }

  fail(error: unknown, others: number): void {
    this.outcomes.push(error);
    this.others.push(others);
  }

  refuse(reason: RefusalReason, others: number): void {
    this.outcomes.push(`refused: ${reason}`);
    this.others.push(others);
  }

  item(): boolean {
    throw new Error("This call does not stream.");
  }

  end(): void {
    throw new Error("This call does not stream.");
  }
}
