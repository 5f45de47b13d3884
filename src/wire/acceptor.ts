import type { Replica } from "../core/replica/replica.ts";
import { Lane as LaneNumber } from "./frames.ts";
import { type Introduced, PreambleReceiver } from "./preamble.ts";
import { ReplicaSession } from "./replica-session.ts";
import type { Transport } from "./transport.ts";
import type { WireContext } from "./wire-context.ts";

/** Takes a replica's incoming connections: both lanes of a caller make one session. */
export class Acceptor {
  readonly #context: WireContext;
  readonly #replica: Replica;
  readonly #sessions = new Map<string, ReplicaSession>();

  constructor(context: WireContext, replica: Replica) {
    this.#context = context;
    this.#replica = replica;
  }

  /** Connected callers. */
  get size(): number {
    return this.#sessions.size;
  }

  accept(transport: Transport): void {
    transport.start(
      new PreambleReceiver(transport, {
        clock: this.#context.clock,
        token: this.#context.token,
        lanes: [LaneNumber.SMALL, LaneNumber.BULK],
        onPeer: (peer) => this.#session(peer).attach(transport, peer.lane === LaneNumber.BULK),
      }),
    );
  }

  /** Ends all connections. */
  close(): void {
    for (const session of this.#sessions.values()) session.close();
  }

  #session({ peerId, connection }: Introduced): ReplicaSession {
    const key = `${peerId}.${connection}`;
    let session = this.#sessions.get(key);
    if (session === undefined) {
      session = new ReplicaSession({
        context: this.#context,
        replica: this.#replica,
        peerId,
        onClosed: () => this.#sessions.delete(key),
      });
      this.#sessions.set(key, session);
    }
    return session;
  }
}
