import { BlockList, isIP } from "node:net";

/** Which addresses are proxies in front whose word about the client counts. */
export class TrustedProxies {
  readonly #list: BlockList | undefined;

  /** @param given addresses, and networks as `10.0.0.0/8`; checked already. */
  constructor(given: readonly string[]) {
    if (given.length === 0) return;
    this.#list = new BlockList();
    for (const entry of given) {
      const [address, bits] = entry.split("/") as [string, string?];
      if (bits === undefined) this.#list.addAddress(address, familyOf(address));
      else this.#list.addSubnet(address, Number(bits), familyOf(address));
    }
  }

  has(address: string): boolean {
    return this.#list !== undefined && isIP(address) !== 0 && this.#list.check(address, familyOf(address));
  }
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return address.includes(":") ? "ipv6" : "ipv4";
}
