import type { Clock, Timer } from "../core/contracts/clock.ts";
import type { FormatTable } from "../wire/codec/format.ts";
import { ControlLink } from "../wire/control-link.ts";
import { Lane as LaneNumber } from "../wire/frames.ts";
import type { Limits } from "../wire/limits.ts";
import type { Transport } from "../wire/transport.ts";

export interface LastingLinkOptions<TIn> {
  readonly clock: Clock;
  readonly formats: FormatTable;
  readonly limits: Limits;
  readonly token: Uint8Array;
  /** Says who this is, 16 bytes. */
  readonly peerId: Uint8Array;
  /** How long it goes on without a controller; 0: it ends with the first one. */
  readonly adoptionMs: number;
  open(): Transport;
  onMessage(message: TIn): void;
  /** The controller is gone: until `onAgain`, what is sent is lost. */
  onLost(): void;
  /** There may be another one: what it is to know must be said now. Called for each attempt. */
  onAgain(): void;
  /** Once: there will be none any more. */
  onEnded(): void;
}

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1_000;

/** The control connection of a process that may outlive its controller: it is made anew when there is another one. */
export class LastingLink<TOut, TIn> {
  readonly #options: LastingLinkOptions<TIn>;
  #link: ControlLink<TOut, TIn>;
  /** This controller has been heard: the connection stands, and what was written before is on its way. */
  #isHeard = false;
  #isClosed = false;
  #lostAtMs: number | undefined = undefined;
  #retryMs = FIRST_RETRY_MS;
  #timer: Timer | undefined = undefined;

  constructor(options: LastingLinkOptions<TIn>) {
    this.#options = options;
    this.#link = this.#connect();
  }

  get isHeard(): boolean {
    return this.#isHeard;
  }

  /** @throws {SerializationError} if the message cannot travel. */
  send(message: TOut): void {
    this.#link.send(message);
  }

  /** Hands over what was written, then ends the connection; no other is made. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#link.close();
  }

  #connect(): ControlLink<TOut, TIn> {
    const { formats, limits, peerId, token } = this.#options;
    const link = new ControlLink<TOut, TIn>(this.#options.open(), {
      formats,
      limits,
      onMessage: (message) => {
        this.#isHeard = true;
        this.#lostAtMs = undefined;
        this.#retryMs = FIRST_RETRY_MS;
        this.#options.onMessage(message);
      },
      onClosed: () => this.#lose(),
    });
    link.introduce({ peerId, token, connection: 0, lane: LaneNumber.CONTROL });
    link.lane.transport.start(link.lane);
    return link;
  }

  #lose(): void {
    const { adoptionMs, clock, onEnded, onLost } = this.#options;
    this.#isHeard = false;
    const nowMs = clock.now();
    if (this.#isClosed || nowMs - (this.#lostAtMs ?? nowMs) >= adoptionMs) {
      this.#isClosed = true;
      onEnded();
      return;
    }
    if (this.#lostAtMs === undefined) {
      this.#lostAtMs = nowMs;
      onLost();
    }
    this.#timer = clock.setTimer(this.#retryMs, () => {
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
      this.#link = this.#connect();
      this.#options.onAgain();
    });
  }
}
