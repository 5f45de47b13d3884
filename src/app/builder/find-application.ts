import { BoundApplication, DeploymentDefinition } from "../../core/deployment/deployment.ts";
import { isClass, listOf, show } from "../../core/deployment/option-checks.ts";
import { ConfigError } from "../../core/errors.ts";

export interface FindOptions {
  /** What the module is called in messages. */
  readonly module: string;
  readonly exportName: string | undefined;
  readonly args: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The application that a module exports under a name, else as `app`, else by default; or that its function makes.
 *
 * @throws {ConfigError} which says what to write instead.
 */
export async function findApplication(
  exported: Readonly<Record<string, unknown>>,
  { module, exportName, args = {} }: FindOptions,
): Promise<BoundApplication> {
  const name = exportName ?? ("app" in exported ? "app" : "default");
  if (!(name in exported)) {
    const names = Object.keys(exported);
    const has = names.length === 0 ? "It exports nothing." : `It exports ${listOf(names)}.`;
    throw wrong(
      exportName === undefined
        ? `${module} exports no application. Write: export const app = deployment(MyClass).bind(…), or name the export: ${module}:NAME. ${has}`
        : `${module} has no export "${exportName}". ${has}`,
    );
  }
  const what = `${module}:${name}`;
  const value: unknown = await exported[name];
  const isFunction = typeof value === "function" && !isClass(value);
  if (!isFunction && Object.keys(args).length > 0) {
    throw new ConfigError(
      `Arguments can only be passed to an application builder function; ${what} is ${describe(value)}. Write: export function app(args) { return deployment(MyClass).bind(args.…); }`,
      { path: "args" },
    );
  }
  const app: unknown = isFunction ? await (value as (args: object) => unknown)(args) : value;
  if (app instanceof BoundApplication) return app;
  const subject = isFunction ? `The function ${what} gave ${describe(app)}` : `${what} is ${describe(app)}`;
  throw wrong(`${subject}, not an application. ${remedy(app, name)}`);
}

function describe(value: unknown): string {
  if (value instanceof BoundApplication) return "an application";
  return value instanceof DeploymentDefinition ? `the deployment "${value.name}", which is not bound` : show(value);
}

function remedy(value: unknown, name: string): string {
  const target = name === "default" ? "export default" : `export const ${name} =`;
  if (value instanceof DeploymentDefinition) return `Write: ${target} ${value.name}.bind(…)`;
  if (isClass(value)) return `Write: ${target} deployment(${(value as { name: string }).name || "MyClass"}).bind(…)`;
  if ((value as object | null)?.constructor?.name === BoundApplication.name)
    return "It was made by another copy of heliostat: install one only, in the project.";
  return `Write: ${target} deployment(MyClass).bind(…)`;
}

export function wrong(message: string): ConfigError {
  return new ConfigError(message, { path: "importPath" });
}
