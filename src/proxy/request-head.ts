import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** What the headers of a request say to the proxy itself, read in one pass. */
export interface HeadFields {
  /** Without what proxies before this one have said of the client. */
  readonly headers: [name: string, value: string][];
  readonly requestId: string;
  readonly host: string | undefined;
  /** How many there are: one, in a valid request. */
  readonly hosts: number;
  /** The page that has made it, for a browser's request to another site. */
  readonly origin: string | undefined;
  /** What proxies before this one say of the client, or somebody who would be taken for one. */
  readonly forwarded: Forwarded | undefined;
  readonly sessionId: string | undefined;
  readonly traceparent: string | undefined;
  readonly multiplexedModelId: string | undefined;
  /** Of `x-request-timeout-seconds`: Infinity for none, undefined if it says nothing. */
  readonly timeoutMs: number | undefined;
  /** Of the body, as announced; undefined if that is not told. */
  readonly contentLength: number | undefined;
  readonly hasBody: boolean;
  readonly isChunked: boolean;
  /** The client asked that its leaving cancels nothing. */
  readonly staysAfterDisconnect: boolean;
}

export interface Forwarded {
  for?: string;
  proto?: string;
  host?: string;
  prefix?: string;
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
/** Version, trace, span and flags (W3C Trace Context, 3.2); a later version may say more. */
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(?:-[\x21-\x7e]*)?$/;
/** Reads the header fields of a request; the request's id is among those that are given on. */
export function readHead({ rawHeaders }: Pick<IncomingMessage, "rawHeaders">): HeadFields {
  const headers: [string, string][] = [];
  let requestId: string | undefined;
  let host: string | undefined;
  let hosts = 0;
  let origin: string | undefined;
  let forwarded: Forwarded | undefined;
  let isChunked = false;
  let sessionId: string | undefined;
  let traceparent: string | undefined;
  let multiplexedModelId: string | undefined;
  let timeoutMs: number | undefined;
  let contentLength: number | undefined;
  let staysAfterDisconnect = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const value = rawHeaders[i + 1]!;
    // Only names of these lengths mean anything here: most are not even compared.
    switch (name.length) {
      case 4:
        if (name === "Host" || name === "host" || name.toLowerCase() === "host") {
          hosts++;
          host ??= value;
        }
        break;
      case 6:
        if (equals(name, "origin")) origin ??= value;
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
      case 15:
        if (equals(name, "x-forwarded-for")) {
          forwarded ??= {};
          // Several lines are one list (RFC 9110, 5.3).
          forwarded.for = forwarded.for === undefined ? value : `${forwarded.for}, ${value}`;
          continue;
        }
        break;
      case 16:
        if (equals(name, "x-forwarded-host")) {
          (forwarded ??= {}).host ??= value;
          continue;
        }
        break;
      case 17:
        if (equals(name, "transfer-encoding")) isChunked = true;
        else if (equals(name, "x-forwarded-proto")) {
          (forwarded ??= {}).proto ??= value;
          continue;
        }
        break;
      case 18:
        if (equals(name, "x-forwarded-prefix")) {
          (forwarded ??= {}).prefix ??= value;
          continue;
        }
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
    hosts,
    origin,
    forwarded,
    isChunked,
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
