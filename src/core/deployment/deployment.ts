import { ConfigError } from "../errors.ts";
import type { AnyFunction } from "../handle/types.ts";
import type { CodeReference } from "../router/snapshot.ts";
import type { CodePlace } from "./code-site.ts";
import { definitions } from "./definitions.ts";
import { isClass, show } from "./option-checks.ts";
import { deploymentName, resolveOptions, type ResolvedOptions } from "./options.ts";
import { hasMethod, kindOf } from "./target-kind.ts";
import type { AnyClass, Deployment, DeploymentOptions } from "./types.ts";

/**
 * Makes a class or a function deployable.
 *
 * Its public methods can then be called through a handle, from other deployments and from outside; a function is called
 * by `handle.remote()`. Nothing starts before `serve.run`.
 *
 * The class must be defined in a module that a replica can import: the call of `deployment` tells which, or the option
 * `module`.
 *
 * ```ts
 * import { deployment, serve } from "heliostat";
 *
 * const double = deployment(function double(x: number) {
 *   return x * 2;
 * });
 * const handle = await serve.run(double.options({ numReplicas: 2 }).bind());
 * console.log(await handle.remote(21)); // 42
 * await serve.shutdown();
 * ```
 *
 * @throws {ConfigError} for what is neither a class nor a function, for one without a name, for a class that a replica
 *   could not hold, such as one with a method `then`, and for wrong options.
 */
export function deployment<D extends AnyClass | AnyFunction>(
  target: D,
  options: DeploymentOptions = {},
): Deployment<D> {
  return DeploymentDefinition.define(target, options, deployment) as unknown as Deployment<D>;
}

/** What `deployment()` gives: the class or function, where its code is, and checked options. */
export class DeploymentDefinition {
  readonly name: string;
  readonly target: Function;
  readonly kind: "class" | "function";
  readonly answersHttp: boolean;
  readonly code: CodeReference;
  readonly resolved: ResolvedOptions;
  /** The options as they were given. */
  readonly given: DeploymentOptions;

  private constructor(target: Function, code: CodeReference, options: DeploymentOptions, place?: CodePlace) {
    this.target = target;
    this.kind = kindOf(target);
    this.answersHttp = this.kind === "class" && hasMethod(target, "fetch");
    this.code = code;
    this.name = options.name ?? deploymentName(nameOf(target), "name");
    this.given = options;
    this.resolved = resolveOptions(options, "", (fn) =>
      definitions.register({ module: code.module, name: fn.name || "policy", target: fn, as: options.name, place }),
    );
    Object.freeze(this);
  }

  /** @param entry the public function whose caller is the module that defines the target. */
  static define(target: unknown, options: DeploymentOptions, entry: Function): DeploymentDefinition {
    if (typeof target !== "function") throw wrongTarget(target);
    kindOf(target);
    resolveOptions(options, "", () => ({ module: "", name: "", ordinal: 0 }));
    if (options.name === undefined && nameOf(target) === "") {
      throw new ConfigError(
        `This ${isClass(target) ? "class" : "function"} has no name. Name it, or write deployment(…, { name: "MyDeployment" }).`,
        { path: "name" },
      );
    }
    const module = options.module ?? definitions.codeSites.callerModule(entry);
    if (module === undefined) {
      throw new ConfigError(
        `Cannot tell which module defines ${show(target)}. Write deployment(…, { module: import.meta.url }).`,
        { path: "module" },
      );
    }
    const place = definitions.codeSites.place(entry, module);
    const code = definitions.register({ module, name: nameOf(target), target, as: options.name, place });
    return new DeploymentDefinition(target, code, options, place);
  }

  bind(...args: unknown[]): BoundApplication {
    return new BoundApplication(this, args);
  }

  options(changes: DeploymentOptions): DeploymentDefinition {
    resolveOptions(changes, "", () => this.code);
    const merged: DeploymentOptions = { ...this.given, ...changes };
    // The newer of the two ways to say how many replicas wins.
    if (typeof changes.numReplicas === "number" && changes.autoscaling === undefined) delete merged.autoscaling;
    if (changes.autoscaling !== undefined && changes.numReplicas === undefined && merged.numReplicas !== "auto")
      delete merged.numReplicas;
    const code =
      changes.module === undefined
        ? this.code
        : definitions.register({
            module: changes.module,
            name: this.code.name,
            target: this.target,
            as: merged.name,
          });
    return new DeploymentDefinition(this.target, code, merged);
  }
}

/** What `bind()` gives: a deployment and its constructor arguments. Its identity is the deployment's identity in the application. */
export class BoundApplication {
  readonly deployment: DeploymentDefinition;
  readonly args: readonly unknown[];

  constructor(bound: DeploymentDefinition, args: readonly unknown[]) {
    this.deployment = bound;
    this.args = Object.freeze(args);
    Object.freeze(this);
  }
}

/** A class may have a static member of this name, of any type. */
function nameOf(target: Function): string {
  const name: unknown = target.name;
  return typeof name === "string" ? name : "";
}

function wrongTarget(target: unknown): ConfigError {
  const hint =
    target instanceof DeploymentDefinition
      ? `It is a deployment already: use it as it is, or change it with .options({…}).`
      : target instanceof BoundApplication
        ? `It is bound already: give it to serve.run(…), or to another deployment's .bind(…).`
        : `Write deployment(MyClass), and give what its constructor needs to .bind(…).`;
  return new ConfigError(`deployment() takes a class or a function, not ${show(target)}. ${hint}`, { path: "target" });
}
