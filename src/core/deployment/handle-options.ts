import { ConfigError } from "../errors.ts";
import type { SerializationName } from "../handle/call.ts";
import type { HandleOptions } from "../handle/types.ts";
import {
  above0,
  atLeast0,
  flag,
  listOf,
  numberWhere,
  read,
  readKeys,
  show,
  text,
  type Check,
} from "./option-checks.ts";

/** Handle options after checks and defaults. */
export interface ResolvedHandleOptions {
  readonly methodName: string;
  readonly multiplexedModelId: string;
  readonly stream: boolean;
  readonly preferLocalRouting: boolean;
  readonly byReference: boolean;
  readonly requestSerialization: SerializationName;
  readonly responseSerialization: SerializationName;
  readonly sessionId: string;
  /** undefined: none of its own, the call inherits. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** undefined: that of the request during which the call is made, else 0. */
  readonly priority: number | undefined;
  readonly spinUs: number;
}

/** A handle on which no option was set. */
export const defaultHandleOptions: ResolvedHandleOptions = {
  methodName: "call",
  multiplexedModelId: "",
  stream: false,
  preferLocalRouting: false,
  byReference: true,
  requestSerialization: "structured",
  responseSerialization: "structured",
  sessionId: "",
  timeoutMs: undefined,
  signal: undefined,
  priority: undefined,
  spinUs: 0,
};

const serializationNames: readonly SerializationName[] = ["structured", "v8", "msgpack", "json"];

const handleOptionNames: readonly (keyof HandleOptions)[] = [
  "methodName",
  "multiplexedModelId",
  "stream",
  "useNewHandleApi",
  "preferLocalRouting",
  "byReference",
  "requestSerialization",
  "responseSerialization",
  "sessionId",
  "timeoutMs",
  "signal",
  "priority",
  "spinUs",
];

/**
 * The options of a handle after `.options(options)`: those of `previous`, changed.
 *
 * `useNewHandleApi` is checked and dropped; whether it was given tells `givesNewHandleApi`.
 *
 * @throws {ConfigError} for the first key that is unknown or whose value is wrong.
 */
export function resolveHandleOptions(
  options: unknown,
  previous: ResolvedHandleOptions = defaultHandleOptions,
  path = "",
): ResolvedHandleOptions {
  const given = readKeys(options, path, handleOptionNames);
  const get = <T>(key: keyof HandleOptions, check: Check<T>): T | undefined => read(given, path, key, check);
  get("useNewHandleApi", flag);
  return {
    methodName: get("methodName", methodName) ?? previous.methodName,
    multiplexedModelId: get("multiplexedModelId", text) ?? previous.multiplexedModelId,
    stream: get("stream", flag) ?? previous.stream,
    preferLocalRouting: get("preferLocalRouting", flag) ?? previous.preferLocalRouting,
    byReference: get("byReference", flag) ?? previous.byReference,
    requestSerialization: get("requestSerialization", serialization) ?? previous.requestSerialization,
    responseSerialization: get("responseSerialization", serialization) ?? previous.responseSerialization,
    sessionId: get("sessionId", text) ?? previous.sessionId,
    timeoutMs: get("timeoutMs", above0) ?? previous.timeoutMs,
    signal: get("signal", abortSignal) ?? previous.signal,
    priority: get("priority", anyNumber) ?? previous.priority,
    spinUs: get("spinUs", atLeast0) ?? previous.spinUs,
  };
}

/** Whether the options name `useNewHandleApi`, which deserves a warning. */
export function givesNewHandleApi(options: object): boolean {
  return (options as HandleOptions).useNewHandleApi !== undefined;
}

const anyNumber = numberWhere(() => true, "a finite number");

const methodName: Check<string> = (value, path) => {
  if (typeof value === "string" && value !== "") return value;
  throw new ConfigError(`${path} must be the name of a method, not ${show(value)}.`, { path });
};

const serialization: Check<SerializationName> = (value, path) => {
  const name = typeof value === "string" ? value.toLowerCase() : undefined;
  const known = serializationNames.find((candidate) => candidate === name);
  if (known !== undefined) return known;
  throw new ConfigError(`${path} must be one of ${listOf(serializationNames)}, not ${show(value)}.`, { path });
};

/** By shape, not by class: signals of other realms and of polyfills do as well. */
export const abortSignal: Check<AbortSignal> = (value, path) => {
  const signal = value as Partial<AbortSignal> | null;
  if (
    typeof signal === "object" &&
    signal !== null &&
    typeof signal.aborted === "boolean" &&
    typeof signal.addEventListener === "function"
  ) {
    return signal as AbortSignal;
  }
  throw new ConfigError(`${path} must be an AbortSignal, not ${show(value)}. Write signal: controller.signal.`, {
    path,
  });
};
