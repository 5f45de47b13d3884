import { AutoRouter } from "itty-router";
import { expect, it } from "vitest";
import { ManualClock } from "../../testing/manual-clock.ts";
import type { ReplicaMessage } from "../contracts/control-messages.ts";
import { deployment } from "../deployment/deployment.ts";
import { buildApplication } from "../deployment/application.ts";
import type { BoundApplication } from "../deployment/deployment.ts";
import { Deadlines } from "../handle/deadlines.ts";
import { ingressClass } from "../http/ingress.ts";
import { ReplicaHost } from "./replica-host.ts";

/** A host of what a function given to serve.ingress makes, told to initialize. */
function hostOf(make: () => unknown) {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const sent: ReplicaMessage[] = [];
  const definition = deployment(ingressClass(make) as new () => object, { name: "Web", module: "file:///app.ts" });
  const app = definition.bind() as unknown as BoundApplication;
  const [spec] = buildApplication(app, { name: "default", routePrefix: "/" }).deployments;
  const pass = { run: <T>(_: unknown, fn: () => T) => fn(), get: () => undefined };
  const host = new ReplicaHost({
    spec: {
      ...spec!,
      replicaId: "Web#1",
      app: "default",
      deployment: "Web",
      rank: 0,
      worldSize: 1,
      codeVersion: "1",
      nodeId: "local",
    },
    clock,
    contexts: { ...pass, call: (_, method, self, args) => Reflect.apply(method, self, args) },
    residence: { ...pass, call: (_, method, self, args) => Reflect.apply(method, self, args) },
    facilities: new WeakMap(),
    deadlines: new Deadlines(clock),
    log: { debug() {}, info() {}, warn: (message) => void warnings.push(message), error() {} },
    load: () => Promise.resolve(spec!.target!),
    listen: () => Promise.resolve({}),
    send: (message) => void sent.push(message),
    onSnapshot() {},
    onCalled() {},
    end() {},
  });
  host.handle({ type: "initialize" });
  const turns = () => new Promise((resolve) => void setImmediate(resolve));
  return { clock, warnings, sent, turns };
}

it("an itty-router app of an async function never comes, and after a while it is said why", async () => {
  const { clock, warnings, sent, turns } = hostOf(async () => AutoRouter());
  await turns();
  clock.advance(9_999);
  expect(warnings).toEqual([]);
  clock.advance(1);
  expect(warnings).toEqual([expect.stringMatching(/^Replica Web#1: .*\{ fetch: router\.fetch \}/)]);
  expect(sent).toEqual([]);
});

it("wrapped in an object it comes, and tells that there is a fetch", async () => {
  const { clock, warnings, sent, turns } = hostOf(async () => ({ fetch: AutoRouter().fetch }));
  await turns();
  expect(sent).toMatchObject([{ type: "ready", methods: expect.arrayContaining(["fetch"]) }]);
  clock.advance(60_000);
  expect(warnings).toEqual([]);
});
