/** Whether a text names an address, IPv4 or IPv6, or a network of them: an address and how many of its bits count. */
export function isNetwork(text: string): boolean {
  const [address, bits, ...more] = text.split("/") as [string, string?, ...string[]];
  const width = isIPv4(address) ? 32 : isIPv6(address) ? 128 : undefined;
  if (width === undefined || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= width);
}

function isIPv4(address: string): boolean {
  return /^(?:\d{1,3}\.){3}\d{1,3}$/.test(address) && address.split(".").every((part) => Number(part) <= 255);
}

/** A URL takes an IPv6 address and nothing else between brackets. */
function isIPv6(address: string): boolean {
  return /^[\da-fA-F:.]+$/.test(address) && address.includes(":") && URL.canParse(`http://[${address}]`);
}
