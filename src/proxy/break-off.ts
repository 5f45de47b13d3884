import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../core/contracts/clock.ts";
import { destroyWhenStuck, endSlowly } from "./refuse-socket.ts";

/**
 * Ends an answer in its middle: what was produced of it still arrives, and then the connection ends in a way that nobody
 * takes for the answer's own end.
 */
export function breakOff(response: ServerResponse, clock: Clock): void {
  const { socket } = response;
  if (response.destroyed) return;
  if (socket === null) {
    // Others on its connection come first. What was written of this one leaves with the socket.
    response.once("socket", () => process.nextTick(breakOff, response, clock));
    return;
  }
  // The head may still wait for a first chunk.
  response.flushHeaders();
  if (response.req.httpVersion !== "1.0") {
    endSlowly(socket, clock);
    return;
  }
  // Without a length or chunks only a reset tells a broken answer from one that has ended.
  destroyWhenStuck(socket, clock);
  socket.write("", () => carrierOf(socket).resetAndDestroy());
}

/** The connection that TLS lies on, which alone can be reset (net.Socket's own field); of any other socket, itself. */
function carrierOf(socket: Socket): Socket {
  return (socket as Socket & { readonly _parent?: Socket | null })._parent ?? socket;
}
