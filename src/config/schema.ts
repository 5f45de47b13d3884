import * as v from "valibot";

/** What a key means, for the reference and for editors; the default as people write it. */
interface About {
  readonly description: string;
  readonly default?: unknown;
}

/** A key that may be left out. Its message says what a right value is. */
function field<S extends v.GenericSchema>(schema: S, { description, default: value }: About) {
  return v.optional(
    v.pipe(schema, v.description(description), v.metadata(value === undefined ? {} : { default: value })),
  );
}

const text = (wanted = "a string") => v.string(wanted);
const flag = () => v.boolean("true or false");
const count1 = () => {
  const wanted = "an integer of at least 1";
  return v.pipe(v.number(wanted), v.integer(wanted), v.minValue(1, wanted));
};
const count0 = () => {
  const wanted = "an integer of at least 0";
  return v.pipe(v.number(wanted), v.integer(wanted), v.minValue(0, wanted));
};
const atLeast0 = () => {
  const wanted = "a number of at least 0";
  return v.pipe(v.number(wanted), v.finite(wanted), v.minValue(0, wanted));
};
const above0 = () => {
  const wanted = "a number above 0";
  return v.pipe(v.number(wanted), v.finite(wanted), v.gtValue(0, wanted));
};
const oneOf = <const T extends readonly string[]>(...names: T) =>
  v.picklist(names, `one of ${names.map((name) => `"${name}"`).join(", ")}`);
const strings = () => v.record(text(), text(), "an object of strings");
const anything = () => v.record(text(), v.unknown(), "an object");
const object = <const E extends v.ObjectEntries>(entries: E) => v.object(entries, "an object");

/** Where nothing is looked into: keys there are the user's own. */
export const FREE_KEYS: ReadonlySet<string> = new Set(["userConfig", "args", "env", "custom", "labels"]);

const logging = object({
  level: field(oneOf("debug", "info", "warn", "error"), {
    description: "Least severe messages that are kept.",
    default: "info",
  }),
  accessLog: field(flag(), { description: "A line for each request.", default: false }),
});

const autoscaling = object({
  minReplicas: field(count0(), { description: "0: with no requests there are no replicas.", default: 1 }),
  maxReplicas: field(count1(), { description: "Never more than this.", default: 1 }),
  initialReplicas: field(count0(), { description: "How many there are at first.", default: "minReplicas" }),
  targetOngoingRequests: field(above0(), { description: "Requests that each replica should have.", default: 2 }),
  metricsIntervalMs: field(above0(), { description: "How often requests are counted.", default: 10_000 }),
  lookBackPeriodMs: field(above0(), { description: "Counts of this period are averaged.", default: 30_000 }),
  upscaleDelayMs: field(atLeast0(), {
    description: "How long more must be needed before there are more.",
    default: 30_000,
  }),
  downscaleDelayMs: field(atLeast0(), {
    description: "How long fewer must be enough before there are fewer.",
    default: 600_000,
  }),
  downscaleToZeroDelayMs: field(atLeast0(), {
    description: "The same for the last replica.",
    default: "downscaleDelayMs",
  }),
  upscalingFactor: field(above0(), { description: "Above 1: grows faster than what is needed.", default: 1 }),
  downscalingFactor: field(above0(), { description: "Below 1: shrinks more slowly.", default: 1 }),
  aggregation: field(oneOf("mean", "max", "min"), {
    description: "What of the counts of the period is looked at.",
    default: "mean",
  }),
});

const resources = object({
  cpus: field(atLeast0(), { description: "Processors that a replica needs." }),
  gpus: field(atLeast0(), { description: "Graphics processors that a replica needs." }),
  memoryMb: field(above0(), { description: "Memory that a replica needs." }),
  custom: field(v.record(text(), atLeast0(), "an object of numbers"), { description: "Whatever else nodes have." }),
  labels: field(strings(), { description: "Labels that a node must have." }),
});

