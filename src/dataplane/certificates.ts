// The certificates that TLS clients are shown: kept in files, found by the name that a client asks for (SNI, RFC 6066
// section 3), and read again when the files have changed.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import { type Millis, Unavailable } from "../contract.ts";
import { reasonOf } from "../thrown.ts";

/** Paths of PEM files. */
export interface CertificateFiles {
  /** With the chain behind it, if there is one. */
  readonly certificate: string;
  readonly key: string;
  /** Lower-case DNS names, or `*.` and one. None: those in the certificate. */
  readonly names: readonly string[];
}

export interface Certificate {
  readonly names: readonly string[];
  readonly until: Millis;
  readonly context: SecureContext;
  /** What it was made from, in PEM. */
  readonly pem: { readonly chain: string; readonly key: string };
}

/** Takes certificates into use, or says what is wrong with them. */
export type Show = (certificates: readonly Certificate[]) => string | undefined;

/** What became of files that had changed. The certificate that was there before stays when it `failed`. */
export interface Renewal {
  readonly files: CertificateFiles;
  readonly certificate?: Certificate;
  readonly failed?: string;
}

/** Throws an `Error` that says what is wrong with the two texts. */
export function certificateFrom(certificate: string, key: string, names: readonly string[]): Certificate {
  const leaf = fromPem("CERTIFICATE", certificate, (pem) => new X509Certificate(pem));
  const leafKey = fromPem("PRIVATE KEY", key, createPrivateKey);
  if (!leaf.checkPrivateKey(leafKey)) throw new Error("the key is not the certificate's");
  return {
    names: names.length > 0 ? names : namesIn(leaf),
    until: Date.parse(leaf.validTo),
    context: createSecureContext({ cert: certificate, key, minVersion: "TLSv1.2", honorCipherOrder: true }),
    pem: { chain: certificate, key },
  };
}

/** OpenSSL says "no start line" of a file that is not what it is taken for, and not which one. */
function fromPem<Read>(label: string, text: string, read: (pem: string) => Read): Read {
  if (!text.includes(`${label}-----`)) throw new Error(`there is no -----BEGIN ${label}----- where it should be`);
  return read(text);
}

/** Of kind DNS among the subject's alternative names. One with anything unusual in it is quoted, and left out. */
function namesIn({ subjectAltName = "" }: X509Certificate): string[] {
  return [...subjectAltName.matchAll(/(?:^|, )DNS:([*\w.-]+)/g)].map(([, name = ""]) => name.toLowerCase());
}

interface Shown {
  readonly files: CertificateFiles;
  certificate: Certificate;
  /** Of the files as they were last read, whether or not something came of it. */
  stamp: string;
}

export class Certificates {
  readonly #shown: readonly Shown[];
  readonly #shows: Show[] = [];

  /** Throws `Unavailable` when one is not to be had. There has to be at least one. */
  static async open(all: readonly CertificateFiles[]): Promise<Certificates> {
    const shown = all.map(async (files) => {
      try {
        const stamp = await stampOf(files);
        return { files, stamp, certificate: await read(files) };
      } catch (cause) {
        throw new Unavailable(`cannot use the certificate ${files.certificate}: ${reasonOf(cause)}`, { cause });
      }
    });
    return new Certificates(await Promise.all(shown));
  }

  private constructor(shown: readonly Shown[]) {
    this.#shown = shown;
  }

  get certificates(): readonly Certificate[] {
    return this.#shown.map(({ certificate }) => certificate);
  }

  /** Whether a certificate is for this name. */
  isFor(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** The first one for who asks for no name, or for one that we do not have. */
  contextFor(name: string): SecureContext {
    const { context } = this.#find(name) ?? this.#shown[0]?.certificate ?? {};
    if (!context) throw new Unavailable("there is no certificate");
    return context;
  }

  /** Has others show the certificates of now, and every renewal. Says what is wrong with those of now, if anything is. */
  showWith(show: Show): string | undefined {
    this.#shows.push(show);
    return show(this.certificates);
  }

  /** Reads the files that have changed, or all of them. Connections that stand keep what they have. */
  async renew(which: "changed" | "all"): Promise<Renewal[]> {
    const renewals = await Promise.all(this.#shown.map((shown) => this.#renew(shown, which)));
    return renewals.filter((renewal) => renewal !== undefined);
  }

  #find(name: string): Certificate | undefined {
    const exact = name.toLowerCase();
    const wildcard = exact.replace(/^[^.]*/, "*");
    const has = (wanted: string) => this.certificates.find(({ names }) => names.includes(wanted));
    return has(exact) ?? has(wildcard);
  }

  async #renew(shown: Shown, which: "changed" | "all"): Promise<Renewal | undefined> {
    const { files, certificate: former } = shown;
    const stamp = await stampOf(files).catch(reasonOf);
    if (which === "changed" && stamp === shown.stamp) return undefined;
    shown.stamp = stamp;
    try {
      shown.certificate = await read(files);
    } catch (error) {
      return { files, failed: reasonOf(error) };
    }
    const failed = this.#shows.map((show) => show(this.certificates)).find((why) => why !== undefined);
    if (failed === undefined) return { files, certificate: shown.certificate };
    shown.certificate = former;
    return { files, failed };
  }
}

async function read({ certificate, key, names }: CertificateFiles): Promise<Certificate> {
  const [certificateText, keyText] = await Promise.all([certificate, key].map((path) => readFile(path, "utf8")));
  return certificateFrom(certificateText ?? "", keyText ?? "", names);
}

/** Other bytes have another stamp, whether a file was written over or another one was put in its place. */
async function stampOf({ certificate, key }: CertificateFiles): Promise<string> {
  const stats = await Promise.all([certificate, key].map((path) => stat(path)));
  return stats.map(({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`).join();
}
