import type { Clock, Timer } from "../core/contracts/clock.ts";
import { ProtocolError } from "../core/errors.ts";
import { MAGIC, PREAMBLE_BYTES, PROTOCOL_VERSION } from "./frames.ts";
import type { Lane } from "./lane.ts";
import type { Transport, TransportReceiver } from "./transport.ts";

/** Who connects, and by what right. */
export interface Preamble {
  /** The calling process. */
  readonly peerId: Uint8Array;
  /** Lanes with the same number belong together: the first connection of a process may be there still when it makes another. */
  readonly connection: number;
  readonly lane: number;
  /** The secret of the instance, 32 bytes. */
  readonly token: Uint8Array;
}

/** Who has connected, once proved. */
export interface Introduced {
  /** The id of the process, in hex. */
  readonly peerId: string;
  readonly connection: number;
  readonly lane: number;
}

/** What a listener needs to let somebody in. */
export interface PreambleOptions {
  readonly clock: Clock;
  /** The secret of the instance, 32 bytes. */
  readonly token: Uint8Array;
  /** Lanes that can be had here. */
  readonly lanes: readonly number[];
  onPeer(peer: Introduced): Lane;
}

/** Who connects has this long to send its preamble. */
const PREAMBLE_MS = 10_000;

/** Writes the first bytes of a connection. */
export function writePreamble(lane: Lane, preamble: Preamble): void {
  const { out } = lane.writer;
  out.ensure(PREAMBLE_BYTES);
  out.view.setUint32(out.at, MAGIC, true);
  out.view.setUint16(out.at + 4, PROTOCOL_VERSION, true);
  out.view.setUint8(out.at + 6, preamble.lane);
  out.view.setUint8(out.at + 7, preamble.connection);
  out.bytes.set(preamble.peerId, out.at + 8);
  out.bytes.set(preamble.token, out.at + 24);
  out.at += PREAMBLE_BYTES;
  lane.writer.schedule();
}

/**
 * Reads the first bytes of an accepted connection and hands it over only to a peer that knows the token: until then
 * nothing that arrives is looked at, let alone decoded.
 */
export class PreambleReceiver implements TransportReceiver {
  readonly #transport: Transport;
  readonly #options: PreambleOptions;
  readonly #timer: Timer;
  readonly #bytes = new Uint8Array(PREAMBLE_BYTES);
  #filled = 0;
  #lane: Lane | undefined = undefined;

  constructor(transport: Transport, options: PreambleOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#timer = options.clock.setTimer(PREAMBLE_MS, () => {
      transport.destroy(new ProtocolError(`The peer has not said within ${PREAMBLE_MS} ms who it is.`));
    });
  }

  get target(): Uint8Array | undefined {
    return this.#lane?.target;
  }

  onTarget(length: number): void {
    this.#lane?.onTarget(length);
  }

  onBytes(bytes: Uint8Array, start: number, end: number, owned?: boolean): void {
    if (this.#lane !== undefined) {
      this.#lane.onBytes(bytes, start, end, owned);
      return;
    }
    if (this.#filled === PREAMBLE_BYTES) return; // Refused; what follows is not read.
    const length = Math.min(PREAMBLE_BYTES - this.#filled, end - start);
    this.#bytes.set(bytes.subarray(start, start + length), this.#filled);
    this.#filled += length;
    if (this.#filled < PREAMBLE_BYTES) return;
    this.#timer.cancel();
    const problem = this.#check();
    if (problem !== undefined) {
      this.#transport.destroy(new ProtocolError(problem));
      return;
    }
    this.#lane = this.#options.onPeer({
      peerId: hex(this.#bytes.subarray(8, 24)),
      connection: this.#bytes[7]!,
      lane: this.#bytes[6]!,
    });
    if (start + length < end) this.#lane.onBytes(bytes, start + length, end, owned);
  }

  onWritable(): void {
    this.#lane?.onWritable();
  }

  onClosed(error: Error | undefined): void {
    this.#timer.cancel();
    this.#lane?.onClosed(error);
  }

  #check(): string | undefined {
    const view = new DataView(this.#bytes.buffer);
    if (view.getUint32(0, true) !== MAGIC) return "The peer does not speak this protocol.";
    if (view.getUint16(4, true) !== PROTOCOL_VERSION) {
      return `The peer speaks version ${view.getUint16(4, true)} of the protocol, not ${PROTOCOL_VERSION}. Run the same version of heliostat on both sides.`;
    }
    if (!this.#options.lanes.includes(this.#bytes[6]!)) return "The peer asks for a lane that there is not here.";
    // All bytes are compared whatever the first ones are: time must not tell how much of a guess was right.
    let difference = 0;
    for (let i = 0; i < 32; i++) difference |= this.#bytes[24 + i]! ^ this.#options.token[i]!;
    return difference === 0 ? undefined : "The peer does not know the secret of this instance.";
  }
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
