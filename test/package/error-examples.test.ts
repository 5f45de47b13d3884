import { readFileSync } from "node:fs";
import { type DeploymentHandle, deployment, serve } from "heliostat";
import { afterAll, beforeAll, expect, test } from "vitest";
import { replicaDied, replicaStopping } from "../../src/core/router/rejections.ts";
import { FrameReader } from "../../src/wire/frame-reader.ts";

class Model {
  async predict(_input: unknown): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return "cat";
  }
  *tokens(): Generator<string> {
    yield "a";
  }
}
class Broken {
  constructor() {
    throw new Error("no such file: model.onnx");
  }
  call(): void {}
}

let model: DeploymentHandle<Model>;
beforeAll(async () => {
  model = await serve.run(deployment(Model, { maxOngoingRequests: 1, maxQueuedRequests: 2 }).bind(), { local: true });
});
afterAll(() => serve.shutdown());

const name = { app: "default", deployment: "Model" };
/** How to come by an error of each code. */
const causes: Record<string, () => unknown> = {
  HELIOSTAT: () => serve.getRequestContext(),
  BACK_PRESSURE: async () => {
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map((n) => model.predict.remote(n)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  },
  REQUEST_CANCELLED: () => {
    const response = model.predict.remote(1);
    response.cancel();
    return response;
  },
  REQUEST_TIMEOUT: () => model.predict.remote(1).result({ timeoutMs: 10 }),
  DEPLOYMENT_UNAVAILABLE: () => serve.getDeploymentHandle<Model>("Modle").predict.remote(1),
  REPLICA_UNAVAILABLE: () => Promise.reject(replicaStopping(name, "Model#x3f9k2")),
  REPLICA_DIED: () => Promise.reject(replicaDied(name, "Model#x3f9k2", new Error("The connection was closed."))),
  UNKNOWN_METHOD: () => (model as unknown as Record<string, typeof model.predict>)["predct"]!.remote(1),
  STREAM_MISMATCH: () => model.tokens.remote(),
  SERIALIZATION: () => model.predict.remote({ user: { avatar: () => {} } }),
  PROTOCOL: () => {
    const header = new Uint8Array(12);
    new DataView(header.buffer).setUint32(0, 300_000_000, true);
    new FrameReader(268_435_456, () => {}).push(header, 0, 12);
  },
  DEPLOYMENT_FAILED: () => serve.run(deployment(Broken).bind(), { name: "broken", local: true }),
  CONFIG: () => model.options({ timeoutMs: -1 }),
};

const page = readFileSync(new URL("../../docs/reference/errors.md", import.meta.url), "utf8");

test.each(Object.keys(causes))("the example of %s is what the code says", async (code) => {
  const section = page.split(`\n## ${code}: `)[1]!.split("\n## ")[0]!;
  const example = /^Example: `(.*)`$/m.exec(section)?.[1];
  let error: { code?: string; message: string } | undefined;
  try {
    await causes[code]!();
  } catch (thrown) {
    error = thrown as Error;
  }
  expect(error?.code).toBe(code);
  // Ids are another each time.
  const normal = (text: string | undefined) => text?.replaceAll(/Request [0-9a-f]{12}-[0-9a-z]+/g, "Request <id>");
  expect(normal(example)).toBe(normal(error!.message));
});

test("every code has an example that is checked", () => {
  const codes = [...page.matchAll(/^## ([A-Z_]+): /gm)].map(([, code]) => code!);
  expect(Object.keys(causes).toSorted()).toEqual(codes.toSorted());
});
