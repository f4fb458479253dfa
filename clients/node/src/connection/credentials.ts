/**
 * Where the three PEM files of mutual TLS lie, and how they are read as one set.
 *
 * Files are replaced one after the other, or all at once behind a link, so a reading may catch a new certificate beside
 * an old key. A reading is therefore used only if the three files stayed the same while they were read.
 */

import { readFile, stat } from 'node:fs/promises';

import { CredentialsError } from '../errors.js';
import { TlsFiles } from './certificates.js';
import type { Pems } from './certificates.js';

/** How often files that change meanwhile are read before the next look. */
const READINGS = 5;

/** Where the client's certificate lies, and whom it trusts. */
export interface ClientCredentials {
  /** The authorities that may sign the service's certificate. */
  readonly caFile: string | URL;
  /** The client's certificate, followed by its chain. Its one SPIFFE URI is the client's identity. */
  readonly certificateFile: string | URL;
  /** The certificate's private key, not encrypted. */
  readonly keyFile: string | URL;
}

/** One reading of the files. */
export interface Reading {
  /** Tells this state of the files from any later one. */
  readonly fingerprint: string;
  readonly files: TlsFiles;
}

/** Return this state of the files, without reading them. Rejects with CredentialsError if one is missing. */
export async function fingerprint(credentials: ClientCredentials): Promise<string> {
  const { caFile, certificateFile, keyFile } = credentials;
  return JSON.stringify(await Promise.all([caFile, certificateFile, keyFile].map(stamp)));
}

/** Read the files. Rejects with CredentialsError if they cannot be used. */
export async function load(credentials: ClientCredentials): Promise<Reading> {
  for (let reading = 0; reading < READINGS; reading += 1) {
    const seen = await fingerprint(credentials);
    const { caFile, certificateFile, keyFile } = credentials;
    const [authorities, certificate, key] = await Promise.all([read(caFile), read(certificateFile), read(keyFile)]);
    if ((await fingerprint(credentials)) === seen) {
      return { fingerprint: seen, files: parse({ authorities, certificate, key }) };
    }
  }
  throw unusable('The certificate files changed while they were read');
}

async function stamp(path: string | URL): Promise<string[]> {
  const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true }).catch(rethrow);
  return [dev, ino, size, mtimeNs].map(String);
}

async function read(path: string | URL): Promise<Buffer> {
  return await readFile(path).catch(rethrow);
}

function parse(pems: Pems): TlsFiles {
  try {
    return new TlsFiles(pems);
  } catch (error) {
    throw unusable((error as Error).message);
  }
}

function rethrow(error: Error): never {
  throw unusable(`The certificate files cannot be used: ${error.message}`);
}

function unusable(message: string): CredentialsError {
  return new CredentialsError('CREDENTIALS_UNUSABLE', `${message}.`);
}
