import { ConfigError } from "../core/errors.ts";

/** One thing that is wrong with a configuration. */
export interface Problem {
  /** As it is written there: `applications[0].deployments[1].num_replicas`. */
  readonly path: string;
  readonly message: string;
}

/** A configuration is wrong; its message tells all that is. */
export class InvalidConfigError extends ConfigError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], source = "The configuration") {
    const lines = problems.map(({ message }) => message);
    super(
      lines.length === 1
        ? lines[0]!
        : `${source} is wrong in ${lines.length} places:\n${lines.map((line) => `  ${line}`).join("\n")}`,
      {
        path: problems[0]!.path,
      },
    );
    this.problems = problems;
    // To users there is one class of these.
    Object.defineProperty(this, "name", { value: "ConfigError", enumerable: false });
  }
}

/** Joins keys and indices: `applications[0].name`. */
export function pathOf(keys: readonly (string | number)[]): string {
  return keys.reduce<string>(
    (path, key) => (typeof key === "number" ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`),
    "",
  );
}
