/** Finds out where code is, so that a replica in another process can load it. */
export interface CodeSites {
  /** URL of the module that called `callee`, or undefined where the stack does not tell. */
  callerModule(callee: Function): string | undefined;
}

interface Frame {
  getFileName(): string | null | undefined;
  getScriptNameOrSourceURL(): string | null | undefined;
}

/** The parts of V8's stack interface that are used here; the pure library types do not know them. */
interface StackSource {
  captureStackTrace(holder: object, below: Function): void;
  prepareStackTrace?: ((error: unknown, frames: readonly Frame[]) => unknown) | undefined;
  stackTraceLimit: number;
}

/**
 * Reads the caller from V8's stack.
 *
 * Structured frames, because the text of a stack is rewritten by source maps, by `prepareStackTrace` of other libraries
 * and by names that contain anything. They give the file that runs, which is the one that a replica must import.
 */
export const stackCodeSites: CodeSites = {
  callerModule(callee) {
    for (const frame of framesBelow(callee)) {
      const name = frame.getScriptNameOrSourceURL() ?? frame.getFileName();
      // Built-ins such as Array.map have no name: it is their caller that counts.
      if (typeof name === "string" && name !== "" && !name.startsWith("node:")) return moduleUrl(name);
    }
    return undefined;
  },
};

function framesBelow(callee: Function): readonly Frame[] {
  const source = Error as unknown as StackSource;
  const { prepareStackTrace, stackTraceLimit } = source;
  const holder: { stack?: unknown } = {};
  source.prepareStackTrace = (_error, frames) => frames;
  source.stackTraceLimit = 20;
  try {
    source.captureStackTrace(holder, callee);
    return Array.isArray(holder.stack) ? (holder.stack as Frame[]) : [];
  } finally {
    source.prepareStackTrace = prepareStackTrace;
    source.stackTraceLimit = stackTraceLimit;
  }
}

/** CommonJS modules are named by path. */
function moduleUrl(name: string): string | undefined {
  if (name.startsWith("/")) {
    const url = new URL("file:///");
    url.pathname = name.replaceAll("%", "%25");
    return url.href;
  }
  return URL.canParse(name) ? name : undefined;
}
