import type { IncomingMessage } from "node:http";
import type { Clock } from "../core/contracts/clock.ts";
import { endSlowly } from "./refuse-socket.ts";

/** Lets a client that is still sending its request read the answer before the connection is closed. */
export function closeSlowly(request: IncomingMessage, clock: Clock): void {
  const { socket } = request;
  request.resume();
  // It is what node:http ends a connection with that is not to be kept.
  socket.destroySoon = () => endSlowly(socket, clock);
}
