import type { HeadFields } from "./request-head.ts";
import type { TrustedProxies } from "./trusted-proxies.ts";

/** Where a request comes from, and how its client has addressed it, seen through the proxies that are trusted. */
export interface ClientOrigin {
  readonly address: string;
  /** Every address on the way here, the client's first. */
  readonly forwardedFor: string;
  readonly scheme: "http" | "https";
  readonly host: string;
  /** What proxies in front have taken off the path. */
  readonly prefix: string;
}

/** An address and perhaps a port, as proxies write both. */
const WITH_PORT = /^(?:\[([\da-fA-F:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)$/;

/** Whoever is not trusted is the client itself: what it says of others is not looked at. */
export function clientOrigin(
  peer: { readonly address: string; readonly scheme: "http" | "https"; readonly host: string },
  { forwarded }: Pick<HeadFields, "forwarded">,
  trusted: TrustedProxies,
): ClientOrigin {
  const { address, scheme, host } = peer;
  if (forwarded === undefined || !trusted.has(address))
    return { address, forwardedFor: address, scheme, host, prefix: "" };
  const hops = [...listOf(forwarded.for).map(withoutPort), address];
  // From the near end on: the first that nobody vouches for is the client, and what stands before it is its own word.
  const known = hops.findLastIndex((hop) => !trusted.has(hop));
  const proto = listOf(forwarded.proto)[0]?.toLowerCase();
  return {
    address: hops[Math.max(known, 0)]!,
    forwardedFor: hops.join(", "),
    scheme: proto === "http" || proto === "https" ? proto : scheme,
    host: listOf(forwarded.host)[0] ?? host,
    prefix: cleanPrefix(forwarded.prefix ?? ""),
  };
}

function listOf(value: string | undefined): string[] {
  return (value ?? "")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

function withoutPort(address: string): string {
  const match = WITH_PORT.exec(address);
  return match?.[1] ?? match?.[2] ?? address;
}

/** A prefix that could lead a redirect to another host is none. */
function cleanPrefix(prefix: string): string {
  return /^(?:\/[\w.~!$&'()*+,;=:@%-]+)+\/?$/.test(prefix) ? prefix.replace(/\/$/, "") : "";
}
