// What TLS and DTLS listeners need: a certificate and its key that belong together, and that this process may read.

import { readFileSync } from "node:fs";
import { certificateFrom } from "../dataplane/certificates.ts";
import { reasonOf } from "../thrown.ts";
import type { Config } from "./config.ts";
import type { Path } from "./mistakes.ts";

export function certificateMistakes({ listen, tls }: Config): { path: Path; message: string }[] {
  const listener = listen.findIndex(({ transport }) => ["tls", "dtls", "any"].includes(transport));
  const unreadable = tls.flatMap(({ certificate, key, names }, index) => {
    try {
      certificateFrom(readFileSync(certificate, "utf8"), readFileSync(key, "utf8"), names);
      return [];
    } catch (error) {
      return [{ path: ["tls", index], message: `cannot use the certificate: ${reasonOf(error)}` }];
    }
  });
  if (listener >= 0 && tls.length === 0)
    return [{ path: ["listen", listener], message: "needs a certificate: see tls" }];
  if (listener < 0 && tls.length > 0)
    unreadable.push({ path: ["tls"], message: "no listener takes TLS or DTLS: see listen" });
  return unreadable;
}
