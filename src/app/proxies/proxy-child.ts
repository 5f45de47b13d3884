import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { ControlSlot } from "../../engine/control-server.ts";
import { EXIT_MS } from "../../engine/process/adopted-process.ts";
import { inheritedFlags } from "../../engine/inherited-flags.ts";
import { systemClock } from "../../engine/system-clock.ts";
import type { ProxyHome } from "./proxy-home.ts";
import type {
  ProxyBootstrap,
  ProxyCommand,
  ProxyProcess,
  ProxyProcessListener,
  ProxyRecord,
  ProxyReport,
} from "./proxy-messages.ts";

const proxyMain = fileURLToPath(new URL(`./proxy-main${extname(import.meta.url)}`, import.meta.url));

/** A proxy in a process of its own, a child of this one. */
export class ProxyChild implements ProxyProcess {
  readonly #child: ChildProcess;
  readonly #slot: ControlSlot<ProxyCommand, ProxyReport>;
  #killTimer: NodeJS.Timeout | undefined = undefined;

  constructor(home: ProxyHome, { http }: ProxyRecord, listener: ProxyProcessListener) {
    const { runtimeDirectory, control, reaper, kept } = home;
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
    let failure: Error | undefined;
    // Before it has its bootstrap it cannot outlive its driver.
    if (pid !== undefined) {
      reaper.watch(pid, id);
      try {
        kept?.processes.note(id, { pid, startedWallMs: systemClock.wallNow(), about: { http } });
      } catch (error) {
        // Nobody would find it again.
        failure = error as Error;
        this.kill();
      }
    }
    const token = Buffer.from(home.token).toString("hex");
    const adoptionMs = kept?.adoptionMs ?? 0;
    const bootstrap: ProxyBootstrap = { runtimeDirectory, token, http, adoptionMs };
    stdin!.on("error", () => {});
    stdin!.end(JSON.stringify(bootstrap));
    this.#child.on("error", (error) => {
      failure = error;
    });
    this.#child.on("exit", () => {
      if (pid !== undefined) reaper.forget(pid);
    });
    this.#child.on("close", (code, signal) => {
      clearTimeout(this.#killTimer);
      this.#slot.close();
      kept?.processes.forget(id);
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
