/** Makes a constructor look like the platform's: its name, its prototype, which it shares, and its static members. */
export function standIn<T extends Function>(make: Function, Native: T, statics: Record<string, Function> = {}): T {
  Object.setPrototypeOf(make, Native);
  Object.defineProperty(make, "name", { value: Native.name, configurable: true });
  Object.defineProperty(make, "length", { value: Native.length, configurable: true });
  const { prototype } = Native as unknown as { prototype: object };
  Object.defineProperty(make, "prototype", { value: prototype, writable: false });
  for (const [name, value] of Object.entries(statics))
    Object.defineProperty(make, name, { value, writable: true, enumerable: true, configurable: true });
  Object.defineProperty(prototype, "constructor", { value: make, writable: true, configurable: true });
  return make as unknown as T;
}

/**
 * Gives a class every member that the platform's class has and this one has not: each asks the platform's own object,
 * which is made for it.
 */
export function delegateRest<T extends object>(lazy: T, platform: object, nativeOf: (self: T) => object): void {
  for (const key of Reflect.ownKeys(platform)) {
    if (Object.hasOwn(lazy, key)) continue;
    const member = Object.getOwnPropertyDescriptor(platform, key)!;
    const { get, value } = member as { get?: () => unknown; value?: unknown };
    if (get !== undefined) {
      Object.defineProperty(lazy, key, {
        ...member,
        get(this: T) {
          return Reflect.get(nativeOf(this), key);
        },
      });
    } else if (typeof value === "function") {
      Object.defineProperty(lazy, key, {
        ...member,
        value(this: T, ...args: unknown[]) {
          const native = nativeOf(this);
          return Reflect.apply(Reflect.get(native, key) as Function, native, args);
        },
      });
    }
  }
}
