import type { Timer } from "../core/contracts/clock.ts";
import type { ReplicaClient, ReplicaClientListener } from "../core/contracts/replica-client.ts";
import { type Call, CallState } from "../core/handle/call.ts";
import type { ManualClock } from "./manual-clock.ts";

export interface SimulationOptions {
  readonly clock: ManualClock;
  readonly limit: number;
  /** One way between caller and replica. */
  readonly latencyMs: number;
  /** How long a call runs. */
  workMs(call: Call): number;
}

/** A caller that was told of a free place and has not taken it within this time is passed over. */
const OFFER_MS = 5;

/**
 * A replica in virtual time, shared by several callers: admits up to its limit, refuses beyond it, and tells refused
 * callers in turn when a place is free.
 */
export class SimulatedReplica {
  readonly #options: SimulationOptions;
  readonly #refused: SimulatedClient[] = [];
  #offer: Timer | undefined = undefined;
  ongoing = 0;
  admitted = 0;
  refusals = 0;
  mostOngoing = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
  }

  connect(listener: ReplicaClientListener): ReplicaClient {
    return new SimulatedClient(this, listener);
  }

  /** Runs `fn` when a message sent now arrives. */
  later(fn: () => void): void {
    this.#options.clock.setTimer(this.#options.latencyMs, fn);
  }

  accept(client: SimulatedClient, call: Call): void {
    const { clock, limit, workMs } = this.#options;
    if (this.ongoing >= limit) {
      this.refusals++;
      if (!this.#refused.includes(client)) this.#refused.push(client);
      client.refuse(call, this.ongoing - client.ongoing);
      return;
    }
    this.ongoing++;
    client.ongoing++;
    this.admitted++;
    this.mostOngoing = Math.max(this.mostOngoing, this.ongoing);
    clock.setTimer(workMs(call), () => {
      this.ongoing--;
      client.ongoing--;
      this.#tellNext();
      client.finish(call, this.ongoing - client.ongoing);
    });
  }

  #tellNext(): void {
    let places = this.#options.limit - this.ongoing;
    while (places-- > 0 && this.#refused.length > 0) {
      const client = this.#refused.shift()!;
      client.free(this.ongoing - client.ongoing);
    }
    if (this.#refused.length === 0 || this.#offer !== undefined) return;
    this.#offer = this.#options.clock.setTimer(OFFER_MS, () => {
      this.#offer = undefined;
      this.#tellNext();
    });
  }
}

class SimulatedClient implements ReplicaClient {
  readonly #replica: SimulatedReplica;
  readonly #listener: ReplicaClientListener;
  ongoing = 0;

  constructor(replica: SimulatedReplica, listener: ReplicaClientListener) {
    this.#replica = replica;
    this.#listener = listener;
  }

  send(call: Call): boolean {
    this.#replica.later(() => this.#replica.accept(this, call));
    return true;
  }

  cancel(): void {}
  grant(): void {}
  close(): void {}

  refuse(call: Call, others: number): void {
    this.#replica.later(() => this.#listener.onRefused(call, "full", others));
  }

  free(others: number): void {
    this.#replica.later(() => this.#listener.onFree(others));
  }

  finish(call: Call, others: number): void {
    this.#replica.later(() => {
      this.#listener.onFinished(call, others);
      call.state = CallState.SETTLED;
      call.resolve(undefined);
    });
  }
}
