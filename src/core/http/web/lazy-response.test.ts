import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lazyResponses } from "./lazy-response.ts";

const Native = globalThis.Response;
const { Response: Lazy, take } = lazyResponses(Native);

/** Everything that can be seen of a response, or the error that it is. */
async function seen(make: () => Response): Promise<unknown> {
  try {
    const response = make();
    const { status, statusText, ok, type, url, redirected, bodyUsed } = response;
    const headers = [...response.headers];
    const copy = response.clone();
    const isEmpty = response.body === null;
    const text = await response.text();
    const again = await response.text().then(
      () => "read again",
      (error: Error) => error.name,
    );
    return [
      [status, statusText, ok, type, url, redirected, bodyUsed, headers, isEmpty, text, response.bodyUsed, again],
      [copy.status, copy.statusText, [...copy.headers], [...(await copy.bytes())]],
    ];
  } catch (error) {
    return (error as Error).name;
  }
}

const bodies: [string, () => unknown][] = [
  ["nothing", () => undefined],
  ["null", () => null],
  ["a text", () => "tëxt"],
  ["an empty text", () => ""],
  ["half a surrogate", () => "\ud800"],
  ["bytes", () => Uint8Array.of(1, 255, 0)],
  ["a part of a buffer", () => new Uint8Array([1, 2, 3, 4]).subarray(1, 3)],
  ["a Buffer", () => Buffer.from("buffer")],
  ["an ArrayBuffer", () => Uint8Array.of(7).buffer],
  ["another view", () => new Uint16Array([1, 2])],
  ["a Blob", () => new Blob(["blob"], { type: "text/x-blob" })],
  ["a form", () => new URLSearchParams({ a: "1" })],
  ["a stream", () => new Blob(["stream"]).stream()],
  ["an object", () => ({ toString: () => "an object" })],
  ["a number", () => 12],
];
const inits: [string, () => unknown][] = [
  ["nothing", () => undefined],
  ["null", () => null],
  ["an empty object", () => ({})],
  ["a status", () => ({ status: 404 })],
  ["a status with a reason", () => ({ status: 599, statusText: "Nö way" })],
  ["a status as a text", () => ({ status: "201" })],
  ["a status that is none", () => ({ status: 199 })],
  ["a status beyond", () => ({ status: 600 })],
  ["a fraction", () => ({ status: 200.5 })],
  ["a status without a body", () => ({ status: 204 })],
  ["another one", () => ({ status: 304, headers: { etag: "1" } })],
  ["a reason with a line break", () => ({ statusText: "a\r\nb" })],
  ["a reason that is no byte", () => ({ statusText: "\u65e5" })],
  ["headers", () => ({ headers: { "X-One": " 1\t", b: "", "set-cookie": "a=1" } })],
  [
    "header pairs",
    () => ({
      headers: [
        ["X", "1"],
        ["y", "2"],
      ],
    }),
  ],
  [
    "a header twice",
    () => ({
      headers: [
        ["X", "1"],
        ["x", "2"],
      ],
    }),
  ],
  [
    "cookies",
    () => ({
      headers: [
        ["Set-Cookie", "a=1"],
        ["set-cookie", "b=2"],
      ],
    }),
  ],
  ["a pair of three", () => ({ headers: [["a", "1", "2"]] })],
  ["a type of its own", () => ({ headers: { "Content-Type": "text/x-own" } })],
  ["a value with a line break", () => ({ headers: { a: "1\r\nb: 2" } })],
  ["a value with a NUL", () => ({ headers: { a: "1\0" } })],
  ["a value that is no byte", () => ({ headers: { a: "\u65e5" } })],
  ["a Latin value", () => ({ headers: { a: "\u00e9" } })],
  ["a control character", () => ({ headers: { a: "1\u0001" } })],
  ["a name with a space", () => ({ headers: { "a b": "1" } })],
  ["an empty name", () => ({ headers: { "": "1" } })],
  ["a number for a value", () => ({ headers: { a: 1 } })],
  [
    "Headers",
    () => ({
      headers: new Headers([
        ["b", "1"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
      ]),
    }),
  ],
  ["a Map", () => ({ headers: new Map([["a", "1"]]) })],
  ["another response", () => new Native("other", { status: 418, headers: { a: "1" } })],
  ["a text", () => "text"],
];

describe("a response is what the platform makes of the same arguments", () => {
  it.each(bodies)("%s", async (_name, body) => {
    for (const [what, init] of inits) {
      const args = () => [body(), init()] as [BodyInit, ResponseInit];
      expect(await seen(() => new Lazy(...args())), what).toEqual(await seen(() => new Native(...args())));
    }
  });

  it("Response.json, redirect and error", async () => {
    const values = [{ a: [1, null] }, "text", 1, null, undefined, () => {}];
    for (const value of values) {
      for (const [what, init] of inits)
        expect(await seen(() => Lazy.json(value, init() as ResponseInit)), what).toEqual(
          await seen(() => Native.json(value, init() as ResponseInit)),
        );
    }
    const circular: unknown[] = [];
    circular.push(circular);
    expect(() => Lazy.json(circular)).toThrow(TypeError);
    expect(await seen(() => Lazy.redirect("http://a/b", 307))).toEqual(
      await seen(() => Native.redirect("http://a/b", 307)),
    );
    expect(Lazy.error().type).toBe("error");
  });

  it("whatever the names, values, statuses and texts", async () => {
    const text = fc.string({ unit: "binary", maxLength: 8 });
    const headers = fc.oneof(
      fc.array(fc.tuple(text, text), { maxLength: 4 }),
      fc.dictionary(text, text, { maxKeys: 4 }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.option(text, { nil: null }),
        fc.record({ status: fc.integer({ min: 195, max: 605 }), statusText: text, headers }, { requiredKeys: [] }),
        async (body, init) => {
          expect(await seen(() => new Lazy(body, init))).toEqual(await seen(() => new Native(body, init)));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("it cannot be told from the platform's own", () => {
  it("by its class, its prototypes, or a class that extends it", async () => {
    const response = new Lazy("text");
    expect(response).toBeInstanceOf(Native);
    expect(response).toBeInstanceOf(Lazy);
    expect(new Native("text")).toBeInstanceOf(Lazy);
    expect(Object.prototype.toString.call(response)).toBe("[object Response]");
    expect(response.constructor).toBe(Lazy);
    expect([Lazy.name, Lazy.length]).toEqual([Native.name, Native.length]);
    // @ts-expect-error a class is not called
    expect(() => Lazy("text")).toThrow(TypeError);
    class Mine extends Lazy {
      readonly mine = true;
    }
    const mine = new Mine("mine", { status: 201 });
    expect([mine.mine, mine.status, await mine.text(), mine instanceof Native]).toEqual([true, 201, "mine", true]);
  });

  it("by what is done with it: forms, blobs, streams, readers", async () => {
    const make = () => new Lazy("a=1", { headers: { "content-type": "application/x-www-form-urlencoded" } });
    expect((await make().formData()).get("a")).toBe("1");
    expect((await make().blob()).type).toBe("application/x-www-form-urlencoded");
    expect(new Uint8Array(await make().arrayBuffer())).toEqual(Uint8Array.from(Buffer.from("a=1")));
    const response = make();
    const reader = response.body!.getReader();
    expect(response.body).toBe(response.body);
    expect(response.body!.locked).toBe(true);
    expect(Buffer.from((await reader.read()).value!).toString()).toBe("a=1");
    expect(response.bodyUsed).toBe(true);
    expect(() => response.clone()).toThrow(TypeError);
    await expect(new Lazy("{").json()).rejects.toThrow(SyntaxError);
  });

  it("changes of its headers reach its copies and the client, whenever they are made", async () => {
    const response = new Lazy("text", { headers: { a: "1" } });
    response.headers.append("set-cookie", "x=1");
    response.headers.append("set-cookie", "y=2");
    const copy = response.clone();
    response.headers.set("a", "2");
    expect([...copy.headers]).toEqual([
      ["a", "1"],
      ["content-type", "text/plain;charset=UTF-8"],
      ["set-cookie", "x=1"],
      ["set-cookie", "y=2"],
    ]);
    response.headers.delete("content-type");
    expect([...response.clone().headers.keys()]).toEqual(["a", "set-cookie", "set-cookie"]);
    const other = new Lazy("text", { headers: { a: "1" } });
    other.headers.set("a", "2");
    expect(take(other)).toMatchObject({ headers: expect.arrayContaining([["a", "2"]]), body: "text" });
  });

  it("bytes that are changed afterwards stay as they were", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const response = new Lazy(bytes);
    bytes.fill(9);
    expect(take(response)!.body).toEqual(Uint8Array.of(1, 2, 3));
  });
});

describe("what it was made of", () => {
  it("is taken once, and its body is used from then on", async () => {
    const response = new Lazy("text", { status: 201 });
    expect(take(response)).toEqual({
      status: 201,
      statusText: "",
      headers: [["content-type", "text/plain;charset=UTF-8"]],
      body: "text",
    });
    expect(response.bodyUsed).toBe(true);
    expect(take(response)).toBeUndefined();
    await expect(response.text()).rejects.toThrow(TypeError);
    expect(() => response.clone()).toThrow(TypeError);
  });

  it("is not taken where somebody has the platform's own object in his hands, or where it never was a lazy one", () => {
    const touched = new Lazy("text");
    void touched.body;
    const native = new Native("text");
    const streamed = new Lazy(new Blob(["stream"]).stream());
    for (const response of [touched, native, streamed, {}]) expect(take(response)).toBeUndefined();
  });
});
