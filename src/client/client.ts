import type { ControllerMessage, ReplicaMessage } from "../core/contracts/control-messages.ts";
import { definitions } from "../core/deployment/definitions.ts";
import { DeploymentUnavailableError } from "../core/errors.ts";
import { Caller } from "../core/handle/caller.ts";
import type { RouterPolicy } from "../core/router/policy.ts";
import type { DeploymentSnapshot } from "../core/router/snapshot.ts";
import { loopPoller } from "../engine/loop-poller.ts";
import { processState } from "../engine/process-state.ts";
import { CONTROL_SOCKET, TOKEN_FILE } from "../engine/runtime-files.ts";
import { systemClock } from "../engine/system-clock.ts";
import { bodyEncoder, connector, handleExtension } from "../engine/wire-setup.ts";
import { formats } from "../formats/formats.ts";
import { stderrLog } from "../observe/log.ts";
import { connectSocket } from "../transport/socket.ts";
import { ControlLink, GUEST_CONNECTION } from "../wire/control-link.ts";
import { Lane as LaneNumber } from "../wire/frames.ts";
import { defaultLimits } from "../wire/limits.ts";
import { Sharing } from "../wire/sharing.ts";
import type { WireContext } from "../wire/wire-context.ts";
import { ClientDirectory, type ClientLink, type ClientLinkListener } from "./client-directory.ts";
import type { FoundInstance } from "./find-instance.ts";
import { stayAwake } from "./stay-awake.ts";

/** Importing it would load all of it, its promises too, which a replica's start has no time for. */
const { existsSync } = process.getBuiltinModule("node:fs");

/** Finds the instance that the environment tells of. Loaded when it is needed: most processes never look for one. */
async function findByEnvironment(): Promise<FoundInstance | undefined> {
  const { findInstance } = await import("./find-instance.ts");
  return findInstance();
}

/**
 * Calls the deployments of an instance in another process: through its controller it learns where the replicas are, and
 * calls them itself. Nothing is connected before the first call, and the process ends when nothing is pending.
 */
export class Client {
  readonly caller: Caller;
  readonly #directory: ClientDirectory;
  readonly #context: WireContext;
  readonly #rest: () => void;

  /** @param prepare what a snapshot is to wait for before it is followed; undefined if for nothing. */
  constructor(
    find: () => Promise<FoundInstance | undefined> = findByEnvironment,
    prepare: (snapshot: DeploymentSnapshot) => Promise<void> | undefined = () => undefined,
  ) {
    const peerId = crypto.getRandomValues(new Uint8Array(16));
    let caller!: Caller;
    const context: WireContext = {
      clock: systemClock,
      formats: formats(handleExtension(() => caller)),
      limits: defaultLimits,
      // Filled in by whichever instance is found.
      token: new Uint8Array(32),
      peerId,
      sharing: new Sharing(async () => {
        const { openMappedMemory } = await import("../transport/mapped-memory.ts");
        return openMappedMemory(context.token);
      }),
      poller: loopPoller,
    };
    this.#context = context;
    this.#directory = new ClientDirectory({
      clock: systemClock,
      find,
      isThere: ({ runtimeDirectory }) => existsSync(`${runtimeDirectory}/${TOKEN_FILE}`),
      connect: (found, listener) => connectGuest(context, found, listener),
    });
    caller = this.caller = new Caller({
      clock: systemClock,
      contexts: processState.contexts,
      directory: {
        subscribe: (app, deployment, onSnapshot) =>
          this.#directory.subscribe(app, deployment, (snapshot) => {
            const prepared = prepare(snapshot);
            if (prepared === undefined) onSnapshot(snapshot);
            else void prepared.then(() => onSnapshot(snapshot));
          }),
      },
      connect: connector(context, ({ address }) => connectSocket(address.socketPath!, { keepsAlive: false })),
      encoder: bodyEncoder(context),
      log: stderrLog("warn", "heliostat"),
      nodeId: "local",
      requestIdPrefix: Buffer.from(peerId).toString("hex", 0, 6),
      resolvePolicy: (reference) => definitions.find(reference) as RouterPolicy | undefined,
    });
    this.#rest = stayAwake(() => this.#directory.isBusy || caller.leftovers().length > 0);
  }

  /** Learns where the replicas of a deployment are before it is called. Resolves when it is known. */
  async follow(app: string, deployment: string): Promise<void> {
    this.caller.router(app, deployment);
    await this.#directory.heard(app, deployment);
  }

  /** Looks again for an instance, if there was none. */
  wake(): this {
    this.#directory.wake();
    return this;
  }

  /** undefined if there is no instance. */
  status(): Promise<unknown> {
    return this.#directory.status();
  }

  /** Disconnects; the instance goes on. Idempotent. */
  close(): void {
    this.caller.close(
      new DeploymentUnavailableError("This process has disconnected from the instance. Ask serve for a new handle."),
    );
    this.#directory.close();
    this.#context.sharing?.close();
    this.#rest();
  }
}

function connectGuest(context: WireContext, found: FoundInstance, listener: ClientLinkListener): ClientLink {
  const { formats, limits, peerId, token } = context;
  token.set(found.token);
  const link = new ControlLink<ReplicaMessage, ControllerMessage>(
    connectSocket(`${found.runtimeDirectory}/${CONTROL_SOCKET}`, { keepsAlive: false }),
    {
      formats,
      limits,
      onMessage: (message) => listener.onMessage(message),
      onClosed: (error) => listener.onClosed(error),
    },
  );
  link.introduce({ peerId, token, connection: GUEST_CONNECTION, lane: LaneNumber.CONTROL });
  link.lane.transport.start(link.lane);
  return link;
}
