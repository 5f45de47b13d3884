import { describe, expect, test } from "vitest";
import { ConfigError } from "../errors.ts";
import { definitions } from "./definitions.ts";
import { deployment, type BoundApplication, type DeploymentDefinition } from "./deployment.ts";
import type { DeploymentOptions } from "./types.ts";

class Greeter {
  greet(): string {
    return "hello";
  }
}
const inside = (made: unknown): DeploymentDefinition => made as DeploymentDefinition;

test("is named after its class or function, or by the option", () => {
  expect(deployment(Greeter).name).toBe("Greeter");
  expect(deployment(function double() {}).name).toBe("double");
  expect(deployment(Greeter, { name: "Text model" }).name).toBe("Text model");
  expect(deployment(class {}, { name: "Anonymous" }).name).toBe("Anonymous");
});

test("tells classes and functions apart", () => {
  expect(inside(deployment(Greeter)).kind).toBe("class");
  expect(inside(deployment(function double() {})).kind).toBe("function");
  expect(inside(deployment(async () => 1, { name: "arrow" })).kind).toBe("function");
});

test("knows the module that called it, and the class's own name", () => {
  expect(inside(deployment(Greeter, { name: "Other" })).code).toEqual({
    module: import.meta.url,
    name: "Greeter",
    ordinal: 0,
    mark: expect.any(String) as string,
  });
  expect(inside(deployment(Greeter, { module: "file:///elsewhere.ts" })).code.module).toBe("file:///elsewhere.ts");
});

test("registers its target, copies do not again", () => {
  class Registered {}
  const made = deployment(Registered);
  const copy = made.options({ name: "Copy", numReplicas: 2 });
  expect(inside(copy).code).toBe(inside(made).code);
  expect(definitions.find(inside(made).code)).toBe(Registered);
});

describe("options()", () => {
  test("gives a changed copy and leaves the original", () => {
    const made = deployment(Greeter, { numReplicas: 2, maxOngoingRequests: 7 });
    const copy = made.options({ name: "Copy", numReplicas: 3 });
    expect([made.name, copy.name]).toEqual(["Greeter", "Copy"]);
    expect(inside(made).resolved.numReplicas).toBe(2);
    expect(inside(copy).resolved).toMatchObject({ numReplicas: 3, maxOngoingRequests: 7 });
  });

  test("the newer of a fixed number and autoscaling wins", () => {
    const scaled = deployment(Greeter, { autoscaling: { maxReplicas: 4 } });
    expect(inside(scaled.options({ numReplicas: 3 })).resolved).not.toHaveProperty("autoscaling");
    const fixed = deployment(Greeter, { numReplicas: 3 });
    expect(inside(fixed.options({ autoscaling: { maxReplicas: 4 } })).resolved.numReplicas).toBe(1);
  });

  test("refuses what deployment() refuses", () => {
    expect(() => deployment(Greeter).options({ numReplicas: 0 })).toThrow(
      expect.objectContaining({ path: "numReplicas" }),
    );
    expect(() => deployment(Greeter).options(null as unknown as DeploymentOptions)).toThrow(ConfigError);
  });
});

test("a routing policy is found by its reference", () => {
  const first = (): null => null;
  const { policy } = inside(deployment(Greeter, { requestRouter: { policy: first } })).resolved;
  expect(policy).toMatchObject({ module: import.meta.url, name: "first", ordinal: 0 });
  expect(definitions.find(policy as never)).toBe(first);
});

test("bind keeps the arguments as they were given", () => {
  class Model {
    readonly path: string;
    constructor(path: string) {
      this.path = path;
    }
  }
  const bound = deployment(Model).bind("a.onnx") as unknown as BoundApplication;
  expect(bound.args).toEqual(["a.onnx"]);
  expect(Object.isFrozen(bound) && Object.isFrozen(bound.args)).toBe(true);
});

describe("refuses", () => {
  const refusal = (target: unknown, options?: DeploymentOptions): string => {
    try {
      deployment(target as typeof Greeter, options);
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
    }
    throw new Error("accepted");
  };

  test.each([new Greeter(), "Greeter", undefined, null, 3, {}])("%s for a target", (target) => {
    expect(refusal(target)).toMatch(/takes a class or a function.*Write deployment\(MyClass\)/);
  });

  test("a deployment, and a bound one", () => {
    expect(refusal(deployment(Greeter))).toContain("It is a deployment already");
    expect(refusal(deployment(Greeter).bind())).toContain("It is bound already");
  });

  test("a class without a name, and says how to give one", () => {
    expect(refusal(class {})).toContain('write deployment(…, { name: "MyDeployment" })');
    expect(refusal(() => 1)).toContain("This function has no name");
  });

  test("unknown options", () => {
    expect(refusal(Greeter, { num_replicas: 2 } as DeploymentOptions)).toContain('Did you mean "numReplicas"?');
  });
});
