import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { ResolvedHttpOptions } from "../../core/deployment/run-options.ts";
import type { ControlServer, ControlSlot } from "../../engine/control-server.ts";
import { inheritedFlags } from "../../engine/inherited-flags.ts";
import type { Reaper } from "../../engine/process/reaper.ts";
import type { Patience } from "../../proxy/settings.ts";
import type {
  ProxyBootstrap,
  ProxyCommand,
  ProxyProcess,
  ProxyProcessListener,
  ProxyReport,
} from "./proxy-messages.ts";

/** What a proxy process is started with. */
export interface ProxyHome {
  readonly http: ResolvedHttpOptions;
  readonly patience: Patience;
  readonly runtimeDirectory: string;
  readonly token: Uint8Array;
  readonly control: ControlServer;
  readonly reaper: Reaper;
}

/** How long a proxy may take to exit when its connection has ended. */
const EXIT_MS = 2_000;

const proxyMain = fileURLToPath(new URL(`./proxy-main${extname(import.meta.url)}`, import.meta.url));

/** A proxy in a process of its own, a child of this one. */
export class ProxyChild implements ProxyProcess {
  readonly #child: ChildProcess;
  readonly #slot: ControlSlot<ProxyCommand, ProxyReport>;
  #killTimer: NodeJS.Timeout | undefined = undefined;

  constructor({ http, patience, runtimeDirectory, token, control, reaper }: ProxyHome, listener: ProxyProcessListener) {
    const id = randomBytes(16).toString("hex");
    this.#slot = control.expect<ProxyCommand, ProxyReport>(id, {
      onMessage: (report) => listener.onReport(report),
      onClosed: () => {
        this.#killTimer ??= setTimeout(() => this.kill(), EXIT_MS).unref();
      },
    });
    this.#child = spawn(process.execPath, [...inheritedFlags(), proxyMain, id], {
      // A group of its own: Ctrl-C in a terminal reaches the driver alone, which lets its proxies finish.
      detached: true,
      // What it has to say is for the same readers.
      stdio: ["pipe", "inherit", "inherit"],
    });
    const { pid, stdin } = this.#child;
    // Before it has its bootstrap it cannot outlive its driver.
    if (pid !== undefined) reaper.watch(pid, id);
    const bootstrap: ProxyBootstrap = { runtimeDirectory, token: Buffer.from(token).toString("hex"), http, patience };
    stdin!.on("error", () => {});
    stdin!.end(JSON.stringify(bootstrap));
    let failure: Error | undefined;
    this.#child.on("error", (error) => {
      failure = error;
    });
    this.#child.on("exit", () => {
      if (pid !== undefined) reaper.forget(pid);
    });
    this.#child.on("close", (code, signal) => {
      clearTimeout(this.#killTimer);
      this.#slot.close();
      listener.onExit(
        failure !== undefined
          ? `could not be started: ${failure.message}`
          : signal === null
            ? `exited with code ${code}`
            : `was killed by ${signal}`,
      );
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(command: ProxyCommand): void {
    this.#slot.send(command);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
