import { ConfigError, DeploymentFailedError } from "../errors.ts";
import { BoundApplication, DeploymentDefinition } from "./deployment.ts";
import { isClass, listOf, show } from "./option-checks.ts";
import type { DeploymentOptions } from "./types.ts";
import { deploymentName } from "./options.ts";
import { routePrefix as routePrefixCheck } from "./run-options.ts";
import { HandleReference, type ApplicationSpec, type DeploymentSpec } from "./spec.ts";

/** Values nested deeper are left as they are: they could not be sent anyway. */
const MAX_DEPTH = 1_000;

/**
 * Lists the deployments of an application, callees first, with handles in place of the applications bound to them.
 *
 * One bound application is one deployment, however many paths lead to it. A second deployment of a name gets `Name_1`,
 * a third `Name_2`, in the order in which they are met from the ingress on, which keeps its name.
 *
 * @throws {ConfigError} for what is not a bound deployment, at the top or among the arguments.
 */
export function buildApplication(
  app: unknown,
  options: {
    readonly name: string;
    readonly routePrefix: string | null;
    /** Changes to options, by the name that a deployment has in the application. */
    readonly overrides?: ReadonlyMap<string, DeploymentOptions>;
  },
): ApplicationSpec {
  const { name, routePrefix, overrides = new Map<string, DeploymentOptions>() } = options;
  deploymentName(name, "name");
  routePrefixCheck(routePrefix, "routePrefix");
  if (!(app instanceof BoundApplication)) throw notAnApplication(app);
  const graph = new Graph(name, overrides);
  const ingress = graph.add(app);
  const unknown = [...overrides.keys()].filter((each) => graph.specs.every((spec) => spec.name !== each));
  if (unknown.length > 0) {
    throw new DeploymentFailedError(
      `Application "${name}" has no deployment ${listOf(unknown)}, for which there are options. It has ${listOf(graph.specs.map((spec) => spec.name))}.`,
      { deployment: ingress },
    );
  }
  return { name, routePrefix, ingress, deployments: graph.specs };
}

/** The walk over one application. */
class Graph {
  readonly specs: DeploymentSpec[] = [];
  readonly #app: string;
  readonly #overrides: ReadonlyMap<string, DeploymentOptions>;
  readonly #names = new Map<BoundApplication, string>();
  readonly #taken = new Set<string>();
  /** On the way from the ingress to what is looked at. */
  readonly #open = new Set<BoundApplication>();

  constructor(app: string, overrides: ReadonlyMap<string, DeploymentOptions>) {
    this.#app = app;
    this.#overrides = overrides;
  }

  /** Adds a bound application and everything it needs; gives its name. */
  add(bound: BoundApplication): string {
    const known = this.#names.get(bound);
    // An application cannot hold itself through bind(), which freezes its arguments, but through an array or an object
    // that was changed after it was bound.
    if (this.#open.has(bound)) {
      throw new ConfigError(
        `Deployment "${known}" is bound to itself: an array or object among its arguments was changed after bind(). Bind callees first, then their callers.`,
        {
          path: known!,
        },
      );
    }
    if (known !== undefined) return known;
    const { args } = bound;
    const name = this.#freeName(bound.deployment.name);
    const changes = this.#overrides.get(name);
    const deployment = changes === undefined ? bound.deployment : bound.deployment.options(changes);
    this.#names.set(bound, name);
    this.#open.add(bound);
    const initArgs = this.#replace(args, name);
    this.#open.delete(bound);
    const { kind, code, target, resolved, answersHttp, given } = deployment;
    this.specs.push({ name, kind, answersHttp, code, target, options: resolved, initArgs, given });
    return name;
  }

  #freeName(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.#taken.has(name); i++) name = `${wanted}_${i}`;
    this.#taken.add(name);
    return name;
  }

  /** The arguments with handles in them: copies of what holds an application, everything else as it is. */
  #replace(args: readonly unknown[], deployment: string): readonly unknown[] {
    const applications = findApplications(args, deployment);
    if (applications.length === 0) return args;
    const handles = new Map<BoundApplication, HandleReference>();
    for (const bound of applications) handles.set(bound, new HandleReference(this.#app, this.add(bound)));
    return copyWith(args, handles) as unknown[];
  }
}

