/** Certificates in PEM: parsed, who signed whom, when they expire, and when renewed ones take their place. */

import { createPrivateKey, X509Certificate } from 'node:crypto';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const BEGINNING = '-----BEGIN CERTIFICATE-----';

/** The contents of the three files of mutual TLS. */
export interface Pems {
  readonly authorities: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
}

/** The three files as they were read once, fit for use. They belong together. */
export class TlsFiles {
  readonly pems: Pems;
  readonly #trusted: readonly X509Certificate[];
  readonly #chain: readonly X509Certificate[];

  /** Throws an Error that says what is wrong with which of the files. */
  constructor(pems: Pems) {
    this.pems = pems;
    this.#trusted = parse(pems.authorities, 'The file of authorities');
    this.#chain = parse(pems.certificate, 'The certificate file');
    if (!this.#own.checkPrivateKey(parseKey(pems.key))) throw new Error('The key is not that of the certificate');
  }

  /** When the certificate became valid. */
  get notBefore(): Date {
    return new Date(this.#own.validFrom);
  }

  /** When the certificate expires, or one of its chain. */
  get notAfter(): Date {
    return new Date(Math.min(...this.#chain.map(endOf)));
  }

  /**
   * When the authority expires that is needed of those that are trusted. While an authority is replaced, the old one
   * and the new one are trusted, and the one that the own chain leads to is needed: the latest if several certificates
   * of its key are there. Where none signed the own chain, it is the earliest end of those that have not expired.
   */
  authorityNotAfter(now: number): Date {
    const signers = this.#trusted.filter((authority) => this.#chain.some((one) => isSignedBy(one, authority)));
    if (signers.length > 0) return new Date(Math.max(...signers.map(endOf)));
    const ends = this.#trusted.map(endOf);
    const holding = ends.filter((end) => now <= end);
    return new Date(holding.length > 0 ? Math.min(...holding) : Math.max(...ends));
  }

  /**
   * Return what to use now, where these files are in use and renewed ones were read.
   *
   * A server whose clock is behind rejects a certificate that has just become valid. So the one in use stays until the
   * renewed one has been valid for the delay, or until no more than the delay is left of the one in use. Changed
   * authorities are used at once, since whom to trust is no matter of clocks.
   */
  followedBy(renewed: TlsFiles, delayMs: number, now: number): TlsFiles {
    const activation = Math.min(renewed.notBefore.getTime() + delayMs, this.notAfter.getTime() - delayMs);
    if (now >= activation) return renewed;
    if (renewed.pems.authorities.equals(this.pems.authorities)) return this;
    return new TlsFiles({ ...this.pems, authorities: renewed.pems.authorities });
  }

  get #own(): X509Certificate {
    return this.#chain[0] as X509Certificate;
  }
}

function parse(pem: Buffer, name: string): readonly X509Certificate[] {
  const text = pem.toString('latin1');
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length !== text.split(BEGINNING).length - 1) throw new Error(`${name} is cut off`);
  try {
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block));
  } catch {
    // What OpenSSL says of it helps nobody.
  }
  throw new Error(`${name} is not a certificate in PEM`);
}

function parseKey(pem: Buffer): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error('The key file is not a private key in PEM, or is encrypted');
  }
}

function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function endOf(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}
