import { ProtocolError } from "../../core/errors.ts";
import type { ValueDecoder } from "./decoder.ts";
import { Base, baseName, errorClass, nativeBase } from "./error-classes.ts";
import { ErrorPart } from "./error-encoder.ts";

const brand = Symbol.for("heliostat.error");

/**
 * Makes an error of what follows its tag. Only built-in constructors run, and only with text: classes are found by code
 * or made for a name, and everything else is put on the object as data.
 */
export function readError(decoder: ValueDecoder, at: number): Error {
  const { reader } = decoder;
  decoder.enter();
  const base = reader.u8();
  const parts = reader.u8();
  const name = decoder.string();
  const code = base === Base.HELIOSTAT ? decoder.string() : "";
  const message = parts & ErrorPart.MESSAGE ? decoder.string() : "";
  const ownName = parts & ErrorPart.NAME ? decoder.string() : undefined;
  const error = bareError(base, { className: name, code, message, name: ownName });
  decoder.place(at, error);
  if (ownName !== undefined) define(error, "name", ownName, (parts & ErrorPart.NAME_ENUMERABLE) !== 0);
  if (parts & ErrorPart.STACK) define(error, "stack", decoder.string());
  if (parts & ErrorPart.CAUSE) define(error, "cause", decoder.value());
  if (parts & ErrorPart.ERRORS) define(error, "errors", decoder.value());
  for (let key = decoder.key(); key !== undefined; key = decoder.key()) define(error, key, decoder.value(), true);
  decoder.leave();
  return error;
}

interface ErrorText {
  readonly className: string;
  readonly code: string;
  readonly message: string;
  readonly name: string | undefined;
}

function bareError(base: number, text: ErrorText): Error {
  const target = errorClass(base, text.className, text.code);
  const limited = Error as { stackTraceLimit?: number };
  const { stackTraceLimit } = limited;
  const limitable = typeof stackTraceLimit === "number";
  // The stack that matters is the remote one; taking one here costs more than all the rest.
  if (limitable) limited.stackTraceLimit = 0;
  try {
    const error = Reflect.construct(nativeBase(base), argumentsFor(base, text), target) as Error;
    if (base === Base.HELIOSTAT) {
      Object.defineProperty(error, brand, { value: true });
      define(error, "name", text.className);
    }
    return error;
  } finally {
    if (limitable) limited.stackTraceLimit = stackTraceLimit;
  }
}

function argumentsFor(base: number, { message, name }: ErrorText): unknown[] {
  switch (base) {
    case Base.AGGREGATE:
      return message === "" ? [[]] : [[], message];
    case Base.DOM_EXCEPTION:
      return [message, name ?? "Error"];
    default:
      return message === "" ? [] : [message];
  }
}

/** Puts data on an error without running a setter. */
function define(error: Error, key: string, value: unknown, enumerable = false): void {
  if (Reflect.defineProperty(error, key, { value, enumerable, writable: true, configurable: true })) return;
  throw new ProtocolError(
    `A message holds an error of base ${baseName(0)} with a field ${JSON.stringify(key)} that cannot be set.`,
  );
}
