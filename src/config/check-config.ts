import * as v from "valibot";
import { resolveHttpOptions } from "../core/deployment/run-options.ts";
import { deploymentName, resolveOptions } from "../core/deployment/options.ts";
import { show } from "../core/deployment/option-checks.ts";
import { ConfigError } from "../core/errors.ts";
import type { DeploymentOptions } from "../core/deployment/types.ts";
import type { HttpOptions } from "../core/serve-types.ts";
import { normalise, type Normalised } from "./normalise.ts";
import { InvalidConfigError, pathOf, type Problem } from "./problem.ts";
import { configSchema, type ConfigInput } from "./schema.ts";

type Keys = readonly (string | number)[];
export type DeploymentOverride = DeploymentOptions & { readonly name: string };

/** One application of a configuration, with what is not optional filled in. Plain data. */
export interface ApplicationConfig {
  readonly name: string;
  readonly routePrefix: string | null;
  /** `MODULE[:EXPORT]`; a file's path is absolute once it was read from a file. */
  readonly importPath: string;
  readonly args?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly deployments?: readonly DeploymentOverride[];
}

/** A configuration that was checked: in this project's spelling, plain data. */
export interface CheckedConfig {
  readonly http?: HttpOptions;
  readonly logging?: ConfigInput["logging"];
  readonly applications: readonly ApplicationConfig[];
}

export interface CheckOptions {
  /** What is checked, in front of every message: a file's name. */
  readonly source?: string;
  /** Where in the source something stands, such as `:3:5`. */
  position?(keys: Keys): string;
}

export interface CheckResult {
  readonly config: CheckedConfig;
  /** Texts for people, one for each key that is ignored. */
  readonly warnings: readonly string[];
}

/**
 * Checks a configuration in either spelling.
 *
 * @throws {ConfigError} whose `problems` are all that is wrong with it.
 */
export function checkConfig(given: unknown, { source, position = () => "" }: CheckOptions = {}): CheckResult {
  const normalised = normalise(given);
  const whereWritten = (keys: Keys): string => (source === undefined ? "" : `${source}${position(keys)}: `);
  const where = (keys: Keys): string => whereWritten(normalised.writtenAs(keys));
  const parsed = v.safeParse(configSchema, normalised.value);
  const issues = parsed.success ? [] : parsed.issues.map((issue) => problemOf(issue, normalised));
  const problems = [...normalised.problems, ...issues.map(({ problem }) => problem)];
  const texts: Problem[] = [
    ...normalised.problems.map(({ keys, path, message }) => ({ path, message: whereWritten(keys) + message })),
    ...issues.map(({ problem, keys }) => ({ path: problem.path, message: where(keys) + problem.message })),
  ];
  if (parsed.success && problems.length === 0) {
    for (const { keys, message } of moreProblems(parsed.output, normalised)) {
      const problem = { path: pathOf(normalised.writtenAs(keys)), message };
      problems.push(problem);
      texts.push({ path: problem.path, message: where(keys) + message });
    }
  }
  if (problems.length > 0) throw new InvalidConfigError(texts, source);
  const warnings = normalised.warnings.map(({ keys, message }) => whereWritten(keys) + message);
  return { config: complete(parsed.output as ConfigInput), warnings };
}

function complete({ http, logging, applications }: ConfigInput): CheckedConfig {
  return {
    ...(http === undefined ? {} : { http: http as HttpOptions }),
    ...(logging === undefined ? {} : { logging }),
    applications: applications.map(({ name = "default", routePrefix = "/", ...rest }) => ({
      name,
      routePrefix,
      ...(rest as Omit<ApplicationConfig, "name" | "routePrefix">),
    })),
  };
}

function problemOf(issue: v.BaseIssue<unknown>, normalised: Normalised): { problem: Problem; keys: Keys } {
  const keys = (issue.path ?? []).map(({ key }) => key as string | number);
  const path = pathOf(normalised.writtenAs(keys));
  const subject = path === "" ? "The configuration" : path;
  // Where a key is missing the message is that of the object around it.
  const isMissing = issue.input === undefined;
  const wanted = isMissing ? missing(keys.at(-1)) : issue.message;
  const message = isMissing
    ? `${subject} is missing: it must be ${wanted}.`
    : `${subject} must be ${wanted}, not ${show(asWritten(path, issue.input))}.`;
  return { problem: { path, message }, keys };
}

/** Seconds were made milliseconds before they were checked. */
function asWritten(path: string, value: unknown): unknown {
  return path.endsWith("_s") && typeof value === "number" ? value / 1_000 : value;
}

function missing(key: string | number | undefined): string {
  switch (key) {
    case "importPath":
      return "MODULE or MODULE:EXPORT, such as ./app.ts:app";
    case "applications":
      return "an array of applications";
    default:
      return "the name of a deployment";
  }
}

/** What the schema cannot say: what must be unique, and what goes together. */
function* moreProblems(
  { http, applications }: ConfigInput,
  normalised: Normalised,
): Iterable<{ keys: Keys; message: string }> {
  const written = (keys: Keys): string => pathOf(normalised.writtenAs(keys));
  yield* failureOf(["http"], () => resolveHttpOptions(http ?? {}, ""), written);
  const names = new Map<string, number>();
  const prefixes = new Map<string, string>();
  for (const [i, application] of applications.entries()) {
    const { name = "default", routePrefix = "/", deployments = [] } = application;
    const at = ["applications", i];
    yield* failureOf([...at, "name"], () => deploymentName(name, ""), written);
    const first = names.get(name);
    if (first !== undefined)
      yield {
        keys: [...at, "name"],
        message: `${written([...at, "name"])}: applications[${first}] is called "${name}" too. Names must be unique.`,
      };
    else names.set(name, i);
    const taken = routePrefix === null ? undefined : prefixes.get(routePrefix);
    if (taken !== undefined)
      yield {
        keys: [...at, "routePrefix"],
        message: `${written([...at, "routePrefix"])}: application "${taken}" has the route prefix "${routePrefix}" too. Prefixes must be unique; null is no HTTP.`,
      };
    else if (routePrefix !== null) prefixes.set(routePrefix, name);
    const seen = new Set<string>();
    for (const [j, deployment] of deployments.entries()) {
      const keys = [...at, "deployments", j];
      if (seen.has(deployment.name))
        yield {
          keys: [...keys, "name"],
          message: `${written([...keys, "name"])}: "${deployment.name}" stands there twice.`,
        };
      seen.add(deployment.name);
      yield* failureOf(keys, () => resolveOptions(deployment as DeploymentOptions), written);
    }
  }
}

/** The checks that code meets too, so that both agree. */
function* failureOf(
  keys: Keys,
  check: () => unknown,
  written: (keys: Keys) => string,
): Iterable<{ keys: Keys; message: string }> {
  try {
    check();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const full = error.path === "" ? keys : [...keys, ...error.path.split(".")];
    const path = written(full);
    // Its message begins with the path, as `deployment()` knows it.
    const text = error.message.startsWith(error.path) ? error.message.slice(error.path.length).trim() : error.message;
    yield { keys: full, message: `${path} ${text}` };
  }
}
