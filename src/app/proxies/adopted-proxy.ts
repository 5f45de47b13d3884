import type { KeptProcess } from "../../engine/process/kept-processes.ts";
import { AdoptedProcess } from "../../engine/process/adopted-process.ts";
import type { ProxyHome } from "./proxy-home.ts";
import type { ProxyCommand, ProxyProcess, ProxyProcessListener, ProxyRecord, ProxyReport } from "./proxy-messages.ts";

/** A proxy that a controller before this one has started, and that has served on meanwhile. */
export class AdoptedProxy implements ProxyProcess {
  readonly pid: number;
  readonly #process: AdoptedProcess<ProxyCommand, ProxyReport>;

  constructor(home: ProxyHome, found: KeptProcess<ProxyRecord>, listener: ProxyProcessListener) {
    this.pid = found.pid;
    this.#process = new AdoptedProcess({
      ...home,
      found,
      onMessage: (report) => listener.onReport(report),
      onGone() {
        home.kept?.processes.forget(found.id);
        listener.onExit("has ended");
      },
    });
  }

  send(command: ProxyCommand): void {
    this.#process.send(command);
  }

  kill(): void {
    this.#process.kill();
  }
}
