import type { Clock } from "../core/contracts/clock.ts";
import type { Log } from "../core/contracts/log.ts";
import type { FormatTable } from "./codec/format.ts";
import type { Limits } from "./limits.ts";
import type { Poller } from "./poller.ts";
import type { Sharing } from "./sharing.ts";

/** What all sessions of a process share. */
export interface WireContext {
  readonly clock: Clock;
  readonly formats: FormatTable;
  readonly limits: Limits;
  /** The secret of the instance, 32 bytes. */
  readonly token: Uint8Array;
  /** Names this process to replicas, 16 bytes. */
  readonly peerId: Uint8Array;
  /** Where large binary can be lent to other processes instead of being sent. @default not at all */
  readonly sharing?: Sharing;
  /** For `spinUs`; without it the option does nothing. @default none */
  readonly poller?: Poller | undefined;
  /** What is told of connections that a peer has broken. @default nothing */
  readonly log?: Log | undefined;
}
