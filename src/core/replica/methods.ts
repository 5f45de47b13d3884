const objectMembers: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype));

/** The name that was asked for last and is no member of every object: asking the set again costs more than the rest. */
let lastAllowed = "";

/**
 * The function behind a method's name, or undefined: own and inherited functions of the instance, never what every
 * object has. A function deployment has one, `call`.
 */
export function findMethod(target: object | Function, name: string): Function | undefined {
  if (typeof target === "function") return name === "call" ? target : undefined;
  if (name !== lastAllowed) {
    if (objectMembers.has(name)) return undefined;
    lastAllowed = name;
  }
  const value = (target as Record<string, unknown>)[name];
  return typeof value === "function" ? value : undefined;
}

/** The names that `findMethod` finds, in the order of their definition. */
export function callableMethods(target: object | Function): string[] {
  if (typeof target === "function") return ["call"];
  const names = new Set<string>();
  for (
    let at: object | null = target;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (isMethod(target, at, name)) names.add(name);
    }
  }
  return [...names];
}

function isMethod(target: object, holder: object, name: string): boolean {
  if (objectMembers.has(name)) return false;
  const property = Object.getOwnPropertyDescriptor(holder, name)!;
  // A getter is asked as a call would ask it, but what it throws is no concern of a listing.
  try {
    return (
      typeof (property.get === undefined ? property.value : (target as Record<string, unknown>)[name]) === "function"
    );
  } catch {
    return false;
  }
}
