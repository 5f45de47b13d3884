import { type ConfigError, HeliostatError } from "../core/errors.ts";
import { InvalidConfigError } from "../config/problem.ts";

/** What is answered: a value as JSON, or a text of a type of its own. */
export interface Reply {
  readonly status: number;
  readonly body: unknown;
  /** A text that is sent in place of the body, as it comes. */
  readonly pieces?: AsyncIterable<string>;
  /** Of a text; without it the body is sent as JSON. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What happens when the answer has left, or can never leave. */
  readonly whenSent?: () => void;
}

export interface RequestErrorFields {
  readonly name: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that is answered with an error which is not that of a configuration. */
export class RequestError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(message: string, { name, status, headers = {} }: RequestErrorFields) {
    super(message);
    this.name = name;
    this.status = status;
    this.headers = headers;
  }
}

export function notFound(message: string): RequestError {
  return new RequestError(message, { name: "NotFoundError", status: 404 });
}

/** Whoever may ask may run code here anyway: so an error of this side is told as it is. */
export function errorReply(error: unknown): Reply {
  if (error instanceof RequestError) {
    const { status, name, message, headers } = error;
    return { status, headers, body: { error: { name, message } } };
  }
  if (HeliostatError.isInstance(error) && error.code === "CONFIG") {
    const { message, path } = error as ConfigError;
    const problems = error instanceof InvalidConfigError ? error.problems : [{ path, message }];
    return { status: 400, body: { error: { name: "ConfigError", message, path, problems } } };
  }
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { status: 500, body: { error: { name, message } } };
}
