import type { Batch } from "../core/replica/batch-types.ts";
import { makeBatch } from "../core/replica/batching.ts";
import { workplace } from "./workplace.ts";

/**
 * Makes a function of one item out of a function of many: calls that come together become one call of the handler.
 *
 * The handler gets an array of items and gives an array of the same length. A generator (`async function*`) yields such
 * arrays, and each caller reads a stream of its own. It works anywhere, in a replica or not.
 *
 * @throws {ConfigError} for an option that is unknown or wrong.
 */
export const batch: Batch = makeBatch(workplace);
