import type { HeaderFields } from "../exchange.ts";

/** What a simple response is made of, checked as the platform's constructor checks it. */
export interface ResponseParts {
  readonly status: number;
  readonly statusText: string;
  /** Names in lower case, each once. */
  readonly fields: HeaderFields;
  readonly body: string | Uint8Array | null;
}

const NO_FIELDS: HeaderFields = [];
/** A token (RFC 9110, 5.6.2). */
const NAME = /^[\w!#$%&'*+.^`|~-]+$/;
/** Of a value, and of a reason phrase (RFC 9110, 5.5; RFC 9112, 4): what else the platform would take is left to it. */
const TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
/** HTTP's white space at the ends of a value does not belong to it. */
const OUTER_SPACE = /^[\t\n\r ]+|[\t\n\r ]+$/g;

/**
 * Reads the arguments of `new Response(body, init)` where they are simple: text or bytes, and plain data.
 *
 * @param defaultType of the body, unless a header says another.
 * @returns undefined for anything else, and for what is wrong: the platform's constructor is to judge it.
 */
export function responseParts(
  body: unknown,
  init: unknown,
  defaultType: string | undefined,
): ResponseParts | undefined {
  let status: unknown = 200;
  let statusText: unknown = "";
  let fields = NO_FIELDS;
  if (init !== undefined) {
    if (!isPlain(init)) return undefined;
    if (init.status !== undefined) ({ status } = init);
    if (init.statusText !== undefined) ({ statusText } = init);
    if (init.headers !== undefined) {
      const read = headerFields(init.headers);
      if (read === undefined) return undefined;
      fields = read;
    }
    if (!Number.isInteger(status) || (status as number) < 200 || (status as number) > 599) return undefined;
    if (typeof statusText !== "string" || !TEXT.test(statusText)) return undefined;
  }
  let content: string | Uint8Array | null;
  if (typeof body === "string") {
    content = body;
    if (defaultType !== undefined && !fields.some(([name]) => name === "content-type"))
      fields = [...fields, ["content-type", defaultType]];
  } else if (body === null || body === undefined) content = null;
  else if (body instanceof Uint8Array && body.buffer instanceof ArrayBuffer) content = new Uint8Array(body);
  else return undefined;
  if (content !== null && isBodyless(status as number)) return undefined;
  return { status: status as number, statusText: statusText as string, fields, body: content };
}

/** Statuses whose responses have no body (Fetch standard: null body status). */
export function isBodyless(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

/** @returns undefined for what the platform's `Headers` is to judge, or to join. */
function headerFields(headers: unknown): HeaderFields | undefined {
  if (headers instanceof Headers) return [...headers];
  const entries = Array.isArray(headers)
    ? (headers as unknown[])
    : isPlain(headers)
      ? Object.entries(headers)
      : undefined;
  if (entries === undefined) return undefined;
  const fields: [string, string][] = [];
  for (const entry of entries) {
    if (!Array.isArray(entry) || entry.length !== 2) return undefined;
    const [name, value] = entry as unknown[];
    if (typeof name !== "string" || typeof value !== "string" || !NAME.test(name)) return undefined;
    const trimmed = value.replace(OUTER_SPACE, "");
    const lower = name.toLowerCase();
    if (!TEXT.test(trimmed) || fields.some(([other]) => other === lower)) return undefined;
    fields.push([lower, trimmed]);
  }
  return fields;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
