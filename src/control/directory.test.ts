import { expect, test } from "vitest";
import { FakeEngine } from "../../test/support/fake-engine.ts";
import { applicationSpec, deploymentSpec } from "../../test/support/specs.ts";
import type { Log } from "../core/contracts/log.ts";
import { INGRESS, type DeploymentSnapshot } from "../core/router/snapshot.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { Controller } from "./controller.ts";

function setUp() {
  const clock = new ManualClock();
  const engine = new FakeEngine(clock);
  const errors: string[] = [];
  const log: Log = { debug() {}, info() {}, warn() {}, error: (message) => errors.push(message) };
  const controller = new Controller({ clock, log, nodeId: "node", engines: () => engine });
  return { clock, engine, controller, errors };
}
const application = (numReplicas = 1, name = "default") =>
  applicationSpec([deploymentSpec("Model", { numReplicas }), deploymentSpec("Ingress")], name);

test("the first snapshot comes in a later turn, and newer ones have higher versions", () => {
  const { clock, controller } = setUp();
  void controller.deploy(application(2));
  const seen: DeploymentSnapshot[] = [];
  controller.directory.subscribe("default", "Model", (snapshot) => seen.push(snapshot));
  expect(seen).toEqual([]);
  clock.turn();
  expect(seen.at(0)?.state).toBe("available");
  expect(seen.at(-1)?.replicas).toHaveLength(2);
  expect(seen.at(-1)?.replicas[0]).toMatchObject({ nodeId: "node", modelIds: [], stats: {} });
  expect(seen.map(({ version }) => version)).toEqual(seen.map(({ version }) => version).toSorted((a, b) => a - b));
});

test("pending until a replica has run, available without any after that", () => {
  const { clock, controller, engine } = setUp();
  engine.behaviour = {};
  void controller.deploy(application());
  const states: string[] = [];
  controller.directory.subscribe("default", "Model", ({ state, replicas }) =>
    states.push(`${state} ${replicas.length}`),
  );
  clock.turn();
  engine.replicas[0]!.ready();
  engine.replicas[0]!.exit("killed by SIGKILL");
  expect(states).toEqual(["pending 0", "available 1", "available 0"]);
});

test("what callers would not notice is not published", () => {
  const { clock, controller, engine } = setUp();
  void controller.deploy(application());
  clock.turn();
  const seen: DeploymentSnapshot[] = [];
  controller.directory.subscribe("default", "Model", (snapshot) => seen.push(snapshot));
  clock.advance(100_000);
  expect(seen).toHaveLength(1);
  engine.of("Model")[0]!.say({ type: "models", modelIds: ["a"] });
  expect(seen).toHaveLength(2);
  expect(seen[1]!.replicas[0]!.modelIds).toEqual(["a"]);
});

test("an unknown deployment or application is gone, with a message that helps", () => {
  const { clock, controller } = setUp();
  void controller.deploy(application());
  const seen: DeploymentSnapshot[] = [];
  controller.directory.subscribe("default", "Modell", (snapshot) => seen.push(snapshot));
  controller.directory.subscribe("other", "Model", (snapshot) => seen.push(snapshot));
  clock.turn();
  expect(seen).toMatchObject([
    { state: "gone", message: 'There is no deployment "Modell" in application "default"; it has "Model", "Ingress".' },
    { state: "gone", message: expect.stringContaining('no application "other"') },
  ]);
});

test("what is said of an unknown deployment is up to date for each new subscriber", () => {
  const { clock, controller } = setUp();
  controller.directory.subscribe("default", "Modell", () => {});
  clock.turn();
  void controller.deploy(application());
  const seen: DeploymentSnapshot[] = [];
  controller.directory.subscribe("default", "Modell", (snapshot) => seen.push(snapshot));
  clock.turn();
  expect(seen).toMatchObject([{ message: expect.stringContaining('it has "Model", "Ingress"') }]);
});

