import { HeliostatError } from "./errors.ts";

interface ServerSentEvent {
  readonly data: string;
  readonly event?: unknown;
  readonly id?: unknown;
  readonly retry?: unknown;
}

/**
 * A Server-Sent Events response from anything that can be iterated; leaving it cancels.
 *
 * A string is sent as the data of one event, an object with a string `data` as the event that it describes (`event`,
 * `id` and `retry` too), anything else as JSON. An item is asked for when the client can take it, and sent at once. An
 * error of the items breaks the connection, so that the client does not take what came for everything.
 */
export function sse(items: AsyncIterable<unknown> | Iterable<unknown>, init: ResponseInit = {}): Response {
  const headers = new Headers(init.headers);
  if (!headers.has("content-type")) headers.set("content-type", "text/event-stream");
  if (!headers.has("cache-control")) headers.set("cache-control", "no-cache");
  return new Response(eventStream(items), { ...init, headers });
}

function eventStream(items: AsyncIterable<unknown> | Iterable<unknown>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { value, done } = await iterator.next();
        if (done === true) {
          controller.close();
          return;
        }
        try {
          controller.enqueue(encoder.encode(eventText(value)));
        } catch (error) {
          // The items have not ended by themselves, so they are told that nobody reads on.
          await iterator.return?.();
          throw error;
        }
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    // Nothing is asked for before somebody reads.
    { highWaterMark: 0 },
  );
}

function eventText(item: unknown): string {
  const event = describe(item);
  let text = "";
  if (event.event !== undefined) text += `event: ${oneLine("event", event.event)}\n`;
  if (event.id !== undefined) text += `id: ${oneLine("id", event.id)}\n`;
  if (event.retry !== undefined) text += `retry: ${retryMs(event.retry)}\n`;
  for (const line of event.data.split(/\r\n|\r|\n/)) text += `data: ${line}\n`;
  return `${text}\n`;
}

function describe(item: unknown): ServerSentEvent {
  if (typeof item === "string") return { data: item };
  if (typeof item === "object" && item !== null && "data" in item && typeof item.data === "string")
    return item as ServerSentEvent;
  const json = JSON.stringify(item) as string | undefined;
  if (json === undefined)
    throw new HeliostatError(
      `An item of sse() is ${typeof item}, which JSON cannot carry. Yield a string, an object or another value of JSON.`,
    );
  return { data: json };
}

/** A line break would begin another field, which whoever chose the text could then write. */
function oneLine(field: "event" | "id", value: unknown): string {
  const text = typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  if (text !== undefined && !/[\r\n\0]/.test(text)) return text;
  throw new HeliostatError(
    `The ${field} of an item of sse() must be a string without line breaks, not ${JSON.stringify(value)}.`,
  );
}

function retryMs(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new HeliostatError(
    `The retry of an item of sse() must be an integer of milliseconds, not ${JSON.stringify(value)}.`,
  );
}
