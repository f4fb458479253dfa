/** The names of targets as gRPC has them, and the addresses of the servers behind one. */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

import { invalid } from '../errors.js';

const DEFAULT_PORT = 443;
const DNS = /^(?:dns:(?:\/\/[^/]*\/)?)?(\[[^\]]+\]|[^:/[\]]+)(?::(\d{1,5}))?$/;
const ADDRESSES = /^(?:ipv4|ipv6):/;
const OTHERS = /^unix:/;

/** Where the servers of a service are found. */
export interface Target {
  /** What the certificates of the servers must carry, unless a name is given for it. */
  readonly host: string;
  /** What calls name as their authority, unless a name is given for it. */
  readonly authority: string;
  /** Find the addresses, each as a target of gRPC with one server. Rejects if there are none. */
  resolve(): Promise<readonly string[]>;
}

/** Read a target: `dns:///host:port` or `host:port`, `ipv4:…` and `ipv6:…` with addresses, or `unix:…`. */
export function parseTarget(target: string): Target {
  if (ADDRESSES.test(target)) return ofAddresses(target);
  if (OTHERS.test(target)) return { host: 'localhost', authority: 'localhost', resolve: async () => [target] };
  const [, name, port = DEFAULT_PORT] = DNS.exec(target) ?? [];
  if (name === undefined) throw invalid({ target: 'must be a target such as dns:///score-service:50051' });
  const host = name.replace(/^\[|\]$/g, '');
  return {
    host,
    authority: `${name}:${port}`,
    resolve: async () => {
      const found = await lookup(host, { all: true });
      return found.map(({ address, family }) => (family === 6 ? `ipv6:[${address}]:${port}` : `ipv4:${address}:${port}`));
    },
  };
}

/** Whether a name is an address. TLS names no server by one. */
export function isAddress(host: string): boolean {
  return isIP(host) !== 0;
}

function ofAddresses(target: string): Target {
  const scheme = target.slice(0, 5);
  const addresses = target.slice(5).split(',');
  const authority = addresses[0] ?? '';
  const host = authority.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  if (!addresses.every((address) => isAddress(address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')))) {
    throw invalid({ target: `must have addresses after ${scheme}` });
  }
  return { host, authority, resolve: async () => addresses.map((address) => scheme + address) };
}
