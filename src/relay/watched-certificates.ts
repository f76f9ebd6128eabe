// The certificates of the relay, read again when their files change, with a word about each in the log.

import type { Log } from "../admin/log.ts";
import type { Millis } from "../contract.ts";
import type { Certificate, Certificates } from "../dataplane/certificates.ts";

export interface Watch {
  /** Reads all files at once. */
  reload(): Promise<void>;
  stop(): void;
}

const watchMillis = 10_000;

export function watchCertificates(certificates: Certificates, log: Log, now: () => Millis): Watch {
  for (const certificate of certificates.certificates) tellOf(certificate, log, now());
  const renew = async (which: "changed" | "all") => {
    for (const { certificate, failed, files } of await certificates.renew(which)) {
      if (certificate) tellOf(certificate, log, now());
      else log.error("a new certificate is of no use: the old one stays", { file: files.certificate, reason: failed });
    }
  };
  const watch = setInterval(() => void renew("changed"), watchMillis).unref();
  return { reload: () => renew("all"), stop: () => clearInterval(watch) };
}

/** A name that clients can check the first certificate by. */
export function certifiedHost(certificates: Certificates | undefined): string | undefined {
  return certificates?.certificates[0]?.names.find((name) => !name.startsWith("*"));
}

function tellOf({ names, until }: Certificate, log: Log, now: Millis): void {
  const fields = { names: names.join(" "), until: new Date(until).toISOString() };
  if (until > now) log.info("certificate", fields);
  else log.warn("THE CERTIFICATE HAS EXPIRED: clients will not connect over TLS", fields);
}
