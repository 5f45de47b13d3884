import type { ControllerMessage, ReplicaMessage } from "../core/contracts/control-messages.ts";
import { definitions } from "../core/deployment/definitions.ts";
import { DeploymentUnavailableError, HeliostatError, SerializationError } from "../core/errors.ts";
import { Caller } from "../core/handle/caller.ts";
import { installLazyClasses } from "../core/http/web/platform.ts";
import { RemoteDirectory } from "../core/replica/remote-directory.ts";
import { ReplicaHost } from "../core/replica/replica-host.ts";
import type { RouterPolicy } from "../core/router/policy.ts";
import type { ReplicaAddress, ReplicaTarget } from "../core/router/snapshot.ts";
import { stderrLog } from "../observe/log.ts";
import { Acceptor } from "../wire/acceptor.ts";
import { formats } from "../formats/formats.ts";
import { defaultLimits } from "../wire/limits.ts";
import type { SharedMemory } from "../wire/shared-memory.ts";
import { Sharing } from "../wire/sharing.ts";
import type { Transport } from "../wire/transport.ts";
import type { WireContext } from "../wire/wire-context.ts";
import { type Bootstrap, decodeBootstrap } from "./bootstrap.ts";
import { CodeLoader } from "./code-loader.ts";
import { containment } from "./containment.ts";
import { LastingLink } from "./lasting-link.ts";
import { loopPoller } from "./loop-poller.ts";
import { processState } from "./process-state.ts";
import { silentCaller } from "./silent-caller.ts";
import { FOREVER_MS, systemClock } from "./system-clock.ts";
import { bodyEncoder, connector, handleExtension } from "./wire-setup.ts";

export interface ReplicaRuntimeOptions {
  readonly bootstrap: Uint8Array;
  /** Says who this is on its connections, 16 bytes. The driver has made it up: `node:crypto` takes long to load. */
  readonly peerId: Uint8Array;
  /** Opens the control connection. */
  openControl(bootstrap: Bootstrap): Transport;
  /** Opens a connection to another replica. */
  openReplica(target: ReplicaTarget): Transport;
  /** Begins to take connections. */
  listen(bootstrap: Bootstrap, acceptor: Acceptor): Promise<ReplicaAddress>;
  /** Opens memory that the other processes of the instance can map. @default there is none */
  openSharedMemory?(token: Uint8Array): Promise<SharedMemory | undefined>;
  memoryMb(): number;
  /** Ends the process or thread. */
  exit(code: number): void;
}

const NO_CONTROLLER = "The status is not known: the controller is gone, and another one has not taken over yet.";
/** Once the driver is gone, a replica has this long to run its destructor. */
const ORPHAN_MS = 500;
/** How long the last messages may take to leave. */
const GOODBYE_MS = 200;

/** Runs one replica in a process or thread that exists for it alone. */
export function runReplica(options: ReplicaRuntimeOptions): void {
  let caller!: Caller;
  const { peerId } = options;
  const context: WireContext = {
    clock: systemClock,
    formats: formats(handleExtension(() => caller)),
    limits: defaultLimits,
    token: new Uint8Array(32),
    peerId,
    sharing: new Sharing(async () => options.openSharedMemory?.(context.token)),
    poller: loopPoller,
    log: {
      debug: (m, f) => log.debug(m, f),
      info: (m, f) => log.info(m, f),
      warn: (m, f) => log.warn(m, f),
      error: (m, f) => log.error(m, f),
    },
  };
  // Handles among the constructor's arguments need the caller, which needs nothing of the bootstrap but the connection.
  const directory = new RemoteDirectory((message) => send(message));
  const { contexts, residence, facilities } = processState;
  let log = stderrLog("info", "heliostat");
  caller = new Caller({
    clock: systemClock,
    contexts,
    directory,
    connect: connector(context, (target) => options.openReplica(target)),
    encoder: bodyEncoder(context),
    log: context.log!,
    nodeId: "local",
    requestIdPrefix: Buffer.from(peerId).toString("hex", 0, 6),
    resolvePolicy: (reference) => definitions.find(reference) as RouterPolicy | undefined,
  });
  const bootstrap = decodeBootstrap(options.bootstrap, context.formats);
  context.token.set(bootstrap.token);
  const spec = { ...bootstrap.spec, target: undefined };
  if (spec.answersHttp) installLazyClasses(globalThis);
  log = stderrLog(spec.options.logging.level, spec.replicaId);

  const loader = new CodeLoader();
  const questions = new Map<number, PromiseWithResolvers<unknown>>();
  let asking = 0;
  let ending = false;
  /** Keeps the process there while nobody is connected, as a connection would. */
  let alone: NodeJS.Timeout | undefined;
  const link = new LastingLink<ReplicaMessage, ControllerMessage>({
    ...context,
    adoptionMs: bootstrap.adoptionMs,
    open: () => options.openControl(bootstrap),
    onMessage: (message) => {
      clearInterval(alone);
      // This replica has begun already; it may have failed already, too.
      if (message.type !== "initialize") host.handle(message);
      else if (ending) link.close();
    },
    onLost() {
      clearInterval(alone);
      alone = setInterval(() => {}, FOREVER_MS);
      for (const question of questions.values()) question.reject(new DeploymentUnavailableError(NO_CONTROLLER));
      questions.clear();
      log.warn("The controller is gone; requests are served on, and another one is waited for.");
    },
    onAgain() {
      host.report();
      directory.askAgain();
    },
    onEnded: () => orphaned(),
  });
  const send = (message: ReplicaMessage): void => {
    try {
      link.send(message);
    } catch (error) {
      // What a user has thrown must be told whatever it is; other messages have a sender who can say what is wrong.
      if ("error" in message) link.send({ ...message, error: new HeliostatError(describe(message.error)) });
      else if (error instanceof SerializationError) throw error;
    }
  };
  let acceptor: Acceptor | undefined;
  const host = new ReplicaHost({
    spec,
    clock: systemClock,
    contexts,
    residence,
    facilities,
    deadlines: caller.deadlines,
    log,
    containment,
    load: () => loader.load(spec),
    listen: (replica) => options.listen(bootstrap, (acceptor = new Acceptor(context, replica))),
    send,
    onSnapshot: (snapshot) => directory.update(snapshot),
    onCalled: ({ id, value, error }) => {
      const asked = questions.get(id);
      questions.delete(id);
      if (error === undefined) asked?.resolve(value);
      else asked?.reject(error);
    },
    memoryMb: () => options.memoryMb(),
    end,
  });

  function end(): void {
    if (ending) return;
    ending = true;
    acceptor?.close();
    caller.close(new DeploymentUnavailableError(`Replica ${spec.replicaId} has stopped.`));
    if (link.isHeard) link.close();
    setTimeout(() => options.exit(0), GOODBYE_MS);
  }

  function orphaned(): void {
    if (ending) {
      options.exit(0);
      return;
    }
    setTimeout(() => options.exit(1), ORPHAN_MS);
    void host.stop(0);
  }

  processState.replica = {
    identity: host.replica.identity,
    caller,
    parks: (run) => loader.parks(run),
    waits: () => loader.stop(),
    scriptCaller: silentCaller(() => loader.stop()),
    status: () => {
      const asked = Promise.withResolvers<unknown>();
      questions.set(++asking, asked);
      send({ type: "call", id: asking, method: "status", args: [] });
      return asked.promise;
    },
  };
  // The user's code need not wait until the connection is made.
  host.handle({ type: "initialize" });
}

function describe(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "something that cannot be shown was thrown";
  }
}
