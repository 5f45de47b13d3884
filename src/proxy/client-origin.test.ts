import { describe, expect, it } from "vitest";
import { clientOrigin } from "./client-origin.ts";
import { TrustedProxies } from "./trusted-proxies.ts";

const from = (address: string) => ({ address, scheme: "http" as const, host: "inside:8000" });
const trusted = new TrustedProxies(["10.0.0.0/8", "192.168.1.7", "fd00::/8"]);

describe("H4: who the client is", () => {
  it("whoever connects, if nobody is trusted, whatever it says", () => {
    const forwarded = { for: "1.1.1.1", proto: "https", host: "evil", prefix: "/x" };
    for (const proxies of [trusted, new TrustedProxies([])])
      expect(clientOrigin(from("9.9.9.9"), { forwarded }, proxies)).toEqual({
        ...from("9.9.9.9"),
        forwardedFor: "9.9.9.9",
        prefix: "",
      });
  });

  it("the first behind the trusted ones; what it says of others is passed on, and not believed", () => {
    const forwarded = { for: "6.6.6.6, 1.2.3.4, 10.1.1.1" };
    expect(clientOrigin(from("10.0.0.1"), { forwarded }, trusted)).toMatchObject({
      address: "1.2.3.4",
      forwardedFor: "6.6.6.6, 1.2.3.4, 10.1.1.1, 10.0.0.1",
    });
  });

  it("the farthest, if all are trusted; the nearest, if it says nothing", () => {
    expect(clientOrigin(from("192.168.1.7"), { forwarded: { for: "10.3.3.3, 10.2.2.2" } }, trusted).address).toBe(
      "10.3.3.3",
    );
    expect(clientOrigin(from("10.0.0.1"), { forwarded: { proto: "https" } }, trusted)).toMatchObject({
      address: "10.0.0.1",
      scheme: "https",
    });
    expect(clientOrigin(from("10.0.0.1"), { forwarded: undefined }, trusted).address).toBe("10.0.0.1");
  });

  it("IPv6, ports, and what is no address", () => {
    const forwarded = { for: "[2001:db8::1]:4711, unknown, 10.9.9.9:80" };
    expect(clientOrigin(from("fd00::1"), { forwarded }, trusted)).toMatchObject({
      address: "unknown",
      forwardedFor: "2001:db8::1, unknown, 10.9.9.9, fd00::1",
    });
  });

  it("scheme, host and prefix of a trusted one, if they are such", () => {
    const of = (forwarded: object) => clientOrigin(from("10.0.0.1"), { forwarded }, trusted);
    expect(of({ proto: "HTTPS, http", host: "shop.example", prefix: "/eu/shop/" })).toMatchObject({
      scheme: "https",
      host: "shop.example",
      prefix: "/eu/shop",
    });
    expect(of({ proto: "ftp", host: "", prefix: "//evil.example" })).toMatchObject({
      scheme: "http",
      host: "inside:8000",
      prefix: "",
    });
  });
});