const replicaCount = 'an integer of at least 1 or "auto"';
const queueLimit = "-1 (no limit) or an integer of at least 1";
const share = "a number above 0 and up to 1";

export const deploymentSchema = object({
  name: v.pipe(
    text("the name of a deployment"),
    v.nonEmpty("the name of a deployment"),
    v.description("Which deployment of the application is meant."),
  ),
  numReplicas: field(
    v.union(
      [
        v.literal("auto", replicaCount),
        v.pipe(v.number(replicaCount), v.integer(replicaCount), v.minValue(1, replicaCount)),
      ],
      replicaCount,
    ),
    { description: 'How many replicas run; "auto": from 1 to 100, by load.', default: 1 },
  ),
  maxOngoingRequests: field(count1(), { description: "Requests that a replica works on at once.", default: 5 }),
  maxQueuedRequests: field(
    v.pipe(
      v.number(queueLimit),
      v.integer(queueLimit),
      v.check((value) => value === -1 || value >= 1, queueLimit),
    ),
    { description: "Requests that may wait in each caller; -1: no limit.", default: -1 },
  ),
  userConfig: field(v.unknown(), {
    description: "Given to `reconfigure` of each replica, now and whenever it changes.",
  }),
  autoscaling: field(autoscaling, {
    description: "How many replicas there are, by load. Not together with a number of replicas.",
  }),
  healthCheckPeriodMs: field(above0(), {
    description: "How often a replica is asked whether it is well.",
    default: 10_000,
  }),
  healthCheckTimeoutMs: field(above0(), { description: "How long it may take to answer.", default: 30_000 }),
  gracefulShutdownWaitLoopMs: field(atLeast0(), {
    description: "How long a replica at least goes on when it is told to stop.",
    default: 2_000,
  }),
  gracefulShutdownTimeoutMs: field(atLeast0(), {
    description: "How long its requests may take to finish then.",
    default: 20_000,
  }),
  requestRouter: field(
    object({
      policy: field(oneOf("power-of-two-choices", "round-robin", "consistent-hash"), {
        description: "How a replica is chosen.",
        default: "power-of-two-choices",
      }),
      stats: field(
        object({
          periodMs: field(above0(), { description: "How often `recordRoutingStats` is asked.", default: 10_000 }),
          timeoutMs: field(above0(), { description: "How long it may take.", default: 30_000 }),
        }),
        { description: "What replicas tell the router." },
      ),
    }),
    { description: "How requests find their replica." },
  ),
  backpressure: field(
    object({
      statusCode: field(v.picklist([429, 503], "429 or 503"), {
        description: "The status of a refusal over HTTP.",
        default: 503,
      }),
      retryAfterMs: field(atLeast0(), { description: "Told as Retry-After, in whole seconds." }),
    }),
    { description: "What a client is told when too many requests wait." },
  ),
  rollingUpdatePercentage: field(v.pipe(v.number(share), v.gtValue(0, share), v.maxValue(1, share)), {
    description: "The share of replicas that an update replaces at once.",
    default: 0.2,
  }),
  maxConstructorRetryCount: field(count1(), {
    description: "Failed starts after which a deploy has failed.",
    default: 20,
  }),
  maxMemoryMb: field(above0(), { description: "A replica that takes more is replaced." }),
  maxRequests: field(count1(), { description: "A replica is replaced after so many." }),
  resources: field(resources, { description: "What a replica needs of its node." }),
  isolation: field(oneOf("process", "thread"), { description: "What a replica runs in.", default: "process" }),
  env: field(strings(), { description: "Environment variables of its replicas." }),
  nodeOptions: field(v.array(text(), "an array of strings"), { description: "Flags of Node for its replicas." }),
  logging: field(logging, { description: "What its replicas log." }),
  version: field(text(), { description: "Replicas of another version are replaced." }),
});

const routePrefix = 'null, "/", or a path that begins with "/" and does not end with one';

