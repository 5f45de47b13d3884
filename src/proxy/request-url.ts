/** A name, an IPv4 address or an IPv6 address in brackets, and a port. */
const HOST = /^(?:[\w.~!$&'()*+,;=%-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?$/;
/** What a URL parser leaves as it is: no segment that begins with a dot, escaped or not, and no letter that it escapes. */
const PLAIN_TARGET = /^(?=\/)(?:[\w\-~!$&()*+,;=:@?.%]|\/(?!\.|%2[eE]))*$/;

/** The hosts that were asked for last: nearly all requests name the same one. */
const MAX_KNOWN = 100;
const known = new Map<string, string | undefined>();

/**
 * The URL of a request, as a URL parser would write it: `http://host/path?query`.
 *
 * @returns undefined if the host or the target cannot stand in one.
 */
export function requestUrl(scheme: "http" | "https", host: string, target: string): string | undefined {
  const origin = originOf(scheme, host);
  if (origin === undefined) return undefined;
  const url = origin + target;
  if (PLAIN_TARGET.test(target)) return url;
  return URL.parse(url)?.href;
}

/** `http://host`, in the form in which URLs have it. */
function originOf(scheme: "http" | "https", host: string): string | undefined {
  const text = `${scheme}://${host}`;
  if (known.has(text)) return known.get(text);
  const origin = HOST.test(host) ? URL.parse(text)?.origin : undefined;
  // Whoever sends another one each time makes the others pay for nothing but this.
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(text, origin);
  return origin;
}
