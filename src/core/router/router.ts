import type { Clock } from "../contracts/clock.ts";
import type { Log } from "../contracts/log.ts";
import type { BodyEncoder, ConnectReplica, Part } from "../contracts/replica-client.ts";
import { ProtocolError } from "../errors.ts";
import { type Call, CallState } from "../handle/call.ts";
import { settleWithError } from "../handle/settle.ts";
import { type Broadcast, Broadcasts, type MakeCall } from "./broadcast.ts";
import { Chooser } from "./chooser.ts";
import type { RouterPolicy } from "./policy.ts";
import { Dispatcher } from "./dispatcher.ts";
import { replicaDied, replicaStopping, unavailable } from "./rejections.ts";
import { ReplicaSet } from "./replica-set.ts";
import type { LostCall, ReplicaSlot, SlotOwner } from "./replica-slot.ts";
import type { CodeReference, DeploymentSnapshot } from "./snapshot.ts";

export interface RouterOptions {
  readonly app: string;
  readonly deployment: string;
  readonly clock: Clock;
  readonly connect: ConnectReplica;
  readonly encoder: BodyEncoder;
  readonly nodeId: string;
  readonly log: Log;
  resolvePolicy(reference: CodeReference): RouterPolicy | undefined;
}

/** What a router has at one moment. */
export interface RouterStats {
  /** Calls that wait for a place, and broadcasts that wait for replicas. */
  readonly queued: number;
  /** Calls at replicas, also cancelled ones whose work has not ended. */
  readonly ongoing: number;
  readonly replicas: readonly {
    readonly replicaId: string;
    readonly ongoing: number;
    readonly others: number;
    readonly phase: ReplicaSlot["phase"] | "leaving";
  }[];
}

/**
 * Routes one process's calls to one deployment: picks a replica with a free place, or keeps the call until there is one.
 *
 * Guarantees: a call that `submit` took is settled exactly once, or is at a replica. What a replica may have begun to
 * run is never sent to another. Nothing is polled: each event that can free a place serves the waiting line at once.
 */
export class Router implements SlotOwner {
  readonly #options: RouterOptions;
  readonly #replicas: ReplicaSet;
  readonly #chooser: Chooser;
  readonly #dispatcher: Dispatcher;
  readonly #broadcasts: Broadcasts;
  #snapshot: DeploymentSnapshot | undefined = undefined;
  #closedBy: { readonly error: unknown } | undefined = undefined;

