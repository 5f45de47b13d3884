import { resolveOptions } from "../../src/core/deployment/options.ts";
import type { ApplicationSpec, DeploymentSpec } from "../../src/core/deployment/spec.ts";
import type { DeploymentOptions } from "../../src/core/deployment/types.ts";

const targets = new Map<string, Function>();

/** A deployment spec; `code` names the class, so that two specs with the same one have the same class. */
export function deploymentSpec(
  name: string,
  given: DeploymentOptions & { code?: string; initArgs?: readonly unknown[] } = {},
): DeploymentSpec {
  const { code = name, initArgs = [], ...options } = given;
  const target = targets.get(code) ?? (() => undefined);
  targets.set(code, target);
  return {
    name,
    kind: "class",
    answersHttp: false,
    code: { module: "file:///app.ts", name: code, ordinal: 0 },
    target,
    options: resolveOptions(options),
    initArgs,
  };
}

/** An application whose last deployment is its ingress. */
export function applicationSpec(deployments: readonly DeploymentSpec[], name = "default"): ApplicationSpec {
  return { name, routePrefix: "/", ingress: deployments.at(-1)!.name, deployments };
}
