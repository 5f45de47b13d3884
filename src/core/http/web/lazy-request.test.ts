import { describe, expect, it } from "vitest";
import type { RequestScope } from "../../handle/context.ts";
import { lazyRequests } from "./lazy-request.ts";

const Native = globalThis.Request;
const { Request: StandIn, request, native } = lazyRequests(Native);

const head = {
  method: "POST",
  url: "http://host/a?b=%20",
  headers: [
    ["Host", "host"],
    ["Content-Type", "text/plain;charset=UTF-8"],
    ["X", "1"],
    ["x", "2"],
    ["cookie", "a=1"],
  ],
} as const;

function make(body?: string | Uint8Array | ReadableStream<Uint8Array>, method = "POST") {
  const controller = new AbortController();
  const scope = { signal: controller.signal, clientAddress: "1.2.3.4" } as Partial<RequestScope> as RequestScope;
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return { controller, request: request(scope, { ...head, method }, bytes) };
}
const stream = (text: string): ReadableStream<Uint8Array> => new Blob([text]).stream();
const platforms = (body: BodyInit | null = "body"): Request =>
  new Native(head.url, { method: "POST", headers: head.headers as never, body });

describe("a request is what the platform makes of the same head and body", () => {
  it("in all that can be asked of it", () => {
    const own = make("body").request;
    const other = platforms();
    const keys = Reflect.ownKeys(Native.prototype).filter((key) => {
      const { get } = Object.getOwnPropertyDescriptor(Native.prototype, key)!;
      return get !== undefined && key !== "signal" && key !== "headers" && key !== "body";
    });
    expect(keys.length).toBeGreaterThan(10);
    for (const key of keys) expect(Reflect.get(own, key), String(key)).toEqual(Reflect.get(other, key));
    expect([...own.headers]).toEqual([...other.headers]);
    expect(own.headers).toBe(own.headers);
  });

  it("by its class and its prototypes, both ways", () => {
    const own = make("body").request;
    expect(own).toBeInstanceOf(Native);
    expect(own).toBeInstanceOf(StandIn);
    expect(platforms()).toBeInstanceOf(StandIn);
    expect(Object.prototype.toString.call(own)).toBe("[object Request]");
    expect(own.constructor).toBe(StandIn);
    expect([StandIn.name, StandIn.length]).toEqual([Native.name, Native.length]);
    // @ts-expect-error an argument is missing
    expect(() => new StandIn()).toThrow(TypeError);
  });

  it.each(["whole", "streamed"])("its body, %s: text, JSON, bytes, forms, and only once", async (how) => {
    const of = (text: string) => make(how === "whole" ? text : stream(text)).request;
    expect(await of("t\u00ebxt").text()).toBe("t\u00ebxt");
    expect(await of("\ufeffmark").text()).toBe("mark");
    expect(await of('{"a":[1]}').json()).toEqual({ a: [1] });
    expect([...(await of("abc").bytes())]).toEqual([97, 98, 99]);
    expect((await of("abc").arrayBuffer()).byteLength).toBe(3);
    expect((await of("abc").blob()).type).toBe("text/plain;charset=utf-8");
    await expect(of("{").json()).rejects.toThrow(SyntaxError);
    const once = of("once");
    expect(once.bodyUsed).toBe(false);
    await once.text();
    expect(once.bodyUsed).toBe(true);
    for (const again of ["text", "json", "bytes", "arrayBuffer", "blob", "formData"] as const)
      await expect(once[again](), again).rejects.toThrow(TypeError);
    expect(() => once.clone()).toThrow(TypeError);
    expect(() => new StandIn(once)).toThrow(TypeError);
  });

  it("a body that there is not can be read any number of times", async () => {
    const own = make(undefined, "GET").request;
    expect([own.body, await own.text(), await own.text(), own.bodyUsed]).toEqual([null, "", "", false]);
    await expect(own.json()).rejects.toThrow(SyntaxError);
    expect(own.clone().body).toBeNull();
  });

  it("its body as a stream", async () => {
    const own = make("streamed").request;
    expect(own.body).toBe(own.body);
    const chunks: Uint8Array[] = [];
    for await (const chunk of own.body!) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("streamed");
    expect(own.bodyUsed).toBe(true);
    await expect(own.text()).rejects.toThrow(TypeError);
  });
});

describe("copies", () => {
  it("clones, clones of clones and new requests have the body, the headers and the signal", async () => {
    const { request: own, controller } = make("body");
    own.headers.set("x-late", "1");
    const clone = own.clone();
    const second = clone.clone();
    const copy = new StandIn(second, { headers: { only: "this" } });
    const plain = new StandIn(own);
    expect([...clone.headers]).toEqual([...own.headers]);
    expect([...copy.headers.keys()]).toContain("only");
    expect([await plain.text(), await clone.text(), await copy.text()]).toEqual(["body", "body", "body"]);
    expect(own.bodyUsed).toBe(true);
    controller.abort(new DOMException("gone", "AbortError"));
    for (const each of [own, clone, second, copy, plain])
      expect([each.signal.aborted, (each.signal.reason as Error).name]).toEqual([true, "AbortError"]);
  });

  it("a class that extends it, and other input than a lazy one", async () => {
    class Mine extends StandIn {
      readonly mine = true;
    }
    const mine = new Mine(make("mine").request);
    expect([mine.mine, mine.method, await mine.text(), mine instanceof Native]).toEqual([true, "POST", "mine", true]);
    expect(new StandIn("http://a/b").url).toBe("http://a/b");
    expect(new StandIn(platforms(null)).url).toBe(head.url);
  });

  it("what the platform itself is to have is its own object", () => {
    const { request: own } = make("body");
    expect(() => new Native(own)).toThrow();
    expect(new Native(native(own))).toBeInstanceOf(Native);
    expect(native("text")).toBe("text");
  });
});

it("tells the client's address as servers for fetch handlers do", () => {
  expect((make().request as Request & { ip?: string }).ip).toBe("1.2.3.4");
});
