import type { Application, DeploymentOptions } from "./deployment/types.ts";
import type { DeploymentHandle } from "./handle/types.ts";

/** The replica in which code runs. */
export interface ReplicaContext {
  readonly app: string;
  readonly deployment: string;
  readonly replicaId: string;
  /** From 0; no two running replicas of a deployment have the same. */
  readonly rank: number;
  /** How many replicas the deployment is meant to have. */
  readonly worldSize: number;
  /** Changes with the code, the arguments or the `version` of the deployment. */
  readonly codeVersion: string;
}

/**
 * The request that is being served, or, in a timer or whatever else it has started and that goes on after it, the one
 * that has started it: then there is no deadline, and a signal that never aborts.
 */
export interface RequestContext {
  /**
   * Of an HTTP request or WebSocket, in the deployment that answers it: the client's address, seen through the proxies of
   * `http.trustProxy`.
   */
  readonly clientAddress: string | undefined;
  /** Made for the top-level request, the same in every call made while serving it. */
  readonly requestId: string;
  /** The route prefix the request came in by; empty for calls through a handle. */
  readonly route: string;
  /** The W3C `traceparent` header that the request came in with, also in calls made for it; "" for none. */
  readonly traceparent: string;
  /** The model this call is for, or "". */
  readonly multiplexedModelId: string;
  /** When the request is stopped, if it has a deadline. */
  readonly deadline: Date | undefined;
  /** Aborts when the request is cancelled or its deadline passes. */
  readonly signal: AbortSignal;
}

/** How an application is run. */
export interface RunOptions {
  /** Running a name again updates the application of that name. @default "default" */
  name?: string;
  /** Where HTTP requests to the application begin; `null`: no HTTP route. @default "/" */
  routePrefix?: string | null;
  /** Everything in this process, over the same semantics. @default false */
  local?: boolean;
  http?: HttpOptions;
  /** Gives up deploying when it aborts. */
  signal?: AbortSignal;
}

/** Where and how HTTP is served. */
export interface HttpOptions {
  /** @default "127.0.0.1" */
  host?: string;
  /** 0 takes a free one. @default 8000 */
  port?: number;
  /** Milliseconds a request may take from its last header byte to the last byte of its response. @default none */
  requestTimeoutMs?: number;
  /** Milliseconds an idle connection stays open. @default 90_000 */
  keepAliveTimeoutMs?: number;
  /**
   * Milliseconds for which a client may fall silent while it sends a request; its header must be whole within that time.
   *
   * @default 60_000
   */
  receiveTimeoutMs?: number;
  /**
   * Milliseconds after which the client of a WebSocket is pinged; one that has not answered by the next time is closed.
   * 0: never.
   *
   * @default 20_000
   */
  pingIntervalMs?: number;
  /** @default 16_384 */
  maxHeaderBytes?: number;
  /** @default 104_857_600 */
  maxBodyBytes?: number;
  /** PEM texts. */
  tls?: { key: string; cert: string; ca?: string };
  /**
   * Addresses and networks (`10.0.0.0/8`) of proxies in front, whose `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`
   * are believed.
   *
   * @default none
   */
  trustProxy?: string[];
  /**
   * Origins (`https://shop.example`, or `*`) whose pages may read the answers that the proxy itself gives, such as 404, 408,
   * 413 and 503.
   *
   * @default none
   */
  cors?: string[];
  /** Processes that share the port; 1: the script's own serves, without others. @default 1 */
  workers?: number;
}

export type ApplicationStatus = "NOT_STARTED" | "DEPLOYING" | "DEPLOY_FAILED" | "RUNNING" | "UNHEALTHY" | "DELETING";
export type DeploymentStatus = "UPDATING" | "HEALTHY" | "UNHEALTHY" | "DEPLOY_FAILED" | "UPSCALING" | "DOWNSCALING";
export type ReplicaState = "STARTING" | "UPDATING" | "RECOVERING" | "RUNNING" | "STOPPING";

