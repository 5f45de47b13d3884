import { Handle, type HandleDescription } from "../core/handle/handle.ts";
import { HandleReference } from "../core/deployment/spec.ts";
import { resolveHandleOptions } from "../core/deployment/handle-options.ts";
import type { Caller } from "../core/handle/caller.ts";
import type { BodyEncoder, ConnectReplica } from "../core/contracts/replica-client.ts";
import { BodyPages } from "../wire/body-pages.ts";
import { CallerSession } from "../wire/caller-session.ts";
import type { ValueExtension } from "../wire/codec/extension.ts";
import type { Transport } from "../wire/transport.ts";
import type { WireContext } from "../wire/wire-context.ts";
import type { ReplicaTarget } from "../core/router/snapshot.ts";

/** Lets handles travel as values: what arrives is a handle of the process that decodes it. */
export function handleExtension(caller: () => Caller): ValueExtension {
  return {
    describe(value) {
      if (value instanceof HandleReference) return { app: value.app, deployment: value.deployment, options: {} };
      return Handle.describe(value);
    },
    revive(data) {
      const { app, deployment, options } = data as HandleDescription;
      return new Handle(caller(), { app, deployment }, resolveHandleOptions(options));
    },
  };
}

/** Connects to replicas by whatever way `open` finds to their address. */
export function connector(context: WireContext, open: (target: ReplicaTarget) => Transport): ConnectReplica {
  return (target, listener) => new CallerSession({ context, open: () => open(target), listener, sharesClock: true });
}

export function bodyEncoder(context: WireContext): BodyEncoder {
  return new BodyPages(context.formats, context.sharing);
}
