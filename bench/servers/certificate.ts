// A certificate for servers that are asked over TLS, made for the run.

import { spawnSync } from "node:child_process";
import { join } from "node:path";

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** P-256, for whoever asks: the generator does not look at names. */
export function makeCertificate(folder: string): CertificateFiles {
  const [certificate, key] = [join(folder, "bench.crt"), join(folder, "bench.key")];
  const { status, error, stderr } = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
    ...["-subj", "/CN=bench", "-keyout", key, "-out", certificate],
  ]);
  if (status !== 0) throw new Error(`no certificate for the run: ${error?.message ?? stderr}`);
  return { certificate, key };
}
