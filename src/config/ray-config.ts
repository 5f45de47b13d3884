import type { HttpOptions } from "../core/serve-types.ts";
import type { ApplicationConfig, DeploymentOverride } from "./check-config.ts";
import { toRayKey, toRayRouter } from "./ray-names.ts";
import { FREE_KEYS } from "./schema.ts";

type Data = Record<string, unknown>;

/** An application in Ray Serve's schema: what `readConfigFile` makes the same application of. */
export function toRayApplication({ deployments, env, ...rest }: ApplicationConfig): Data {
  return {
    ...renamed("application", rest),
    ...(env === undefined ? {} : { runtime_env: { env_vars: env } }),
    ...(deployments === undefined ? {} : { deployments: deployments.map(toRayDeployment) }),
  };
}

export function toRayDeployment({ env, userConfig, requestRouter, ...rest }: DeploymentOverride): Data {
  const result = renamed("deployment", rest);
  if (env !== undefined)
    result["ray_actor_options"] = { ...(result["ray_actor_options"] as Data), runtime_env: { env_vars: env } };
  // There it can be nothing but an object, and its command line stops at anything else.
  if (typeof userConfig === "object" && !Array.isArray(userConfig)) result["user_config"] = userConfig;
  if (requestRouter !== undefined) result["request_router_config"] = toRayRouter(requestRouter as Data);
  return result;
}

/** What of HTTP's options it has too. Its times of idle connections are whole seconds. */
export function toRayHttp({ host, port, requestTimeoutMs, keepAliveTimeoutMs }: HttpOptions): Data {
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(requestTimeoutMs === undefined ? {} : { request_timeout_s: requestTimeoutMs / 1_000 }),
    ...(keepAliveTimeoutMs === undefined ? {} : { keep_alive_timeout_s: Math.ceil(keepAliveTimeoutMs / 1_000) }),
  };
}

function renamed(kind: string, given: object): Data {
  const result: Data = {};
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const ray = toRayKey(kind, key, value);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    result[ray.key] = isObject && !FREE_KEYS.has(key) ? renamed(key, value) : ray.value;
  }
  return result;
}
