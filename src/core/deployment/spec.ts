import type { CodeReference } from "../router/snapshot.ts";
import type { ResolvedOptions } from "./options.ts";
import type { DeploymentOptions } from "./types.ts";

/** Stands for a handle in the arguments of a constructor: the replica that decodes it gets the handle itself. */
export class HandleReference {
  readonly app: string;
  readonly deployment: string;

  constructor(app: string, deployment: string) {
    this.app = app;
    this.deployment = deployment;
  }
}

/** One deployment of an application, ready to be run. */
export interface DeploymentSpec {
  readonly name: string;
  readonly kind: "class" | "function";
  /** It is a class with a method `fetch`: HTTP requests can be given to it. A field shows in its replicas only. */
  readonly answersHttp: boolean;
  /** Where a replica in another process or thread finds the class or function. */
  readonly code: CodeReference;
  /** Stands for the files that the code was loaded from: replicas of others are replaced. Only where somebody has read them. */
  readonly codeDigest?: string | undefined;
  /** The class or function itself, for replicas in this process; not where the application was built in another one. */
  readonly target: Function | undefined;
  readonly options: ResolvedOptions;
  /** The same as they were given, without defaults. */
  readonly given?: DeploymentOptions;
  /** Constructor arguments, with a `HandleReference` in place of each bound application. */
  readonly initArgs: readonly unknown[];
}

/** A built application: its deployments in the order in which they must be started (callees first). */
export interface ApplicationSpec {
  readonly name: string;
  readonly routePrefix: string | null;
  readonly ingress: string;
  readonly deployments: readonly DeploymentSpec[];
}

/** All that one replica needs to start: given to it by its engine. */
export interface ReplicaSpec {
  readonly replicaId: string;
  readonly app: string;
  readonly deployment: string;
  readonly kind: "class" | "function";
  /** Whether its class is known to have a method `fetch`, before there is an instance. */
  readonly answersHttp: boolean;
  readonly code: CodeReference;
  readonly codeDigest?: string | undefined;
  /** Only for engines in this process; never sent. */
  readonly target: Function | undefined;
  readonly initArgs: readonly unknown[];
  readonly options: ResolvedOptions;
  readonly rank: number;
  readonly worldSize: number;
  readonly codeVersion: string;
  readonly nodeId: string;
}