test("a subscriber sees an application deleted and deployed again, with ever higher versions", async () => {
  const { clock, controller } = setUp();
  const seen: DeploymentSnapshot[] = [];
  controller.directory.subscribe("default", "Model", (snapshot) => seen.push(snapshot));
  clock.turn();
  void controller.deploy(application());
  clock.turn();
  const gone = controller.delete("default");
  clock.turn();
  await gone;
  void controller.deploy(application());
  clock.turn();
  expect(seen.map(({ state }) => state)).toEqual(["gone", "pending", "available", "gone", "pending", "available"]);
  expect(seen.every(({ version }, index) => index === 0 || version > seen[index - 1]!.version)).toBe(true);
});

test("an application's ingress can be followed without its name, into death and back", async () => {
  const { clock, controller } = setUp();
  void controller.deploy(application());
  const seen: DeploymentSnapshot[] = [];
  controller.directory.subscribe("default", INGRESS, (snapshot) => seen.push(snapshot));
  clock.turn();
  expect(seen.at(-1)).toMatchObject({ deployment: INGRESS, state: "available", replicas: [{ nodeId: "node" }] });
  const gone = controller.delete("default");
  clock.turn();
  await gone;
  expect(seen.at(-1)).toMatchObject({ deployment: INGRESS, state: "gone" });
});

test("who has unsubscribed hears nothing more, not even the first snapshot", () => {
  const { clock, controller } = setUp();
  void controller.deploy(application());
  let heard = 0;
  controller.directory.subscribe("default", "Model", () => heard++)();
  clock.turn();
  expect(heard).toBe(0);
  expect(controller.leftovers().subscriptions).toBe(0);
});

test("a subscriber that throws is logged and keeps nobody from the news", () => {
  const { clock, controller, errors } = setUp();
  void controller.deploy(application());
  let heard = 0;
  controller.directory.subscribe("default", "Model", () => {
    throw new Error("mine");
  });
  controller.directory.subscribe("default", "Model", () => heard++);
  clock.turn();
  expect(heard).toBeGreaterThan(0);
  expect(errors.length).toBeGreaterThan(0);
});

test("a replica's subscriptions are served over its control channel, and end with it", () => {
  const { clock, controller, engine } = setUp();
  void controller.deploy(application());
  clock.turn();
  const ingress = engine.of("Ingress")[0]!;
  ingress.say({ type: "subscribe", app: "default", deployment: "Model" });
  ingress.say({ type: "subscribe", app: "default", deployment: "Model" });
  ingress.say({ type: "subscribe", app: "default", deployment: "Ingress" });
  expect(controller.leftovers().subscriptions).toBe(2);
  clock.turn();
  expect(ingress.told("snapshot").map(({ snapshot }) => snapshot.deployment)).toEqual(["Model", "Ingress"]);
  engine.of("Model")[0]!.exit("killed by SIGKILL");
  clock.turn();
  expect(ingress.told("snapshot").at(-1)!.snapshot.replicas[0]!.replicaId).toBe(engine.of("Model")[0]!.id);
  ingress.say({ type: "unsubscribe", app: "default", deployment: "Ingress" });
  expect(controller.leftovers().subscriptions).toBe(1);
  ingress.exit("killed by SIGKILL");
  expect(controller.leftovers().subscriptions).toBe(0);
});

test("a replica can ask for the status", () => {
  const { clock, controller, engine } = setUp();
  void controller.deploy(application());
  clock.turn();
  const ingress = engine.of("Ingress")[0]!;
  ingress.say({ type: "call", id: 4, method: "status", args: [] });
  expect(ingress.told("called")).toEqual([{ type: "called", id: 4, value: controller.status() }]);
});

test("replica names are the deployment's with something random, and differ", () => {
  const { clock, controller, engine } = setUp();
  void controller.deploy(application(20));
  clock.turn();
  const ids = engine.of("Model").map(({ id }) => id);
  expect(new Set(ids).size).toBe(20);
  expect(ids.every((id) => /^Model#[0-9a-z]{6}$/.test(id))).toBe(true);
});
