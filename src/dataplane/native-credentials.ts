// What the native plane's threads show clients over TLS and DTLS: the certificates of now, and every renewal.

import { DEFAULT_CIPHERS } from "node:tls";
import { Unavailable } from "../contract.ts";
import type { Certificates } from "./certificates.ts";
import type { Engine } from "./native-addon.ts";
import type { Flushes } from "./native-flushes.ts";

/** Those of Node. Tags of 64 bits are for machines too small to relay anything. */
const ciphers = `${DEFAULT_CIPHERS}:!AESCCM8`;

export class NativeCredentials {
  readonly #engine: Engine;
  readonly #certificates: Certificates | undefined;
  readonly #flushes: Flushes;
  #areShown = false;

  constructor(engine: Engine, certificates: Certificates | undefined, flushes: Flushes) {
    this.#engine = engine;
    this.#certificates = certificates;
    this.#flushes = flushes;
  }

  /** Before there is a listener for whom they are for. Throws `Unavailable` where threads cannot. */
  show(): void {
    if (this.#areShown) return;
    if (!this.#certificates) throw new Unavailable("there is no certificate");
    if (!/^[3-9]\./.test(process.versions.openssl ?? ""))
      throw new Unavailable("this Node is not built with OpenSSL 3");
    const why = this.#certificates.showWith((all) => {
      const shown = all.map(({ names, pem }) => ({ names, ...pem }));
      const wrong = this.#engine.show(shown, ciphers);
      this.#flushes.now(false);
      return wrong;
    });
    if (why !== undefined) throw new Unavailable(`the native plane cannot use the certificates: ${why}`);
    this.#areShown = true;
  }
}
