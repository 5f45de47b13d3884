import { once } from "node:events";
import { connect, type Socket } from "node:net";

const READ_BYTES = 65_536;
const OK = "HTTP/1.1 200 ";
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const LAST_CHUNK = "\r\n0\r\n\r\n";

/**
 * The load generator: so many connections that are kept, each with one request at a time, on sockets without a library
 * above them. It reads no more of an answer than it must to know that it is right and whole.
 */
export class HttpLoad {
  readonly #open: () => Promise<Connection>;
  readonly #connections: Connection[];

  private constructor(open: () => Promise<Connection>, connections: Connection[]) {
    this.#open = open;
    this.#connections = connections;
  }

  static async open(url: string, connections: number, request: Buffer): Promise<HttpLoad> {
    const { hostname, port } = new URL(url);
    const open = (): Promise<Connection> => Connection.open({ host: hostname, port: Number(port) }, request);
    return new HttpLoad(open, await Promise.all(Array.from({ length: connections }, open)));
  }

  /** Makes so many requests, one after another on each connection. */
  async run(count: number): Promise<void> {
    // A server may have closed what nobody has used for a while.
    for (const [i, { isClosed }] of this.#connections.entries()) {
      if (isClosed) this.#connections[i] = await this.#open();
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let toSend = count;
    let toCome = count;
    for (const connection of this.#connections) {
      connection.onFailed = reject;
      connection.onAnswer = () => {
        toCome--;
        if (toSend > 0) {
          toSend--;
          connection.send();
        } else if (toCome === 0) resolve();
      };
    }
    for (const connection of this.#connections) {
      if (toSend === 0) break;
      toSend--;
      connection.send();
    }
    await promise;
  }

  close(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }
}

/** The bytes of a request, with header fields as a small client sends them. */
export function requestBytes(method: "GET" | "POST", path: string, body = ""): Buffer {
  const about = body === "" ? "" : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n${about}\r\n${body}`);
}

class Connection {
  readonly socket: Socket;
  isClosed = false;
  onAnswer: () => void = () => {};
  onFailed: (error: Error) => void = () => {};
  readonly #request: Buffer;
  #isWaiting = false;
  /** Of an answer that came in several packets. */
  #rest = "";

  private constructor(address: { host: string; port: number }, request: Buffer) {
    this.#request = request;
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const callback = (bytes: number): boolean => {
      this.#receive(buffer.toString("latin1", 0, bytes));
      return true;
    };
    this.socket = connect({ ...address, noDelay: true, onread: { buffer, callback } });
    this.socket.on("error", (error) => this.onFailed(error));
    this.socket.on("close", () => {
      this.isClosed = true;
      if (this.#isWaiting) this.onFailed(new Error("A connection was closed in the middle of a request."));
    });
  }

  static async open(address: { host: string; port: number }, request: Buffer): Promise<Connection> {
    const connection = new Connection(address, request);
    await once(connection.socket, "connect");
    return connection;
  }

  send(): void {
    this.#isWaiting = true;
    this.socket.write(this.#request);
  }

  #receive(came: string): void {
    const text = this.#rest === "" ? came : this.#rest + came;
    const state = stateOf(text);
    this.#rest = state === "partial" ? text : "";
    if (state === "partial") return;
    this.#isWaiting = false;
    if (state === "whole") this.onAnswer();
    else this.onFailed(new Error(`This is not the answer that was asked for: ${text.slice(0, 500)}`));
  }
}

function stateOf(text: string): "partial" | "whole" | "wrong" {
  const headBytes = text.indexOf("\r\n\r\n") + 4;
  if (headBytes === 3) return "partial";
  if (!text.startsWith(OK)) return "wrong";
  const length = LENGTH.exec(text);
  if (length === null) return text.endsWith(LAST_CHUNK) ? "whole" : "partial";
  const missing = headBytes + Number(length[1]) - text.length;
  return missing > 0 ? "partial" : missing === 0 ? "whole" : "wrong";
}
