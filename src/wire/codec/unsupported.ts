import { className } from "./kinds.ts";
import { Unsendable } from "./unsendable.ts";

/** What to do instead of sending an instance of a class that people try to send. */
const advice: Readonly<Record<string, string>> = {
  __proto__: null as never,
  URL: "send its href",
  URLSearchParams: "send its toString()",
  Headers: "send Object.fromEntries(headers)",
  Request: "send what you need of it: url, method, headers, and the body as text or bytes",
  Response: "send what you need of it: status, headers, and the body as text or bytes",
  Blob: "send its bytes: new Uint8Array(await blob.arrayBuffer())",
  File: "send its name and its bytes: new Uint8Array(await file.arrayBuffer())",
  AbortSignal:
    "give it to the handle's options({ signal }); inside a replica, getRequestContext().signal aborts with it",
  AbortController: "give its signal to the handle's options({ signal })",
  SharedArrayBuffer: "processes share no memory; send a copy: new Uint8Array(shared).slice()",
  WeakMap: "send a Map",
  WeakSet: "send a Set",
  WeakRef: "send what it refers to",
  Number: "send the primitive: value.valueOf()",
  String: "send the primitive: value.valueOf()",
  Boolean: "send the primitive: value.valueOf()",
  BigInt: "send the primitive: value.valueOf()",
  Symbol: "send a string that both sides know",
};

/** Says what a value is that no format carries, and what to send instead. */
export function unsupported(value: unknown): Unsendable {
  if (typeof value === "symbol")
    return new Unsendable("is a symbol, and symbols cannot travel; send a string that both sides know");
  if (typeof value === "function") {
    const name = value.name === "" ? "a function" : `the function ${value.name}`;
    return new Unsendable(
      `is ${name}, and code cannot travel; send what it returns, or make it a deployment and send that one's handle`,
    );
  }
  const object = value as object;
  const name = className(object);
  if (isThenable(object)) {
    return new Unsendable(
      "is a response or another promise inside a value; pass a response at top level, as an argument of remote(), or await it first",
    );
  }
  const instead = advice[name];
  if (instead !== undefined) return new Unsendable(`is an instance of ${name}, which cannot travel; ${instead}`);
  if (isIterable(object)) {
    return new Unsendable(
      `is ${name === "" ? "a generator or stream" : `a stream (${name})`}, which cannot be part of a value: send its items as an array, yield them from a method called with stream: true, or pass a plain response at top level, as an argument of remote()`,
    );
  }
  const what =
    name === "" || name === "Object" ? "an object with a prototype of its own" : `an instance of class ${name}`;
  return new Unsendable(
    `is ${what}, which cannot travel: its methods would be lost; send a plain object with what is needed of it, or a handle of a deployment that keeps it`,
  );
}

/** A value that only some formats carry: names one that does. */
export function unsupportedBy(format: string, what: string, instead = 'use the "structured" format'): Unsendable {
  return new Unsendable(`is ${what}, which the "${format}" format cannot carry; ${instead}`);
}

function isThenable(value: object): boolean {
  try {
    return typeof (value as { then?: unknown }).then === "function";
  } catch {
    return false;
  }
}

function isIterable(value: object): boolean {
  try {
    return (
      Symbol.asyncIterator in value ||
      typeof (value as { next?: unknown }).next === "function" ||
      typeof (value as { getReader?: unknown }).getReader === "function"
    );
  } catch {
    return false;
  }
}
