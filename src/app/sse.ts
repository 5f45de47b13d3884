import { makeSse, type Sse } from "../core/sse.ts";
import { systemClock } from "../engine/system-clock.ts";

/**
 * A Server-Sent Events response from anything that can be iterated; leaving it cancels.
 *
 * A string is sent as the data of one event, an object with a string `data` as the event that it describes (`event`,
 * `id` and `retry` too), anything else as JSON. An item is asked for when the client can take it, and sent at once. An
 * error of the items breaks the connection, so that the client does not take what came for everything. With `heartbeatMs`
 * a comment is sent whenever no item has come for so long.
 *
 * @throws {ConfigError} if `heartbeatMs` is not a number above 0.
 *
 * ```ts
 * async function* ticks() {
 *   for (let i = 0; i < 3; i++) yield { tick: i };
 * }
 * const fetch = () => sse(ticks(), { heartbeatMs: 15_000 });
 * ```
 */
export const sse: Sse = makeSse(systemClock);
