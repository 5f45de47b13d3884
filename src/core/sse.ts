import type { Clock, Timer } from "./contracts/clock.ts";
import { ConfigError, HeliostatError } from "./errors.ts";

interface ServerSentEvent {
  readonly data: string;
  readonly event?: unknown;
  readonly id?: unknown;
  readonly retry?: unknown;
}

export interface SseInit extends ResponseInit {
  /**
   * Milliseconds without an item after which a comment is sent, so that proxies in between do not take the connection for
   * dead, and a client that has left is noticed.
   *
   * @default never
   */
  heartbeatMs?: number;
}

/** Makes the function that users import. */
export type Sse = (items: AsyncIterable<unknown> | Iterable<unknown>, init?: SseInit) => Response;

/** Clients pass over a line that begins with a colon. */
const HEARTBEAT = ": heartbeat\n\n";

export function makeSse(clock: Pick<Clock, "setTimer">): Sse {
  return (items, { heartbeatMs, ...init } = {}) => {
    if (heartbeatMs !== undefined && !(Number.isFinite(heartbeatMs) && heartbeatMs > 0))
      throw new ConfigError(`heartbeatMs must be a number above 0, not ${String(heartbeatMs)}.`, {
        path: "heartbeatMs",
      });
    const headers = new Headers(init.headers);
    if (!headers.has("content-type")) headers.set("content-type", "text/event-stream");
    if (!headers.has("cache-control")) headers.set("cache-control", "no-cache");
    // Otherwise nginx and others would collect what is to arrive at once.
    if (!headers.has("x-accel-buffering")) headers.set("x-accel-buffering", "no");
    return new Response(eventStream(items, clock, heartbeatMs), { ...init, headers });
  };
}

function eventStream(
  items: AsyncIterable<unknown> | Iterable<unknown>,
  clock: Pick<Clock, "setTimer">,
  heartbeatMs: number | undefined,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  /** Asked for, and not there yet when a heartbeat was due. */
  let late: Promise<IteratorResult<unknown>> | undefined;
  let timer: Timer | undefined;

  const next = (): Promise<IteratorResult<unknown> | undefined> | IteratorResult<unknown> => {
    if (heartbeatMs === undefined) return iterator.next() as Promise<IteratorResult<unknown>>;
    late ??= Promise.resolve(iterator.next());
    const step = late;
    return new Promise((resolve, reject) => {
      timer = clock.setTimer(heartbeatMs, () => resolve(undefined));
      step.then(
        (value) => {
          late = undefined;
          resolve(value);
        },
        (error: unknown) => reject(error as Error),
      );
    });
  };

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const step = await next();
        timer?.cancel();
        if (step === undefined) {
          controller.enqueue(encoder.encode(HEARTBEAT));
          return;
        }
        if (step.done === true) {
          controller.close();
          return;
        }
        try {
          controller.enqueue(encoder.encode(eventText(step.value)));
        } catch (error) {
          // The items have not ended by themselves, so they are told that nobody reads on.
          await iterator.return?.();
          throw error;
        }
      },
      async cancel() {
        timer?.cancel();
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
