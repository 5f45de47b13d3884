import { HeliostatError, type BackPressureError, type RequestTimeoutError } from "../core/errors.ts";
import type { Refusal } from "./route-table.ts";

/** An answer that the proxy gives itself: plain text. */
export interface PlainReply {
  readonly status: number;
  readonly text: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface ErrorContext {
  readonly requestId: string;
  /** How a deployment wants its refusals to look; undefined if it is not known. */
  refusalOf(deployment: string): Refusal | undefined;
}

/**
 * What a client is told of an error that ended its request before the response began.
 *
 * Nothing of an error of the user's code is told: it may hold what is not for clients.
 */
export function errorReply(error: unknown, { requestId, refusalOf }: ErrorContext): PlainReply {
  // By its code: an error that crossed a process may be of another copy's class.
  switch (HeliostatError.isInstance(error) ? error.code : undefined) {
    case "REQUEST_TIMEOUT": {
      const { timeoutMs } = error as RequestTimeoutError;
      return plain(408, `Request ${requestId} timed out after ${timeoutMs / 1_000}s.`);
    }
    case "BACK_PRESSURE": {
      const { deployment, message } = error as BackPressureError;
      const { statusCode = 503, retryAfterMs } = refusalOf(deployment) ?? {};
      const headers =
        retryAfterMs === undefined ? [] : [["Retry-After", String(Math.ceil(retryAfterMs / 1_000))] as const];
      return { ...plain(statusCode, `Request dropped due to backpressure: ${message}`), headers };
    }
    case "DEPLOYMENT_UNAVAILABLE":
    case "REPLICA_UNAVAILABLE":
      return plain(503, `The application is unavailable: ${(error as Error).message}`);
    default:
      return plain(500, `Internal Server Error. Request ${requestId} failed.`);
  }
}

export function plain(status: number, text: string): PlainReply {
  return { status, text, headers: [] };
}

/** What a client is told of bytes that node:http could not read. */
export function clientErrorReply(error: NodeJS.ErrnoException): PlainReply {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return plain(431, "The header of the request is too large.");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return plain(413, "The extensions of a chunk are too large.");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return plain(408, "The request did not arrive in time.");
    default:
      return plain(400, "The request is not valid HTTP.");
  }
}