/** Every application in the arguments, in their order, once each. */
function findApplications(args: readonly unknown[], deployment: string): BoundApplication[] {
  const found = new Set<BoundApplication>();
  const seen = new Set<object>();
  const visit = (value: unknown, path: string, depth: number): void => {
    if (value instanceof BoundApplication) found.add(value);
    else if (value instanceof DeploymentDefinition || isClass(value)) throw notBound(value, path, deployment);
    else if (isContainer(value) && depth < MAX_DEPTH && !seen.has(value)) {
      seen.add(value);
      for (const [key, entry] of entriesOf(value)) visit(entry, pathOf(path, key, Array.isArray(value)), depth + 1);
    }
  };
  for (const [i, arg] of args.entries()) visit(arg, `args[${i}]`, 0);
  return [...found];
}

/** A copy of nested arrays and plain objects with handles for applications; shared and cyclic parts stay shared and cyclic. */
function copyWith(args: readonly unknown[], handles: ReadonlyMap<BoundApplication, HandleReference>): unknown {
  const copies = new Map<object, object>();
  const copy = (value: unknown, depth: number): unknown => {
    if (value instanceof BoundApplication) return handles.get(value) ?? value;
    if (!isContainer(value) || depth > MAX_DEPTH) return value;
    const known = copies.get(value);
    if (known !== undefined) return known;
    const made = Array.isArray(value) ? [] : (Object.create(Object.getPrototypeOf(value)) as object);
    // Holes stay holes.
    if (Array.isArray(value)) (made as unknown[]).length = value.length;
    copies.set(value, made);
    for (const [key, entry] of entriesOf(value)) {
      // Not by assignment: a key may be `__proto__`.
      Object.defineProperty(made, key, {
        value: copy(entry, depth + 1),
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
    return made;
  };
  return copy(args, 0);
}

/** Arrays and plain objects; all else is a value of its own, also Map and Set, in which no constructor type can ask for a handle. */
function isContainer(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function entriesOf(container: object): [PropertyKey, unknown][] {
  return Reflect.ownKeys(container)
    .filter((key) => Object.prototype.propertyIsEnumerable.call(container, key))
    .map((key) => [key, (container as Record<PropertyKey, unknown>)[key]]);
}

function pathOf(path: string, key: PropertyKey, inArray: boolean): string {
  return inArray ? `${path}[${String(key)}]` : `${path}.${String(key)}`;
}

function notBound(value: unknown, path: string, deployment: string): ConfigError {
  const remedy =
    value instanceof DeploymentDefinition
      ? `Bind it: pass the result of its .bind(…).`
      : `Pass deployment(${(value as { name?: string }).name || "…"}).bind(…) to get a handle to it.`;
  const what = value instanceof DeploymentDefinition ? `deployment "${value.name}", which is not bound` : show(value);
  return new ConfigError(`${path} of deployment "${deployment}" is ${what}. ${remedy}`, { path });
}

function notAnApplication(app: unknown): ConfigError {
  const error = (text: string): ConfigError => new ConfigError(text, { path: "app" });
  if (app instanceof DeploymentDefinition)
    return error(
      `Deployment "${app.name}" is not bound. Write serve.run(${app.name}.bind(…)), with what its constructor needs.`,
    );
  if (typeof app === "function") {
    const name = app.name || (isClass(app) ? "MyClass" : "myFunction");
    return error(
      `serve.run() takes a bound deployment, not ${show(app)}. Write serve.run(deployment(${name}).bind(…)).`,
    );
  }
  if (typeof app === "object" && app !== null && typeof (app as { then?: unknown }).then === "function") {
    return error(`serve.run() takes a bound deployment, not a promise of one. Write serve.run(await app).`);
  }
  return error(`serve.run() takes a bound deployment, not ${show(app)}. Write serve.run(deployment(MyClass).bind(…)).`);
}
