import { ConfigError } from "../errors.ts";
import { isClass, show } from "./option-checks.ts";

/**
 * Whether something is deployed as a class, of which each replica makes an instance, or as a function.
 *
 * @throws {ConfigError} for what could only be deployed half: it would fail at its first call, or its replicas would never be ready.
 */
export function kindOf(target: Function): "class" | "function" {
  if (typeof (target as { then?: unknown }).then === "function")
    throw refused(
      `${show(target)} has a static "then", for which await takes it for a promise. Rename it, or wrap the class in another one.`,
    );
  const isDeployedAsClass = isClass(target) || isOldClass(target);
  if (isDeployedAsClass && hasMethod(target, "then"))
    throw refused(
      `${show(target)} has a method "then", for which await takes its instances for promises. Rename it, or wrap the class in another one.`,
    );
  if (!isDeployedAsClass && looksLikeConstructor(target))
    throw refused(
      `${show(target)} sets members of this, as a constructor does, and is no class. Write class ${target.name} { … }, or, if it is no constructor, do without this.`,
    );
  return isDeployedAsClass ? "class" : "function";
}

/** Whether instances have a method of this name, own or inherited; a getter is not asked. */
export function hasMethod(target: Function, name: string): boolean {
  for (let at: unknown = target.prototype; typeof at === "object" && at !== null; at = Object.getPrototypeOf(at)) {
    const property = Object.getOwnPropertyDescriptor(at, name);
    if (property !== undefined) return typeof property.value === "function";
  }
  return false;
}

/** A function that is called with `new`, from before there were classes: its instances have methods, or a parent. */
function isOldClass(target: Function): boolean {
  if (!canConstruct(target)) return false;
  const prototype: unknown = target.prototype;
  if (typeof prototype !== "object" || prototype === null) return false;
  if (Reflect.ownKeys(prototype).some((key) => key !== "constructor")) return true;
  const parent: unknown = Object.getPrototypeOf(prototype);
  return parent !== null && Object.getPrototypeOf(parent) !== null;
}

/** The same without methods, by its text: what a function that is called without `new` sets of `this` is lost, or an error. */
function looksLikeConstructor(target: Function): boolean {
  const text = Function.prototype.toString.call(target);
  const isSetting = /\bthis\s*(?:\.\s*#?[\p{ID_Continue}$]+|\[[^\]]*\])\s*=(?![=>])/u.test(text);
  return isSetting && canConstruct(target) && /^\p{Lu}/u.test(target.name);
}

/** Asks whether `new` works, without running it. */
function canConstruct(target: Function): boolean {
  try {
    Reflect.construct(Object, [], target);
    return true;
  } catch {
    return false;
  }
}

function refused(message: string): ConfigError {
  return new ConfigError(`deployment() cannot take it: ${message}`, { path: "target" });
}
