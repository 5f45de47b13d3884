import type { ControllerMessage, ReplicaMessage } from "../core/contracts/control-messages.ts";
import type { FormatTable } from "../wire/codec/format.ts";
import { ControlLink, GUEST_CONNECTION } from "../wire/control-link.ts";
import { Lane as LaneNumber } from "../wire/frames.ts";
import { PreambleReceiver } from "../wire/preamble.ts";
import { systemClock } from "./system-clock.ts";
import type { Limits } from "../wire/limits.ts";
import { listenSocket, type SocketListener } from "../transport/socket.ts";

export interface ControlServerOptions {
  readonly path: string;
  readonly formats: FormatTable;
  readonly limits: Limits;
  readonly token: Uint8Array;
  /** Somebody who knows the token connects to call, and is no replica; undefined sends them away. @default nobody is let in but replicas */
  onGuest?(send: (message: ControllerMessage) => void): Expected | undefined;
}

/** What becomes of a connection, which is a replica's unless it was expected of somebody else. */
export interface Expected<TIn = ReplicaMessage> {
  onMessage(message: TIn): void;
  onClosed(): void;
}

/** Where replicas report: pairs each control connection with the replica that was started for it. Guests come here too. */
export class ControlServer {
  readonly path: string;
  readonly #expected = new Map<string, ControlSlot>();
  readonly #guests = new Set<ControlSlot>();
  #closed = false;
  #listener: SocketListener | undefined = undefined;

  private constructor(options: ControlServerOptions) {
    this.path = options.path;
  }

  static async open(options: ControlServerOptions): Promise<ControlServer> {
    const server = new ControlServer(options);
    server.#listener = await listenSocket(options.path, (transport) => {
      transport.start(
        new PreambleReceiver(transport, {
          clock: systemClock,
          token: options.token,
          lanes: [LaneNumber.CONTROL],
          onPeer: ({ peerId, connection }) => {
            const slot = connection === GUEST_CONNECTION ? server.#welcome(options) : server.#expected.get(peerId);
            const link = new ControlLink<ControllerMessage, ReplicaMessage>(transport, {
              formats: options.formats,
              limits: options.limits,
              onMessage: (message) => slot?.expected.onMessage(message),
              onClosed: () => slot?.expected.onClosed(),
            });
            if (slot === undefined) link.close();
            else slot.connect(link);
            return link.lane;
          },
        }),
      );
    });
    return server;
  }

  /** Prepares for the connection of one replica, or proxy, which introduces itself with `id` (16 bytes in hex). */
  expect(id: string, expected: Expected): ControlSlot;
  expect<TOut, TIn>(id: string, expected: Expected<TIn>): ControlSlot<TOut, TIn>;
  expect<TOut, TIn>(id: string, expected: Expected<TIn>): ControlSlot<TOut, TIn> {
    const slot = new ControlSlot<TOut, TIn>(expected, () => this.#expected.delete(id));
    // Only whoever knows the id connects, and it says what its kind says.
    this.#expected.set(id, slot as unknown as ControlSlot);
    return slot;
  }

  close(): void {
    this.#closed = true;
    this.#listener?.close();
    for (const slot of this.#expected.values()) slot.close();
    this.#expected.clear();
    for (const slot of this.#guests) slot.destroy();
  }

  #welcome({ onGuest }: ControlServerOptions): ControlSlot | undefined {
    if (onGuest === undefined || this.#closed) return undefined;
    const guest = onGuest((message) => slot.send(message));
    if (guest === undefined) return undefined;
    const slot: ControlSlot = new ControlSlot(
      {
        onMessage: (message) => guest.onMessage(message),
        onClosed: () => {
          guest.onClosed();
          slot.close();
        },
      },
      () => this.#guests.delete(slot),
    );
    this.#guests.add(slot);
    return slot;
  }
}

/** The controller's end of one replica's control connection; what is sent before it stands is kept. */
export class ControlSlot<TOut = ControllerMessage, TIn = ReplicaMessage> {
  readonly expected: Expected<TIn>;
  readonly #forget: () => void;
  #link: ControlLink<TOut, TIn> | undefined = undefined;
  #early: TOut[] = [];
  #closed = false;

  constructor(expected: Expected<TIn>, forget: () => void) {
    this.expected = expected;
    this.#forget = forget;
  }

  connect(link: ControlLink<TOut, TIn>): void {
    if (this.#closed || this.#link !== undefined) {
      link.close();
      return;
    }
    this.#link = link;
    for (const message of this.#early) link.send(message);
    this.#early = [];
  }

  send(message: TOut): void {
    if (this.#closed) return;
    if (this.#link === undefined) this.#early.push(message);
    else this.#link.send(message);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    this.#link?.close();
  }

  /** Ends the connection without waiting for the other side, which may have stopped to listen. */
  destroy(): void {
    this.expected.onClosed();
    this.close();
    this.#link?.lane.transport.destroy(new Error("The instance has ended."));
  }
}
