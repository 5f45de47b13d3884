import { makeMultiplexed, type Multiplex } from "../core/replica/multiplexing.ts";
import { workplace } from "./workplace.ts";

/**
 * A least-recently-used cache of models, announced to the router, which prefers the replicas that hold a request's model.
 *
 * Models that go are disposed of (`Symbol.asyncDispose`, else `Symbol.dispose`), never while a request that got them
 * still runs. `signal` aborts when the replica stops, or when a model is unloaded that nobody waits for.
 *
 * @throws {ConfigError} for an option that is unknown or wrong.
 */
export const multiplexed: Multiplex = makeMultiplexed(workplace);
