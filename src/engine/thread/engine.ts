import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { extname } from "node:path";
import { MessageChannel, Worker } from "node:worker_threads";
import type { Engine, ReplicaProcess, ReplicaProcessListener } from "../../core/contracts/engine.ts";
import type { ReplicaSpec } from "../../core/deployment/spec.ts";
import type { ReplicaAddress } from "../../core/router/snapshot.ts";
import { portTransport } from "../../transport/message-port.ts";
import type { Transport } from "../../wire/transport.ts";
import type { WireContext } from "../../wire/wire-context.ts";
import { encodeBootstrap } from "../bootstrap.ts";
import { HeardWords, type Output } from "../last-words.ts";
import type { ControlServer, ControlSlot } from "../control-server.ts";

export interface ThreadEngineOptions {
  readonly context: WireContext;
  readonly control: ControlServer;
  /** Where sockets are; threads listen too, for callers in other processes. */
  readonly directory: { file(name: string): string };
  /** Opens what a replica writes to. @default what this process writes to */
  openOutput?(spec: ReplicaSpec): (Output & { close(): void }) | undefined;
}

const replicaMain = new URL(`./thread-replica-main${extname(import.meta.url)}`, import.meta.url);

/** Runs each replica as a worker thread: cheaper to reach for large values, but a crash of one may be the end of all. */
export class ThreadEngine implements Engine {
  readonly kind = "thread";
  readonly #options: ThreadEngineOptions;
  readonly #running = new Map<string, ThreadReplica>();
  #started = 0;

  constructor(options: ThreadEngineOptions) {
    this.#options = options;
  }

  start(spec: ReplicaSpec, listener: ReplicaProcessListener): ReplicaProcess {
    const socketPath = this.#options.directory.file(`t${++this.#started}.sock`);
    const replica = new ThreadReplica(this.#options, {
      spec,
      socketPath,
      listener,
      onGone: () => this.#running.delete(socketPath),
    });
    this.#running.set(socketPath, replica);
    return replica;
  }

  /** A connection from the driver's thread to one of its replicas, by message port. */
  open(address: ReplicaAddress): Transport {
    const { port1, port2 } = new MessageChannel();
    const replica = this.#running.get(address.socketPath ?? "");
    if (replica === undefined) port2.close();
    else replica.connect(port2);
    return portTransport(port1);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((replica) => replica.end()));
  }
}

interface ThreadOptions {
  readonly spec: ReplicaSpec;
  readonly socketPath: string;
  readonly listener: ReplicaProcessListener;
  onGone(): void;
}

class ThreadReplica implements ReplicaProcess {
  readonly pid: number = process.pid;
  readonly #worker: Worker;
  readonly #slot: ControlSlot;
  readonly #gone: Promise<void>;
  #killed = false;

  constructor(engine: ThreadEngineOptions, options: ThreadOptions) {
    const { context, control } = engine;
    const { spec, socketPath, listener } = options;
    const id = randomBytes(16);
    this.#slot = control.expect(id.toString("hex"), {
      onMessage: (message) => listener.onMessage(message),
      onClosed: () => {},
    });
    const { target: _, ...sent } = spec;
    const bootstrap = encodeBootstrap(
      {
        controlPath: control.path,
        token: context.token,
        socketPath,
        driverPid: process.pid,
        adoptionMs: 0,
        spec: sent,
      },
      context.formats,
    );
    const output = engine.openOutput?.(spec);
    this.#worker = new Worker(replicaMain, {
      name: spec.replicaId,
      workerData: { bootstrap, peerId: new Uint8Array(id) },
      env: { ...process.env, ...spec.options.env },
      stdout: output !== undefined,
      stderr: true,
      ...(spec.options.nodeOptions.length > 0 ? { execArgv: [...process.execArgv, ...spec.options.nodeOptions] } : {}),
    });
    const { stdout, stderr } = this.#worker;
    const lastWords = new HeardWords(stderr, output);
    if (output !== undefined) {
      stdout.on("data", (chunk: Buffer) => output.write(chunk));
      // The last of it comes after its end.
      void Promise.all([stdout, stderr].map((stream) => once(stream, "close"))).then(() => output.close());
    }
    let failure: unknown;
    this.#worker.on("error", (error) => {
      failure = error;
    });
    this.#gone = new Promise((resolve) => {
      this.#worker.on("exit", (code) => {
        this.#slot.close();
        rmSync(socketPath, { force: true });
        options.onGone();
        const what = this.#killed ? "was terminated" : `exited with code ${code}`;
        const because = failure instanceof Error ? `: ${failure.stack ?? failure.message}` : "";
        listener.onExit({
          description: lastWords.behind(what + because),
          code,
          signal: this.#killed ? "SIGKILL" : null,
        });
        resolve();
      });
    });
  }

  send(message: Parameters<ReplicaProcess["send"]>[0]): void {
    this.#slot.send(message);
  }

  connect(port: MessageChannel["port2"]): void {
    this.#worker.postMessage(port, [port]);
  }

  kill(): void {
    this.#killed = true;
    void this.#worker.terminate();
  }

  end(): Promise<void> {
    this.kill();
    return this.#gone;
  }
}
