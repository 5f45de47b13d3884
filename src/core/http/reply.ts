import type { CloseReason, ResponseHead } from "./exchange.ts";

/** What a replica sends for an exchange, one by one, as it arrives at the caller. */
export type Reply =
  /** All of it: nothing else comes before or after. */
  | { readonly type: "response"; readonly head: ResponseHead; readonly body: Uint8Array }
  /** First, once. */
  | { readonly type: "head"; readonly head: ResponseHead }
  | { readonly type: "chunk"; readonly chunk: Uint8Array }
  | { readonly type: "message"; readonly message: string | Uint8Array }
  /** The replica closes the WebSocket. */
  | ({ readonly type: "close" } & CloseReason);
