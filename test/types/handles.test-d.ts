import {
  serve,
  type DeploymentBroadcastResponse,
  type DeploymentHandle,
  type DeploymentResponse,
  type DeploymentResponseGenerator,
  type MethodHandle,
} from "heliostat";
import { describe, expectTypeOf, test } from "vitest";

class Model {
  readonly label = "model";
  predict(text: string, size?: number): Promise<{ score: number }> {
    return Promise.resolve({ score: text.length + (size ?? 0) });
  }
  async *tokens(count: number): AsyncGenerator<string> {
    for (let i = 0; i < count; i++) yield `token ${i}`;
  }
  *numbers(): Generator<number> {
    yield 1;
  }
  readStream(): ReadableStream<Uint8Array> {
    return new ReadableStream();
  }
  call(name: string): string {
    return `Hello ${name}!`;
  }
  reset(): void {}
  embed = (texts: readonly string[]): number[][] => texts.map(() => []);
  protected inner(): void {}
  private secret(): void {}
  #hidden(): void {}
  use(): void {
    this.secret();
    this.#hidden();
  }
}
declare const handle: DeploymentHandle<Model>;

describe("methods", () => {
  test("a result is what the method returns, awaited", () => {
    expectTypeOf(handle.predict.remote("x")).toEqualTypeOf<DeploymentResponse<{ score: number }>>();
    expectTypeOf(handle.remote("x")).toEqualTypeOf<DeploymentResponse<string>>();
    expectTypeOf(handle.embed.remote(["x"])).toEqualTypeOf<DeploymentResponse<number[][]>>();
    expectTypeOf<Awaited<ReturnType<typeof handle.reset.remote>>>().toEqualTypeOf<void>();
  });

  test("an argument is its type, or a response of it", () => {
    handle.predict.remote(handle.remote("x"), 3);
    handle.predict.remote("x");
    // @ts-expect-error a number where a string is wanted
    handle.predict.remote(3);
    // @ts-expect-error a response of the wrong type
    handle.predict.remote(handle.predict.remote("x"));
    // @ts-expect-error no argument
    handle.predict.remote();
    // @ts-expect-error one too many
    handle.predict.remote("x", 3, 4);
  });

  test("only public methods are there", () => {
    // @ts-expect-error unknown
    void handle.nothing;
    // @ts-expect-error private
    void handle.secret;
    // @ts-expect-error protected
    void handle.inner;
    // @ts-expect-error not a method
    void handle.label;
  });

  test("what is called is not the method itself", () => {
    // @ts-expect-error a method is called by .remote()
    handle.predict("x");
  });
});

describe("streams", () => {
  test("give the items of generators and web streams", () => {
    const streaming = handle.options({ stream: true });
    expectTypeOf(streaming.tokens.remote(3)).toEqualTypeOf<DeploymentResponseGenerator<string>>();
    expectTypeOf(streaming.numbers.remote()).toEqualTypeOf<DeploymentResponseGenerator<number>>();
    expectTypeOf(streaming.readStream.remote()).toEqualTypeOf<DeploymentResponseGenerator<Uint8Array>>();
    expectTypeOf(handle.tokens.options({ stream: true }).remote(3)).toEqualTypeOf<
      DeploymentResponseGenerator<string>
    >();
    expectTypeOf(streaming.tokens.remote(3).toReadableStream()).toEqualTypeOf<ReadableStream<string>>();
  });

  test("are results again with stream: false", () => {
    const plain = handle.options({ stream: true }).options({ stream: false });
    expectTypeOf(plain.predict.remote("x")).toEqualTypeOf<DeploymentResponse<{ score: number }>>();
  });

  test("a stream is not a promise", () => {
    // @ts-expect-error a stream has no result
    handle.options({ stream: true }).tokens.remote(3).result();
  });
});

describe("options", () => {
  test("methodName decides what remote() calls", () => {
    expectTypeOf(handle.options({ methodName: "predict" }).remote("x")).toEqualTypeOf<
      DeploymentResponse<{ score: number }>
    >();
    const chained = handle.options({ methodName: "tokens" }).options({ stream: true, timeoutMs: 5 });
    expectTypeOf(chained.remote(3)).toEqualTypeOf<DeploymentResponseGenerator<string>>();
    // @ts-expect-error no such method
    handle.options({ methodName: "nothing" });
    // @ts-expect-error one method has no other
    handle.predict.options({ methodName: "tokens" });
  });

  test("keys and values are checked", () => {
    // @ts-expect-error unknown key
    handle.options({ retries: 3 });
    // @ts-expect-error misspelt beside a right one
    handle.options({ stream: true, timeoutMS: 3 });
    // @ts-expect-error the same on a method
    handle.predict.options({ stream: true, timeoutMS: 3 });
    // @ts-expect-error unknown serialization
    handle.options({ requestSerialization: "cloudpickle" });
    // @ts-expect-error not a number
    handle.options({ timeoutMs: "3" });
  });
});

describe("broadcast", () => {
  test("is typed by the method", () => {
    expectTypeOf(handle.broadcast("predict", "x")).toEqualTypeOf<DeploymentBroadcastResponse<{ score: number }>>();
    expectTypeOf(handle.broadcast("call", "x").results()).toEqualTypeOf<Promise<string[]>>();
    expectTypeOf(handle.broadcast("call", "x").results({ returnExceptions: true })).toEqualTypeOf<
      Promise<(string | Error)[]>
    >();
    // @ts-expect-error no such method
    handle.broadcast("nothing");
    // @ts-expect-error wrong argument
    handle.broadcast("call", 3);
  });
});

describe("responses", () => {
  test("are promises", () => {
    expectTypeOf(handle.remote("x")).toExtend<Promise<string>>();
    expectTypeOf(handle.remote("x").result({ timeoutMs: 5 })).toEqualTypeOf<Promise<string>>();
    expectTypeOf(handle.remote("x").then((text) => text.length)).toEqualTypeOf<Promise<number>>();
    // @ts-expect-error unknown option
    void handle.remote("x").result({ timeout: 5 });
  });
});

describe("where handles come from", () => {
  test("a handle by name is typed by its parameter", () => {
    expectTypeOf(serve.getAppHandle<Model>()).toEqualTypeOf<DeploymentHandle<Model>>();
    expectTypeOf(serve.getDeploymentHandle<Model>("Model", "app")).toEqualTypeOf<DeploymentHandle<Model>>();
  });

  test("a function has one method", () => {
    const double = serve.getDeploymentHandle<(x: number) => Promise<number>>("double");
    expectTypeOf(double.remote(3)).toEqualTypeOf<DeploymentResponse<number>>();
    expectTypeOf(double.broadcast("call", 3).results()).toEqualTypeOf<Promise<number[]>>();
    // @ts-expect-error no other name
    void double.call;
  });

  test("a method can be passed on by its own type", () => {
    expectTypeOf(handle.predict).toEqualTypeOf<MethodHandle<Model["predict"]>>();
  });
});

test("a replica can be told from the script", () => {
  expectTypeOf(serve.isReplica()).toEqualTypeOf<boolean>();
});
