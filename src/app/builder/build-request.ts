import type { ResolvedOptions } from "../../core/deployment/options.ts";
import type { DeploymentOptions } from "../../core/deployment/types.ts";
import type { ApplicationSpec } from "../../core/deployment/spec.ts";

type LogLevel = ResolvedOptions["logging"]["level"];

/** What a builder is asked for: plain JSON. */
export interface BuildRequest {
  readonly name: string;
  readonly routePrefix: string | null;
  /** `MODULE[:EXPORT]`, a file's path or a package. */
  readonly importPath: string;
  /** Where a relative path and a package are looked for. */
  readonly directory: string;
  /** For the function that makes the application. */
  readonly args?: Readonly<Record<string, unknown>> | undefined;
  /** For its module and its replicas. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** For deployments whose code says nothing of it. */
  readonly logging?: { readonly level?: LogLevel | undefined; readonly accessLog?: boolean | undefined } | undefined;
  readonly deployments?: readonly (DeploymentOptions & { readonly name: string })[] | undefined;
}

/** What it gives. */
export interface BuiltApplication {
  readonly spec: ApplicationSpec;
  /** The project's own files that were loaded. */
  readonly files: readonly string[];
  /** The options that the code gives, by deployment: data only. */
  readonly given: readonly (DeploymentOptions & { readonly name: string })[];
}

/** The last thing that a builder's process says. */
export type BuildOutcome =
  | { readonly type: "built"; readonly built: BuiltApplication }
  | { readonly type: "failed"; readonly error: unknown; readonly files: readonly string[] };
