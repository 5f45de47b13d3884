import { H3 } from "h3";
import { Hono } from "hono";
import { AutoRouter } from "itty-router";
import { describe, expect, test } from "vitest";
import { deployment } from "../deployment/deployment.ts";
import type { FetchApp } from "../serve-types.ts";
import { callableMethods, findMethod } from "../replica/methods.ts";
import { checkHealth, construct, dispose, reconfigure, routingStatsOf } from "../replica/instance.ts";
import { ingressClass } from "./ingress.ts";

type IngressClass = new (...args: unknown[]) => FetchApp;

const ingress = (given: unknown): IngressClass => ingressClass(given) as unknown as IngressClass;
const textOf = async (app: FetchApp): Promise<string> => (await app.fetch(new Request("http://x/"))).text();
const make = async <T extends object = FetchApp>(target: new (...args: never[]) => T, ...args: unknown[]): Promise<T> =>
  (await construct(target, "class", args)) as T;

const answering = (text: string): FetchApp => ({ fetch: () => new Response(text) });

describe("an ingress class", () => {
  test.each([
    ["Hono", () => new Hono().get("/", (c) => c.text("direct"))],
    ["h3", () => new H3().get("/", () => "direct")],
    ["itty-router", () => AutoRouter().get("/", () => new Response("direct"))],
  ])("can be made with new, of an app of %s", async (_, app) => {
    expect(await textOf(new (ingress(app()))())).toBe("direct");
    expect(await textOf(new (ingress(app))())).toBe("direct");
    expect(await textOf(await make(ingress(app())))).toBe("direct");
  });

  test("makes the app of the handles, once for each instance; an async one is waited for", async () => {
    const Late = ingress(async (name: string) => answering(name));
    expect(await textOf(new Late("a"))).toBe("a");
    expect(await textOf(await make(Late, "b"))).toBe("b");
    const failing = ingress(async () => {
      throw new RangeError("no model");
    });
    await expect(make(failing)).rejects.toThrow("no model");
    await expect(make(ingress(() => 3))).rejects.toThrow("gave number; it must give an app with a method fetch");
    await expect(make(ingress(async () => null))).rejects.toThrow("gave null; it must give an app");
    await expect(make(ingress(() => new Response("hi")))).rejects.toThrow("Write serve.ingress({ fetch: … })");
  });

  test("can be extended: constructor, fields, methods, fetch and hooks are those of the class", async () => {
    const ended: string[] = [];
    class Guarded extends ingress(answering("secret")) {
      readonly #key: unknown;
      readonly field = "kept";
      constructor(key: unknown) {
        super();
        this.#key = key;
      }
      override async fetch(request: Request): Promise<Response> {
        if (request.headers.get("authorization") !== this.#key) return new Response("no", { status: 401 });
        return super.fetch(request);
      }
      ping(): string {
        return `pong by ${this.field}`;
      }
      websocket(): string {
        return "own";
      }
      reconfigure(config: unknown): void {
        ended.push(`config ${String(config)}`);
      }
      checkHealth(): void {
        throw new Error("ill");
      }
      [Symbol.dispose](): void {
        ended.push("disposed");
      }
    }
    const made = await make(Guarded, "k");
    expect(made).toBeInstanceOf(Guarded);
    expect(await textOf(made)).toBe("no");
    expect(await (await made.fetch(new Request("http://x/", { headers: { authorization: "k" } }))).text()).toBe(
      "secret",
    );
    expect([made.ping(), made.websocket()]).toEqual(["pong by kept", "own"]);
    await reconfigure(made, "Guarded", 7);
    await expect(checkHealth(made)).rejects.toThrow("ill");
    await dispose(made);
    expect(ended).toEqual(["config 7", "disposed"]);
    expect(callableMethods(made)).toEqual(
      expect.arrayContaining(["fetch", "ping", "websocket", "reconfigure", "checkHealth"]),
    );
  });

  test("can be extended by a class with a static create, also of an app that comes later", async () => {
    for (const given of [answering("app"), async () => answering("app")]) {
      class Created extends ingress(given) {
        static async create(name: string): Promise<Created> {
          await Promise.resolve();
          return new Created(name);
        }
        hello(): string {
          return "hello";
        }
      }
      const made = await make(Created, "x");
      expect([made.hello(), await textOf(made)]).toEqual(["hello", "app"]);
    }
  });

  test("is a deployment that answers HTTP, and so is one that extends it", () => {
    class Extended extends ingress(answering("")) {}
    for (const target of [ingress(answering("")), Extended])
      expect(deployment(target) as unknown).toMatchObject({ kind: "class", answersHttp: true });
  });
});

describe("what an app has beside fetch", () => {
  class App implements FetchApp {
    readonly seen: unknown[] = [];
    fetch(): Response {
      return new Response("app");
    }
    websocket(...args: unknown[]): void {
      this.seen.push(["websocket", ...args]);
    }
    reconfigure(config: unknown): void {
      this.seen.push(["reconfigure", config]);
    }
    checkHealth(): void {
      throw new Error("ill");
    }
    recordRoutingStats(): Record<string, number> {
      return { load: this.seen.length };
    }
    async [Symbol.asyncDispose](): Promise<void> {
      this.seen.push("disposed");
    }
  }

  test.each([
    ["one that is there", (app: App) => app],
    ["one that is made", (app: App) => () => app],
    ["one that comes later", (app: App) => async () => app],
    ["one behind a proxy", (app: App) => new Proxy(app, {})],
  ])("is the deployment's: %s", async (_, given) => {
    const app = new App();
    const made = await make(ingress(given(app)));
    findMethod(made, "websocket")!.call(made, "socket", "request");
    await reconfigure(made, "App", { a: 1 });
    await expect(checkHealth(made)).rejects.toThrow("ill");
    expect(routingStatsOf(made)!()).toEqual({ load: 2 });
    await dispose(made);
    expect(app.seen).toEqual([["websocket", "socket", "request"], ["reconfigure", { a: 1 }], "disposed"]);
    expect(callableMethods(made)).toEqual(
      expect.arrayContaining(["fetch", "websocket", "reconfigure", "checkHealth", "recordRoutingStats"]),
    );
    expect(callableMethods(made)).not.toContain("recordAutoscalingStats");
  });

  test("can be called by super, and replaced in a constructor", async () => {
    const app = new App();
    const Base = ingress(app) as new () => FetchApp & { websocket(socket: unknown): void };
    class Extended extends Base {
      constructor() {
        super();
        Object.assign(this, { checkHealth: () => "well" });
      }
      override websocket(socket: unknown): void {
        super.websocket(`guarded ${String(socket)}`);
      }
    }
    const made = await make(Extended);
    made.websocket("socket");
    await checkHealth(made);
    expect(app.seen).toEqual([["websocket", "guarded socket"]]);
  });

  test.each([
    ["itty-router, which makes a route of any name", AutoRouter],
    ["Hono", () => new Hono()],
    ["h3", () => new H3()],
    ["what Bun is given, whose websocket is no method", () => ({ ...answering("app"), websocket: { message() {} } })],
  ])("is only what it really has: %s", async (_, app) => {
    const given = app() as FetchApp & { readonly routes?: unknown[] };
    const made = await make(ingress(given));
    for (const name of ["websocket", "acceptWebSocket", "reconfigure", "checkHealth"])
      expect(findMethod(made, name)).toBeUndefined();
    await checkHealth(made);
    await dispose(made);
    await expect(reconfigure(made, "App", 1)).rejects.toThrow("no method reconfigure");
    expect(routingStatsOf(made)).toBeUndefined();
    expect(callableMethods(made)).toEqual(["fetch"]);
    // Asking for a name makes a route of it.
    if (given.routes !== undefined) expect(given.routes).toEqual(AutoRouter().routes);
  });
});

describe("serve.ingress refuses, and says what to write,", () => {
  const router = AutoRouter();
  const h3 = new H3();
  const hono = new Hono();
  class Handler {
    handle(): void {}
  }
  test.each([
    ["the fetch of Hono", hono.fetch, "serve.ingress(app) instead of serve.ingress(app.fetch)"],
    ["the fetch of h3", h3.fetch, "serve.ingress(app) instead of serve.ingress(app.fetch)"],
    ["the fetch of itty-router", router.fetch, "serve.ingress(app) instead of serve.ingress(app.fetch)"],
    ["a class of apps", Hono, "Write serve.ingress(new Hono())"],
    ["a class that is no app", Handler, "Write serve.ingress(new Handler())"],
    ["a promise", Promise.resolve(hono), "Write serve.ingress(await app)"],
    ["an object without fetch", {}, "not an object. Write serve.ingress(new Hono())"],
    ["nothing", undefined, "not undefined. Write serve.ingress(new Hono())"],
  ])("%s", (_, given, remedy) => {
    expect(() => ingressClass(given)).toThrow(expect.objectContaining({ name: "ConfigError", path: "app" }));
    expect(() => ingressClass(given)).toThrow(remedy);
  });
});
