import type { ControllerMessage, ReplicaMessage } from "../core/contracts/control-messages.ts";
import type { FormatTable } from "../wire/codec/format.ts";
import { ControlLink } from "../wire/control-link.ts";
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
}

export interface Expected {
  onMessage(message: ReplicaMessage): void;
  onClosed(): void;
}

/** Where replicas report: pairs each control connection with the replica that was started for it. */
export class ControlServer {
  readonly path: string;
  readonly #expected = new Map<string, ControlSlot>();
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
          onPeer: ({ peerId }) => {
            const slot = server.#expected.get(peerId);
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

  /** Prepares for the connection of one replica, which introduces itself with `id` (16 bytes in hex). */
  expect(id: string, expected: Expected): ControlSlot {
    const slot = new ControlSlot(expected, () => this.#expected.delete(id));
    this.#expected.set(id, slot);
    return slot;
  }

  close(): void {
    this.#listener?.close();
    for (const slot of this.#expected.values()) slot.close();
    this.#expected.clear();
  }
}

/** The controller's end of one replica's control connection; what is sent before it stands is kept. */
export class ControlSlot {
  readonly expected: Expected;
  readonly #forget: () => void;
  #link: ControlLink<ControllerMessage, ReplicaMessage> | undefined = undefined;
  #early: ControllerMessage[] = [];
  #closed = false;

  constructor(expected: Expected, forget: () => void) {
    this.expected = expected;
    this.#forget = forget;
  }

  connect(link: ControlLink<ControllerMessage, ReplicaMessage>): void {
    if (this.#closed || this.#link !== undefined) {
      link.close();
      return;
    }
    this.#link = link;
    for (const message of this.#early) link.send(message);
    this.#early = [];
  }

  send(message: ControllerMessage): void {
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
}
