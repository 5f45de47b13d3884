import type { ControlServer } from "../../engine/control-server.ts";
import type { KeptProcesses } from "../../engine/process/kept-processes.ts";
import type { Reaper } from "../../engine/process/reaper.ts";
import type { ProxyRecord } from "./proxy-messages.ts";

/** What proxies in processes live in. */
export interface ProxyHome {
  readonly runtimeDirectory: string;
  readonly token: Uint8Array;
  readonly control: ControlServer;
  readonly reaper: Reaper;
  /** They outlive their controller for so long, and the next one takes them over. @default they end with it */
  readonly kept?: { readonly processes: KeptProcesses<ProxyRecord>; readonly adoptionMs: number } | undefined;
}
