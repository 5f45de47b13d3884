/** What a WebSocket can send: text, or bytes in any of the ways in which the language has them. */
export type WebSocketMessage = string | ArrayBuffer | ArrayBufferView;

/**
 * The text of a message, or a view of its bytes.
 *
 * @throws {TypeError} for anything else: its text would hardly ever be what was meant.
 */
export function messageData(message: unknown): string | Uint8Array {
  if (typeof message === "string" || message instanceof Uint8Array) return message;
  if (ArrayBuffer.isView(message)) return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  const kind = Object.prototype.toString.call(message);
  if (kind === "[object ArrayBuffer]" || kind === "[object SharedArrayBuffer]")
    return new Uint8Array(message as ArrayBuffer);
  throw new TypeError(
    `A WebSocket sends a string, an ArrayBuffer or a view of one, not ${nameOf(message)}. Write JSON.stringify(value) to send a value, or await blob.bytes() first.`,
  );
}

function nameOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  return value instanceof Promise ? "a promise" : "an object";
}