export const applicationSchema = object({
  name: v.optional(
    v.pipe(
      text("a name"),
      v.nonEmpty("a name, not an empty one"),
      v.description("Unique."),
      v.metadata({ default: "default" }),
    ),
  ),
  routePrefix: field(v.nullable(v.pipe(text(routePrefix), v.regex(/^\/$|^\/.*[^/]$/, routePrefix))), {
    description: "Where its HTTP paths begin; null: no HTTP. Unique.",
    default: "/",
  }),
  importPath: v.pipe(
    text("MODULE or MODULE:EXPORT, such as ./app.ts:app"),
    v.regex(/^(?!:).*[^:]$/, "MODULE or MODULE:EXPORT, such as ./app.ts:app"),
    v.description(
      "MODULE or MODULE:EXPORT: a file, relative to this one, or a package. Without an export `app` is taken, else the default.",
    ),
  ),
  args: field(anything(), { description: "Given to the function that builds the application, as they are." }),
  env: field(strings(), {
    description: "Environment variables of all its replicas, and of the module that builds it.",
  }),
  deployments: field(v.array(deploymentSchema, "an array"), {
    description: "Changes to options that the code gives. Only what is set here counts.",
  }),
});

const httpSchema = object({
  host: field(text(), { description: "The address to listen on.", default: "127.0.0.1" }),
  port: field(
    v.pipe(
      v.number("a port"),
      v.integer("a port"),
      v.minValue(0, "a port from 0 to 65535"),
      v.maxValue(65_535, "a port from 0 to 65535"),
    ),
    { description: "0: any free one.", default: 8000 },
  ),
  requestTimeoutMs: field(above0(), {
    description: "How long a request may take, from its head to the end of its answer. Without it: for ever.",
  }),
  keepAliveTimeoutMs: field(above0(), { description: "How long an idle connection stays open.", default: 90_000 }),
  receiveTimeoutMs: field(above0(), {
    description: "How long a client may fall silent while it sends a request, and take for its header: then 408.",
    default: 60_000,
  }),
  pingIntervalMs: field(atLeast0(), {
    description:
      "How often clients of WebSockets are pinged; one that has not answered by the next time is closed. 0: never.",
    default: 20_000,
  }),
  maxHeaderBytes: field(count1(), { description: "More is answered with 431.", default: 16_384 }),
  maxBodyBytes: field(count1(), { description: "More is answered with 413.", default: 104_857_600 }),
  tls: field(
    object({
      key: field(text(), { description: "PEM text, or a file of it." }),
      cert: field(text(), { description: "PEM text, or a file of it." }),
      ca: field(text(), { description: "PEM text, or a file of it." }),
    }),
    { description: "HTTPS. `key` and `cert` are both needed." },
  ),
  trustProxy: field(v.array(text(), "an array of addresses and networks"), {
    description: "Addresses and networks of proxies in front whose `X-Forwarded-…` headers are believed.",
    default: "none",
  }),
  cors: field(v.array(text(), "an array of origins"), {
    description: "Origins whose pages may read the answers that the proxy itself gives.",
    default: "none",
  }),
  workers: field(count1(), { description: "Proxy processes that share the port.", default: 1 }),
});

/** A whole configuration: the source of the checks, of the reference page and of the JSON Schema. */
export const configSchema = object({
  http: field(httpSchema, { description: "Where and how HTTP is served." }),
  logging: field(
    object({
      ...logging.entries,
      encoding: field(oneOf("text", "json"), { description: "How log lines are written.", default: "text" }),
    }),
    { description: "What deployments log that say nothing else." },
  ),
  applications: v.pipe(
    v.array(applicationSchema, "an array of applications"),
    v.description("What runs. This is the whole goal: what is not in it is deleted."),
  ),
});

export type ConfigInput = v.InferOutput<typeof configSchema>;
export type ApplicationInput = v.InferOutput<typeof applicationSchema>;