/** What runs now: applications, their deployments and replicas, and the proxies. */
export interface ServeStatus {
  readonly applications: Readonly<
    Record<
      string,
      {
        readonly status: ApplicationStatus;
        readonly message: string;
        readonly routePrefix: string | null;
        readonly deployments: Readonly<
          Record<
            string,
            {
              readonly status: DeploymentStatus;
              readonly message: string;
              readonly targetReplicas: number;
              readonly replicas: readonly {
                readonly replicaId: string;
                readonly state: ReplicaState;
                readonly pid: number | undefined;
                readonly nodeId: string;
                readonly startedAt: Date;
              }[];
            }
          >
        >;
      }
    >
  >;
  readonly proxies: readonly {
    readonly nodeId: string;
    readonly url: string;
    readonly pid: number;
    readonly status: string;
  }[];
}

/** Runs applications, and tells code inside a replica where it is. */
export interface Serve {
  /**
   * Deploys, waits until RUNNING, and gives a handle to the ingress deployment. Running a name again updates it.
   *
   * The running instance keeps the process alive, as a listening server does, until `shutdown()`.
   *
   * @throws {DeploymentFailedError} with the user's own error if a deployment cannot be started.
   * @throws {ConfigError} for what is not a bound deployment, and for wrong options.
   */
  run<T>(app: Application<T>, options?: RunOptions): Promise<DeploymentHandle<T>>;
  /**
   * A handle to an application's ingress. In a process that runs nothing itself it leads to the instance of this machine,
   * which is looked for at the first call.
   *
   * @default name "default"
   */
  getAppHandle<T>(name?: string): DeploymentHandle<T>;
  /** A handle to one deployment. `app` defaults to the caller's own application inside a replica, to "default" outside. */
  getDeploymentHandle<T>(name: string, app?: string): DeploymentHandle<T>;
  status(): Promise<ServeStatus>;
  /** Stops an application and resolves when its replicas are gone. */
  delete(name: string): Promise<void>;
  /** Stops everything and resolves when every process is gone and no socket or file is left. Idempotent; `run` may follow. An instance of another process goes on: this one disconnects. */
  shutdown(): Promise<void>;
  /**
   * Whether this code runs in a replica, also while its module is loaded there.
   *
   * A replica loads the module again up to `serve.run`: what only the script is to do, such as a migration, is kept out by
   * this. It is true in a proxy that loads the module for its routing policy, too.
   */
  isReplica(): boolean;
  /** The replica this code runs in. Throws outside of one. */
  getReplicaContext(): ReplicaContext;
  /** The request being served. Throws outside of one. */
  getRequestContext(): RequestContext;
  /** The model of the request being served, or "". */
  getMultiplexedModelId(): string;
  /**
   * A deployment class from anything with a `fetch(request)`: Hono, h3, itty-router. It can be extended. What else the app
   * has of `websocket`, `reconfigure`, `checkHealth`, `recordRoutingStats` and a destructor is the deployment's.
   *
   * @throws {ConfigError} for what is no app, with what to write instead.
   */
  ingress(app: FetchApp): new () => FetchApp;
  /** The same from a function of handles, run once in each replica. It may be async, but an app that has a `then`, as itty-router's, must be wrapped then: `{ fetch: router.fetch }`. */
  ingress<P extends readonly unknown[]>(
    build: (...args: P) => FetchApp | Promise<FetchApp>,
  ): new (...args: P) => FetchApp;
}

/** Anything that answers web-standard requests. */
export interface FetchApp {
  fetch(request: Request, ...rest: any[]): Response | Promise<Response>;
}

/** A configuration file: which applications run, and what they change of their code's options. */
export interface ServeConfig {
  http?: HttpOptions;
  logging?: DeploymentOptions["logging"] & { encoding?: "text" | "json" };
  applications: {
    name?: string;
    routePrefix?: string | null;
    importPath: string;
    args?: Record<string, unknown>;
    env?: Record<string, string>;
    deployments?: (DeploymentOptions & { name: string })[];
  }[];
}
