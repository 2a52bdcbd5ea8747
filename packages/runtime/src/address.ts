/**
 * Whose request it is: the address behind trusted proxies, networks it may be in, and the key by
 * which its rate is limited.
 */
import ipaddr from "ipaddr.js";

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
export type Networks = readonly [Address, number][];

/** Entries of the header that are looked at, from the right. */
const hopsMax = 20;

export function isNetwork(text: string): boolean {
  return ipaddr.isValidCIDR(text) || isAddress(text);
}

function isAddress(text: string): boolean {
  // The library also takes octal, hexadecimal and shortened forms, which mean nothing good here.
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
}

/** Each item is a network in CIDR notation, or one address; checked with `isNetwork`. */
export function parseNetworks(items: readonly string[]): Networks {
  return items.map((item) => {
    if (ipaddr.isValidCIDR(item)) return ipaddr.parseCIDR(item);
    const address = ipaddr.process(item);
    return [address, address.kind() === "ipv4" ? 32 : 128];
  });
}

export function isWithin(address: Address, networks: Networks): boolean {
  return networks.some(
    ([network, bits]) => network.kind() === address.kind() && address.match(network, bits),
  );
}

/** IPv4 written as IPv6 counts as IPv4. Null: no address at all. */
export function parseAddress(text: string): Address | null {
  const bare = withoutPort(text.trim());
  return isAddress(bare) ? ipaddr.process(bare) : null;
}

function withoutPort(text: string): string {
  const bracketed = /^\[([^\]]+)\](:\d+)?$/.exec(text)?.[1];
  if (bracketed !== undefined) return bracketed;
  return /^\d+\.\d+\.\d+\.\d+:\d+$/.test(text) ? text.slice(0, text.indexOf(":")) : text;
}

/**
 * The rightmost address that is not a trusted proxy's. What a peer that we do not trust says in
 * the header does not count; nor does what stands left of an entry that is no address.
 */
export function clientAddress(
  peer: Address,
  forwardedFor: string | null,
  trusted: Networks,
): Address {
  if (forwardedFor === null) return peer;
  let client = peer;
  for (const hop of forwardedFor.split(",").slice(-hopsMax).toReversed()) {
    if (!isWithin(client, trusted)) return client;
    const address = parseAddress(hop);
    if (address === null) return client;
    client = address;
  }
  return client;
}

/** One IPv4 address, or the /64 of an IPv6 address: a single customer has all of that. */
export function limitKey(address: Address): string {
  if (address.kind() === "ipv4") return address.toString();
  const network = address.toByteArray().slice(0, 8);
  return Buffer.from(network).toString("hex");
}
