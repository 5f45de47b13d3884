import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { HeaderFields } from "../core/http/exchange.ts";

/** What the headers of a request say to the proxy itself, read in one pass. */
export interface HeadFields {
  readonly headers: HeaderFields;
  readonly requestId: string;
  readonly host: string | undefined;
  readonly sessionId: string | undefined;
  readonly traceparent: string | undefined;
  readonly multiplexedModelId: string | undefined;
  /** Of `x-request-timeout-seconds`: Infinity for none, undefined if it says nothing. */
  readonly timeoutMs: number | undefined;
  /** Of the body, as announced; undefined if that is not told. */
  readonly contentLength: number | undefined;
  readonly hasBody: boolean;
  /** The client asked that its leaving cancels nothing. */
  readonly staysAfterDisconnect: boolean;
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
/** Version, trace, span and flags (W3C Trace Context, 3.2); a later version may say more. */
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(?:-[\x21-\x7e]*)?$/;
/** A name, an IPv4 address or an IPv6 address in brackets, and a port. */
const HOST = /^(?:[\w.~!$&'()*+,;=%-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?$/;

/** Reads the header fields of a request; the request's id is among those that are given on. */
export function readHead({ rawHeaders }: Pick<IncomingMessage, "rawHeaders">): HeadFields {
  const headers: [string, string][] = [];
  let requestId: string | undefined;
  let host: string | undefined;
  let sessionId: string | undefined;
  let traceparent: string | undefined;
  let multiplexedModelId: string | undefined;
  let timeoutMs: number | undefined;
  let contentLength: number | undefined;
  let isChunked = false;
  let staysAfterDisconnect = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const value = rawHeaders[i + 1]!;
    // Only names of these lengths mean anything here: most are not even compared.
    switch (name.length) {
      case 4:
        if (name === "Host" || name === "host" || name.toLowerCase() === "host") host ??= value;
        break;
      case 11:
        if (equals(name, "traceparent") && TRACEPARENT.test(value)) traceparent ??= value;
        break;
      case 12:
        if (equals(name, "x-request-id")) {
          if (requestId === undefined && REQUEST_ID.test(value)) requestId = value;
          // What is no id is replaced, and one only is given on.
          continue;
        }
        if (equals(name, "x-session-id")) sessionId ??= value;
        break;
      case 14:
        if (equals(name, "content-length")) contentLength = Number(value);
        break;
      case 17:
        if (equals(name, "transfer-encoding")) isChunked = true;
        break;
      case 25:
        if (equals(name, "x-request-timeout-seconds")) timeoutMs ??= timeoutOf(value);
        break;
      case 26:
        if (equals(name, "serve-multiplexed-model-id")) multiplexedModelId ??= value;
        break;
      case 29:
        if (equals(name, "x-request-disconnect-disabled")) staysAfterDisconnect = value.trim() === "?1";
        break;
    }
    headers.push([name, value]);
  }
  requestId ??= randomUUID();
  headers.push(["x-request-id", requestId]);
  return {
    headers,
    requestId,
    host,
    sessionId,
    traceparent,
    multiplexedModelId,
    timeoutMs,
    contentLength,
    hasBody: isChunked || (contentLength !== undefined && contentLength > 0),
    staysAfterDisconnect,
  };
}

/** The id of a request that is answered without being read. */
export function requestIdOf(request: Pick<IncomingMessage, "rawHeaders"> | undefined): string {
  return request === undefined ? randomUUID() : readHead(request).requestId;
}

/** Whether a Host header can stand in a URL. */
export function isHost(host: string): boolean {
  return HOST.test(host);
}

/** Case is ignored, and `-` and `_` are alike. */
function equals(name: string, wanted: string): boolean {
  return name === wanted || name.toLowerCase().replaceAll("_", "-") === wanted;
}

/** @returns undefined for what is no number, which is ignored. */
function timeoutOf(value: string): number | undefined {
  const seconds = value.trim() === "" ? NaN : Number(value);
  if (Number.isNaN(seconds)) return undefined;
  return seconds <= 0 || seconds === Infinity ? Infinity : seconds * 1_000;
}
