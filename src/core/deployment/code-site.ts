/** Finds out where code is, so that a replica in another process can load it. */
export interface CodeSites {
  /** URL of the module that called `callee`, or undefined where the stack does not tell. */
  callerModule(callee: Function): string | undefined;
  /** Where in a module that happened. */
  place(callee: Function, module: string): CodePlace;
}

/** Where in a module something was defined, and when. */
export interface CodePlace {
  /** Lines and columns of the calls that led to it: the same whenever the module is loaded. */
  readonly position: string;
  /** The module's own code has done it, not a function that went on after an `await`: it has its place in an order that never changes. */
  readonly isOrdered: boolean;
  /** And the module has not awaited anything before: nothing can have been defined earlier that is not ordered. */
  readonly isFirst: boolean;
}

interface Frame {
  getFileName(): string | null | undefined;
  getScriptNameOrSourceURL(): string | null | undefined;
  getFunctionName(): string | null;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
  /** Where the function begins that the frame is of. */
  getEnclosingLineNumber?(): number | null;
  getEnclosingColumnNumber?(): number | null;
  isAsync?(): boolean;
}

/** What is used here of a frame. */
interface Step {
  /** undefined: it is not code of a file, but a built-in's, or it has a made-up URL, as code that was evaluated. */
  readonly module: string | undefined;
  readonly isNode: boolean;
  readonly position: string;
  /** The code of a module outside of all functions. */
  readonly isTopLevel: boolean;
}

/** Deep enough for a module that is loaded by a module that is loaded by many. */
const MAX_FRAMES = 200;

/**
 * Reads the caller from V8's stack.
 *
 * Structured frames where they can be had, because the text of a stack is rewritten by source maps, by
 * `prepareStackTrace` of other libraries and by names that contain anything. They give the file that runs, which is the
 * one that a replica must import.
 */
export const stackCodeSites: CodeSites = {
  callerModule(callee) {
    return stepsBelow(callee).find(({ module }) => module !== undefined)?.module;
  },

  place(callee, module) {
    const steps = stepsBelow(callee);
    const first = steps.findIndex((step) => step.module === module);
    const positions = steps
      .filter((step, i) => step.module === module || (i < first && step.position !== ""))
      .map(({ position }) => position);
    const top = steps.findIndex((step) => step.module === module && step.isTopLevel);
    return {
      position: positions.join(" "),
      isOrdered: top !== -1,
      isFirst: top !== -1 && (steps[top + 1]?.isNode ?? false),
    };
  },
};

function stepsBelow(callee: Function): readonly Step[] {
  const stack = stackBelow(callee);
  if (Array.isArray(stack)) return stack.filter(isFrame).flatMap((frame) => (frame.isAsync?.() ? [] : [stepOf(frame)]));
  return typeof stack === "string" ? stack.split("\n").flatMap(stepsOfLine) : [];
}

/** What V8 gives for the stack: frames, or what it is otherwise made of where that cannot be changed. */
function stackBelow(callee: Function): unknown {
  const source = Error as unknown as { captureStackTrace?(holder: object, below: Function): void };
  const holder: { stack?: unknown } = {};
  const putBack = [
    replaced("prepareStackTrace", (_error: unknown, frames: readonly unknown[]) => frames),
    replaced("stackTraceLimit", MAX_FRAMES),
  ];
  try {
    source.captureStackTrace?.(holder, callee);
    // It is made when it is read.
    return holder.stack;
  } catch {
    return undefined;
  } finally {
    for (const undo of putBack) undo();
  }
}

/** Sets a property of Error and says how to undo it; where it is frozen, everything stays as it is. */
function replaced(key: string, value: unknown): () => void {
  const before = Reflect.getOwnPropertyDescriptor(Error, key);
  const isData = before !== undefined && "value" in before;
  const now = { ...(isData ? before : { writable: true, enumerable: true, configurable: true }), value };
  if (!Reflect.defineProperty(Error, key, now)) return () => {};
  if (before === undefined) return () => void Reflect.deleteProperty(Error, key);
  return () => void Reflect.defineProperty(Error, key, before);
}

function isFrame(value: unknown): value is Frame {
  const { getFileName, getScriptNameOrSourceURL, getLineNumber } = value as Partial<Frame>;
  return [getFileName, getScriptNameOrSourceURL, getLineNumber].every((method) => typeof method === "function");
}

function stepOf(frame: Frame): Step {
  const name = frame.getScriptNameOrSourceURL() ?? frame.getFileName() ?? "";
  const [line, column] = [frame.getLineNumber(), frame.getColumnNumber()];
  return {
    module: fileUrl(name),
    isNode: name.startsWith("node:"),
    position: name === "" || name.startsWith("node:") ? "" : `${line}:${column}`,
    // A function that begins where the file does has a name, or could not be called.
    isTopLevel:
      frame.getFunctionName() === null &&
      frame.getEnclosingLineNumber?.() === 1 &&
      frame.getEnclosingColumnNumber?.() === 1,
  };
}

/** A line of a stack's text, such as `at load (file:///app.ts:12:3)`. */
function stepsOfLine(line: string): Step[] {
  const [, name, position] = /^\s*at (?!async )(?:.*\()?((?:file:\/\/)?\/.*?):(\d+:\d+)\)?$/.exec(line) ?? [];
  if (name === undefined || position === undefined) return [];
  return [{ module: fileUrl(name), isNode: false, position, isTopLevel: false }];
}

/** CommonJS modules are named by path. Bundlers make up URLs for what they evaluate, which nobody can import. */
function fileUrl(name: string): string | undefined {
  if (name.startsWith("/")) {
    const url = new URL("file:///");
    url.pathname = name.replaceAll("%", "%25");
    return url.href;
  }
  return name.startsWith("file:") && URL.canParse(name) ? name : undefined;
}
