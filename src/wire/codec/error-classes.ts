import {
  BackPressureError,
  ConfigError,
  DeploymentFailedError,
  DeploymentUnavailableError,
  type ErrorCode,
  HeliostatError,
  ProtocolError,
  ReplicaDiedError,
  ReplicaUnavailableError,
  RequestCancelledError,
  RequestTimeoutError,
  SerializationError,
  StreamMismatchError,
  UnknownMethodError,
} from "../../core/errors.ts";

type ErrorClass = Function & { readonly prototype: Error };

/** By number on the wire: the nearest of these that an error's class extends. */
const bases: readonly ErrorClass[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  AggregateError,
  DOMException,
  HeliostatError,
];

/** Numbers of the bases that need more than a message. */
export const Base = { ERROR: 0, AGGREGATE: 7, DOM_EXCEPTION: 8, HELIOSTAT: 9 } as const;

const numbersByPrototype: ReadonlyMap<object, number> = new Map(bases.map((base, number) => [base.prototype, number]));
const numbersByName: ReadonlyMap<string, number> = new Map(bases.map((base, number) => [base.name, number]));

const ownClasses: Readonly<Record<ErrorCode, ErrorClass>> = {
  HELIOSTAT: HeliostatError,
  BACK_PRESSURE: BackPressureError,
  REQUEST_CANCELLED: RequestCancelledError,
  REQUEST_TIMEOUT: RequestTimeoutError,
  DEPLOYMENT_UNAVAILABLE: DeploymentUnavailableError,
  REPLICA_UNAVAILABLE: ReplicaUnavailableError,
  REPLICA_DIED: ReplicaDiedError,
  UNKNOWN_METHOD: UnknownMethodError,
  STREAM_MISMATCH: StreamMismatchError,
  SERIALIZATION: SerializationError,
  PROTOCOL: ProtocolError,
  DEPLOYMENT_FAILED: DeploymentFailedError,
  CONFIG: ConfigError,
};

/** The number of the nearest base of an error. */
export function baseOf(error: Error): number {
  // An error of another copy of the package has other classes, but the same brand.
  if (HeliostatError.isInstance(error)) return Base.HELIOSTAT;
  for (
    let prototype: unknown = Object.getPrototypeOf(error);
    prototype !== null;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    const number = numbersByPrototype.get(prototype as object);
    if (number !== undefined) return number;
    // Errors of another realm.
    const { constructor } = prototype as { constructor?: { name?: unknown } };
    if (
      Object.hasOwn(prototype as object, "constructor") &&
      typeof constructor?.name === "string" &&
      numbersByName.has(constructor.name)
    ) {
      return numbersByName.get(constructor.name)!;
    }
  }
  return Base.ERROR;
}

export function baseName(base: number): string {
  return bases[base]!.name;
}

/** The class for an error that arrived: ours by its code, a built-in, or one made for its name. */
export function errorClass(base: number, name: string, code: string): ErrorClass {
  const known =
    base === Base.HELIOSTAT && Object.hasOwn(ownClasses, code) ? ownClasses[code as ErrorCode] : bases[base];
  if (known === undefined)
    throw new ProtocolError(`A message holds an error of base ${base}, which this version does not know.`);
  return known.name === name ? known : namedClass(known, name);
}

/** What native code makes the object: our own constructors are not run, they would want what they cannot have yet. */
export function nativeBase(base: number): Function {
  return base === Base.HELIOSTAT ? Error : bases[base]!;
}

/** Names come from peers, and a class is never free: only so many are kept. */
const MAX_CLASSES = 256;
const named = new Map<string, ErrorClass>();

/**
 * A class with nothing but a name, for errors whose own class exists only where they come from. The same name over the
 * same base gives the same class, as long as it is kept.
 */
function namedClass(base: ErrorClass, name: string): ErrorClass {
  const id = `${base.name} ${name}`;
  let made = named.get(id);
  if (made !== undefined) return made;
  const Base = base as unknown as new (...args: unknown[]) => Error;
  made = { [name]: class extends Base {} }[name] as unknown as ErrorClass;
  Object.defineProperty(made, "name", { value: name, configurable: true });
  Object.defineProperty(made.prototype, "name", { value: name, writable: true, configurable: true });
  if (named.size >= MAX_CLASSES) named.delete(named.keys().next().value!);
  named.set(id, made);
  return made;
}
