import { deployment, serve, type Application, type Deployment, type DeploymentHandle } from "heliostat";
import { describe, expectTypeOf, test } from "vitest";

class Leaf {
  value(): number {
    return 1;
  }
}
class Other {
  other(): string {
    return "";
  }
}
class Root {
  readonly leaf: DeploymentHandle<Leaf>;
  constructor(
    leaf: DeploymentHandle<Leaf>,
    parts: { more: DeploymentHandle<Leaf>[]; named: Record<string, DeploymentHandle<Other>>; size: number },
    ...rest: string[]
  ) {
    this.leaf = leaf;
    void [parts, rest];
  }
}
class Loaded {
  readonly bytes: number;
  constructor(bytes: number) {
    this.bytes = bytes;
  }
  static async create(_model: DeploymentHandle<Leaf>, path: string): Promise<Loaded> {
    return new Loaded(path.length);
  }
}
const leaf = deployment(Leaf).bind();
const other = deployment(Other).bind();

describe("bind", () => {
  test("takes an application where the constructor takes a handle, also nested", () => {
    expectTypeOf(deployment(Root).bind(leaf, { more: [leaf], named: { a: other }, size: 3 }, "a", "b")).toEqualTypeOf<
      Application<Root>
    >();
  });

  test("refuses everything else", () => {
    const rest = { more: [leaf], named: { a: other }, size: 3 };
    // @ts-expect-error nothing
    deployment(Root).bind();
    // @ts-expect-error another deployment's application
    deployment(Root).bind(other, rest);
    // @ts-expect-error a deployment that is not bound
    deployment(Root).bind(deployment(Leaf), rest);
    // @ts-expect-error nested: another deployment's application
    deployment(Root).bind(leaf, { ...rest, more: [other] });
    // @ts-expect-error a plain value of the wrong type
    deployment(Root).bind(leaf, { ...rest, size: "3" });
  });

  test("a static create decides, where there is one", () => {
    expectTypeOf(deployment(Loaded).bind(leaf, "model.onnx")).toEqualTypeOf<Application<Loaded>>();
    // @ts-expect-error what its constructor takes
    deployment(Loaded).bind(3);
  });

  test("a function takes nothing", () => {
    const made = deployment((x: number) => x, { name: "same" });
    expectTypeOf(made.bind()).toEqualTypeOf<Application<(x: number) => number>>();
    // @ts-expect-error its parameters are those of a call
    made.bind(3);
  });
});

describe("options", () => {
  test("keep the type", () => {
    expectTypeOf(deployment(Leaf).options({ numReplicas: "auto" })).toEqualTypeOf<Deployment<typeof Leaf>>();
  });

  test("are checked", () => {
    // @ts-expect-error unknown
    deployment(Leaf, { num_replicas: 2 });
    // @ts-expect-error not a count
    deployment(Leaf).options({ numReplicas: "two" });
    // @ts-expect-error not a status that means it
    deployment(Leaf, { backpressure: { statusCode: 500 } });
    // @ts-expect-error unknown policy
    deployment(Leaf, { requestRouter: { policy: "random" } });
    deployment(Leaf, { requestRouter: { policy: (candidates) => candidates[0] ?? null } });
  });

  test("what is deployed is a class or a function", () => {
    // @ts-expect-error an instance
    deployment(new Leaf());
    // @ts-expect-error a name
    deployment("Leaf");
  });
});

describe("run", () => {
  test("gives a handle to the ingress", () => {
    expectTypeOf(serve.run(leaf)).toEqualTypeOf<Promise<DeploymentHandle<Leaf>>>();
    // @ts-expect-error not bound
    void serve.run(deployment(Leaf));
    // @ts-expect-error a class
    void serve.run(Leaf);
  });
});
