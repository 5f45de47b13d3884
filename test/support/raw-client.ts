import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";

/** A client that sends the bytes that it is told to, and keeps what comes back as text. */
export class RawClient {
  text = "";
  isEnded = false;
  isReset = false;
  readonly socket: Socket;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => (this.text += chunk));
    socket.on("end", () => (this.isEnded = true));
    socket.on("error", () => (this.isReset = true));
  }

  static async open(url: string): Promise<RawClient> {
    const { protocol, hostname: host, port: digits } = new URL(url);
    const port = Number(digits);
    const socket = protocol === "https:" ? connectTls({ host, port }) : connect({ host, port });
    await once(socket, protocol === "https:" ? "secureConnect" : "connect");
    return new RawClient(socket);
  }

  /** Sends, and waits for the end of the connection. */
  static async exchange(url: string, text: string): Promise<RawClient> {
    const client = await RawClient.open(url);
    client.write(text);
    await client.closed();
    return client;
  }

  write(text: string): void {
    this.socket.write(text, "latin1");
  }

  async until(pattern: string): Promise<void> {
    while (!this.text.includes(pattern)) {
      if (this.socket.destroyed) throw new Error(`The connection has ended after ${JSON.stringify(this.text)}.`);
      await Promise.race([once(this.socket, "data"), once(this.socket, "close")]);
    }
  }

  async closed(): Promise<void> {
    if (!this.socket.closed) await new Promise((resolve) => this.socket.once("close", resolve));
  }

  close(): void {
    this.socket.destroy();
  }

  /** Breaks the connection, where it can be told from closing it: over TLS it cannot. */
  reset(): void {
    if (this.socket instanceof TLSSocket) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }
}
