import { above0, numberWhere, read, readKeys, show, type Check } from "../deployment/option-checks.ts";
import { ConfigError, HeliostatError } from "../errors.ts";
import { ModelCache } from "./model-cache.ts";
import { PerReplica, runAt, type Workplace } from "./workplace.ts";

/** A loader of models that keeps those it has loaded. */
export interface Multiplexed<M> {
  /** The model of this id. @default modelId the one that the request was sent with */
  (modelId?: string): Promise<M>;
  /** Disposes of the model as soon as no request uses it. */
  unload(modelId: string): Promise<void>;
}

/** How many models are kept. */
export interface MultiplexedOptions<M> {
  /** Models that are held or loading at a time; -1: no limit. @default 3 */
  maxModelsPerReplica?: number;
  /** The size of all models that are kept; while it is exceeded, the one used longest ago goes. Needs `sizeOf`. @default none */
  maxBytes?: number;
  /** The size of a model, asked once after it was loaded. */
  sizeOf?: (model: M) => number;
}

/** The type of `multiplexed`. */
export type Multiplex = <M>(
  load: (modelId: string, signal: AbortSignal) => Promise<M>,
  options?: MultiplexedOptions<M>,
) => Multiplexed<M>;

const modelLimit = numberWhere(
  (value) => value === -1 || (Number.isInteger(value) && value >= 1),
  "-1 (no limit) or an integer of at least 1",
);

/** Makes the `multiplexed` that users import. */
export function makeMultiplexed(place: Workplace): Multiplex {
  return <M>(load: (modelId: string, signal: AbortSignal) => Promise<M>, options: MultiplexedOptions<M> = {}) => {
    if (typeof load !== "function") {
      throw new ConfigError(`multiplexed() needs a function (modelId, signal) that loads a model, not ${show(load)}.`, {
        path: "load",
      });
    }
    const limits = resolveLimits(options);
    const caches = new PerReplica((identity) => {
      const facilities = identity === undefined ? undefined : place.facilities.get(identity);
      const cache = new ModelCache<M>({
        clock: facilities?.clock ?? place.clock,
        log: facilities?.log ?? place.log,
        ...limits,
        load,
        run: (scope, fn) => runAt(place, { identity, scope }, fn),
        onChange: () => facilities?.models.changed(),
      });
      facilities?.models.add(cache);
      return cache;
    });
    const get = async (modelId?: string): Promise<M> => {
      const scope = place.contexts.get();
      return caches.of(place.identity()).get(checkedId(modelId ?? scope?.multiplexedModelId), scope);
    };
    const unload = async (modelId: string): Promise<void> => caches.of(place.identity()).unload(checkedId(modelId));
    return Object.assign(get, { unload });
  };
}

function resolveLimits<M>(options: MultiplexedOptions<M>): {
  maxModels: number;
  maxBytes: number;
  sizeOf?: (model: M) => number;
} {
  const given = readKeys(options, "", ["maxModelsPerReplica", "maxBytes", "sizeOf"]);
  const maxModels = read(given, "", "maxModelsPerReplica", modelLimit) ?? 3;
  const maxBytes = read(given, "", "maxBytes", above0);
  const sizeOf = read(given, "", "sizeOf", sizeFunction) as ((model: M) => number) | undefined;
  if ((maxBytes === undefined) !== (sizeOf === undefined)) {
    const path = maxBytes === undefined ? "maxBytes" : "sizeOf";
    throw new ConfigError(`${path} is missing: maxBytes and sizeOf need each other.`, { path });
  }
  return {
    maxModels: maxModels === -1 ? Infinity : maxModels,
    maxBytes: maxBytes ?? Infinity,
    ...(sizeOf === undefined ? {} : { sizeOf }),
  };
}

const sizeFunction: Check<Function> = (value, path) => {
  if (typeof value === "function") return value;
  throw new ConfigError(`${path} must be a function of a model that gives its bytes, not ${show(value)}.`, { path });
};

function checkedId(modelId: unknown): string {
  if (typeof modelId === "string" && modelId !== "") return modelId;
  if (modelId !== undefined && modelId !== "")
    throw new HeliostatError(`A model id is a string, not ${show(modelId)}.`);
  throw new HeliostatError(
    'There is no model id: none was given, and the request has none. Send one with handle.options({ multiplexedModelId: "a" }), over HTTP in the header serve_multiplexed_model_id, or name the model in the code.',
  );
}
