import { Base, baseName, baseOf } from "./error-classes.ts";
import type { ValueEncoder } from "./encoder.ts";
import { className } from "./kinds.ts";
import { Tag } from "./tags.ts";

/** Bits of the byte behind an error's base: which parts follow. */
export const ErrorPart = { NAME: 1, NAME_ENUMERABLE: 2, STACK: 4, CAUSE: 8, ERRORS: 16, MESSAGE: 32 } as const;

/** These travel as parts of their own. */
const notFields = new Set(["name", "message", "stack", "cause"]);

/**
 * Writes an error: base, parts, class name, then the parts, then its own fields. A part that cannot be read, or cannot
 * travel, is left out: an error must arrive in any case.
 */
export function writeError(encoder: ValueEncoder, error: Error): void {
  const { writer } = encoder;
  encoder.enter();
  const base = baseOf(error);
  const name = className(error) || baseName(base);
  writer.u8(Tag.ERROR);
  writer.u8(base);
  const partsAt = writer.at;
  writer.u8(0);
  encoder.string(name);
  if (base === Base.HELIOSTAT) encoder.string(text(error, "code") ?? "");
  let parts = 0;

  const message = text(error, "message");
  if (message !== undefined && message !== "") {
    parts |= ErrorPart.MESSAGE;
    encoder.string(message);
  }
  const ownName = text(error, "name");
  const enumerable = isEnumerable(error, "name");
  // A class that does not set `name` has that of what it extends; people mean the class.
  if (ownName !== undefined && (enumerable || (ownName !== name && ownName !== baseName(base)))) {
    parts |= ErrorPart.NAME | (enumerable ? ErrorPart.NAME_ENUMERABLE : 0);
    encoder.string(ownName);
  }
  const stack = text(error, "stack");
  if (stack !== undefined) {
    parts |= ErrorPart.STACK;
    encoder.string(stack);
  }
  if (part(encoder, error, "cause")) parts |= ErrorPart.CAUSE;
  if (base === Base.AGGREGATE && part(encoder, error, "errors")) parts |= ErrorPart.ERRORS;
  // By its place from the start: writing may have moved to other memory.
  writer.bytes[partsAt] = parts;

  for (const key of fieldsOf(error)) {
    if (notFields.has(key) || (base === Base.AGGREGATE && key === "errors")) continue;
    encoder.attempt(() => {
      encoder.string(key);
      encoder.value((error as unknown as Record<string, unknown>)[key]);
    });
  }
  writer.u8(Tag.END);
  encoder.leave();
}

function part(encoder: ValueEncoder, error: Error, name: "cause" | "errors"): boolean {
  let present = false;
  const written = encoder.attempt(() => {
    present = name in error;
    if (present) encoder.value((error as unknown as Record<string, unknown>)[name]);
  });
  return present && written;
}

function text(error: Error, name: string): string | undefined {
  try {
    const value = (error as unknown as Record<string, unknown>)[name];
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function isEnumerable(error: Error, name: string): boolean {
  try {
    return Object.prototype.propertyIsEnumerable.call(error, name);
  } catch {
    return false;
  }
}

function fieldsOf(error: Error): string[] {
  try {
    return Object.keys(error);
  } catch {
    return [];
  }
}
