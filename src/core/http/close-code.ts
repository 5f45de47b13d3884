import { HeliostatError } from "../errors.ts";
import type { CloseReason } from "./exchange.ts";

/** What a close frame has room for beside its code (RFC 6455, 5.5). */
const MAX_REASON_BYTES = 123;

/** What a connection is closed with that broke without a word (RFC 6455, 7.4.1: only told, never sent). */
export const BROKEN: CloseReason = { code: 1006, reason: "" };
export const NORMAL: CloseReason = { code: 1000, reason: "" };
/** The handler of the WebSocket has failed. */
export const FAILED: CloseReason = { code: 1011, reason: "" };
/** The replica is replaced or deleted; another connection may find the next one. */
export const RESTARTING: CloseReason = { code: 1012, reason: "The service restarts." };

/** Whether a close frame may carry this code: those of the IANA's registry that can be sent, and those for applications. */
export function canBeSent(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/** @throws {HeliostatError} if a WebSocket cannot be closed with this. */
export function checkClose(code: number, reason: string): void {
  if (!canBeSent(code))
    throw new HeliostatError(
      `A WebSocket cannot be closed with code ${String(code)}. Use 1000, or one from 3000 to 4999 for a reason of your own.`,
    );
  if (typeof reason !== "string") throw new HeliostatError("The reason of a close must be a string.");
  if (new TextEncoder().encode(reason).byteLength > MAX_REASON_BYTES)
    throw new HeliostatError(`The reason of a close takes more than ${MAX_REASON_BYTES} bytes. Use a shorter one.`);
}