  constructor(options: RouterOptions) {
    this.#options = options;
    const { clock, connect, encoder, log } = options;
    this.#replicas = new ReplicaSet({ clock, connect, log, owner: this });
    this.#chooser = new Chooser(this.#replicas, options);
    this.#dispatcher = new Dispatcher({
      name: options,
      replicas: this.#replicas,
      chooser: this.#chooser,
      clock,
      encoder,
      rejection: () => this.#rejection(),
    });
    this.#broadcasts = new Broadcasts({
      name: options,
      replicas: this.#replicas,
      abandon: (call, error) => this.abandon(call, error),
    });
  }

  /** Takes over a newer snapshot; an older one is ignored. */
  update(snapshot: DeploymentSnapshot): void {
    const previous = this.#snapshot;
    if (this.#closedBy !== undefined || (previous !== undefined && snapshot.version <= previous.version)) return;
    this.#snapshot = snapshot;
    const takesRequests = unavailable(snapshot) === undefined;
    this.#chooser.follow(snapshot);
    this.#dispatcher.maxQueuedRequests = snapshot.maxQueuedRequests;
    this.#replicas.update(takesRequests ? snapshot.replicas : [], snapshot.maxOngoingRequests);
    if (!takesRequests) {
      this.#rejectAll(() => unavailable(this.#snapshot));
      return;
    }
    this.#broadcasts.retry();
    this.#dispatcher.serve();
    if (previous === undefined) this.#dispatcher.refuseExcess();
  }

  /** Sends the call, or lets it wait. Never throws: what goes wrong becomes the call's error. */
  submit(call: Call): void {
    this.#dispatcher.submit(call);
  }

  /** Ends a call with an error unless it has an outcome. At a replica its place stays taken until the work there ends. */
  abandon(call: Call, error: unknown): void {
    const { state } = call;
    if (!settleWithError(call, error)) return;
    if (state === CallState.QUEUED) this.#dispatcher.remove(call);
    else if (state === CallState.SENT) slotOf(call)?.client.cancel(call, error);
  }

  /** Allows the replica of a streaming call to send more. */
  grant(call: Call, items: number, bytes: number): void {
    slotOf(call)?.client.grant(call, items, bytes);
  }

  /** Sends a part of an accepted exchange; returns as `ReplicaClient.part` does. */
  part(call: Call, part: Part): number {
    return slotOf(call)!.client.part(call, part);
  }

  /** Calls every replica once, beside all limits; waits for replicas to exist. */
  broadcast(make: MakeCall): Broadcast {
    const broadcast = this.#broadcasts.start(make, this.#rejection());
    // It may have connected anew to a replica.
    this.#dispatcher.serve();
    return broadcast;
  }

  stats(): RouterStats {
    const replicas = [...this.#replicas.all()].map((slot) => ({
      replicaId: slot.target.replicaId,
      ongoing: slot.own + slot.broadcasts,
      others: slot.others,
      phase: slot.left ? ("leaving" as const) : slot.phase,
    }));
    const ongoing = replicas.reduce((sum, replica) => sum + replica.ongoing, 0);
    return { queued: this.#dispatcher.queued + this.#broadcasts.waiting, ongoing, replicas };
  }

  /** Ends everything with `error` and closes the connections; so ends every later call. Idempotent. */
  close(error: unknown): void {
    if (this.#closedBy !== undefined) return;
    this.#closedBy = { error };
    this.#rejectAll(() => error);
    this.#replicas.close();
  }

  /** Part of `SlotOwner`. */
  onRoom(slot: ReplicaSlot): void {
    if (slot.freeIndex < 0) this.#replicas.noteReport(slot);
    if (this.#dispatcher.queued > 0) this.#dispatcher.serve();
  }

  /** Part of `SlotOwner`. */
  onRefused(slot: ReplicaSlot, call: Call): void {
    // Not `noteReport`: right after a refusal the replica is full, whatever a limit that has just changed lets one think.
    if (slot.left || slot.phase === "draining") this.#replicas.noteReport(slot);
    else this.#replicas.refresh(slot);
    if (call.template.broadcast) settleWithError(call, replicaStopping(this.#options, slot.target.replicaId));
    else this.#dispatcher.routeAgain(call);
    this.#dispatcher.serve();
  }

  /** Part of `SlotOwner`. */
  onDraining(slot: ReplicaSlot): void {
    this.#replicas.noteReport(slot);
  }

  /** Part of `SlotOwner`. */
  onLost(slot: ReplicaSlot, error: Error, lost: readonly LostCall[]): void {
    const { replicaId } = slot.target;
    // A connection that ends by itself concerns nobody but those whose calls it had; one that was broken is somebody's fault.
    if ((lost.length > 0 || error instanceof ProtocolError) && this.#closedBy === undefined)
      this.#options.log.warn(`The connection to replica ${replicaId} broke: ${error.message}`, {
        openRequests: lost.length,
      });
    this.#replicas.lose(slot);
    for (const { call, written } of lost) {
      if (call.state === CallState.SETTLED) continue;
      if (this.#closedBy !== undefined) settleWithError(call, this.#closedBy.error);
      else if (written || call.template.broadcast) settleWithError(call, replicaDied(this.#options, replicaId, error));
      else this.#dispatcher.routeAgain(call);
    }
    this.#dispatcher.serve();
  }

  #rejectAll(makeError: () => unknown): void {
    this.#dispatcher.rejectAll(makeError);
    this.#broadcasts.rejectAll(makeError);
  }

  /** Why no call can be taken now; undefined if calls are. */
  #rejection(): { readonly error: unknown } | undefined {
    if (this.#closedBy !== undefined) return this.#closedBy;
    const error = unavailable(this.#snapshot);
    return error === undefined ? undefined : { error };
  }
}

function slotOf(call: Call): ReplicaSlot | undefined {
  return call.slot as ReplicaSlot | undefined;
}
