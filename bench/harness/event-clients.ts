import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { nowUs } from "../fixtures/http-work.ts";
import { requestBytes } from "./http-load.ts";

const DATA = "data: ";

/** Clients of Server-Sent Events, all in this process; each event tells when it was due. */
export class EventClients {
  readonly #sockets: Socket[] = [];
  #delaysUs: number[] = [];
  #isCounting = false;
  #failure: Error | undefined = undefined;

  /** Opens so many connections, each with a request for `path`. Clients that stall never read; all others have begun to when this resolves. */
  async open(url: string, path: string, { clients, stall }: { clients: number; stall: boolean }): Promise<void> {
    const { hostname, port } = new URL(url);
    const begun: Promise<unknown>[] = [];
    for (let i = 0; i < clients; i++) {
      // Nothing is read before somebody listens for data.
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      this.#sockets.push(socket);
      socket.on("error", (error) => (this.#failure ??= error));
      socket.on("close", () => (this.#failure ??= new Error("A stream of events has ended.")));
      await once(socket, "connect");
      socket.write(requestBytes("GET", path));
      if (stall) continue;
      this.#read(socket);
      begun.push(once(socket, "data"));
    }
    await Promise.all(begun);
  }

  /** How late the events were that came within this time, in order. */
  async count(ms: number): Promise<{ delaysUs: number[]; perSecond: number }> {
    this.#delaysUs = [];
    this.#isCounting = true;
    const startedMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#isCounting = false;
    const tookMs = performance.now() - startedMs;
    if (this.#failure !== undefined) throw this.#failure;
    const delaysUs = this.#delaysUs.sort((a, b) => a - b);
    return { delaysUs, perSecond: (delaysUs.length / tookMs) * 1_000 };
  }

  close(): void {
    for (const socket of this.#sockets)
      socket
        .removeAllListeners("close")
        .on("error", () => {})
        .destroy();
  }

  #read(socket: Socket): void {
    let rest = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      const text = rest === "" ? chunk : rest + chunk;
      let at = 0;
      for (;;) {
        const from = text.indexOf(DATA, at);
        const to = from === -1 ? -1 : text.indexOf("\n\n", from);
        if (to === -1) break;
        if (this.#isCounting) this.#delaysUs.push(nowUs() - Number(text.slice(from + DATA.length, to)));
        at = to;
      }
      rest = text.slice(at);
    });
  }
}
