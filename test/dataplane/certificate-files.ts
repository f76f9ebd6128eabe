// Certificates for tests, made by openssl, in a folder of their own.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type CertificateFiles, Certificates } from "../../src/dataplane/certificates.ts";

/** A folder that is gone when the test is over. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-tls-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** For planes whose clients do not look at them. */
export async function someCertificates(): Promise<Certificates> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-tls-"));
  try {
    return await Certificates.open([makeCertificate(folder, ["relay.example.org"])]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A self-signed certificate for these names, and its key; written over the files that were there. */
export function makeCertificate(folder: string, names: readonly string[], file = "relay"): CertificateFiles {
  const [certificate, key] = [join(folder, `${file}.crt`), join(folder, `${file}.key`)];
  const { status, stderr } = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
    ...["-subj", `/CN=${names[0]}`, "-addext", `subjectAltName=${names.map((name) => `DNS:${name}`).join()}`],
    ...["-keyout", key, "-out", certificate],
  ]);
  if (status !== 0) throw new Error(`openssl: ${stderr}`);
  return { certificate, key, names: [] };
}
