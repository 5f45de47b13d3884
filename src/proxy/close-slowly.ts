import type { IncomingMessage } from "node:http";
import type { Clock } from "../core/contracts/clock.ts";

/** How long a client that still sends may take to notice its answer. */
const LINGER_MS = 2_000;

/**
 * Lets a client that is still sending read its answer before the connection is closed.
 *
 * A connection that is closed with something unread in it is reset, and the reset may overtake the answer
 * (RFC 9112, 9.6: read on for a while, then close).
 */
export function closeSlowly(request: IncomingMessage, clock: Clock): void {
  const { socket } = request;
  request.resume();
  // It is what node:http ends a connection with that is not to be kept.
  socket.destroySoon = () => {
    socket.end();
    if (socket.readableEnded) {
      socket.destroy();
      return;
    }
    const timer = clock.setTimer(LINGER_MS, () => socket.destroy());
    socket.once("end", () => socket.destroy());
    socket.once("close", () => timer.cancel());
    socket.resume();
  };
}
