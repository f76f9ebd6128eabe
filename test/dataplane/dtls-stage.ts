// Native planes that speak DTLS with certificates of their own, and clients that connect to them.

import type { Listener, PlaneOptions } from "../../src/contract.ts";
import { Certificates } from "../../src/dataplane/certificates.ts";
import { nativePlane } from "../../src/dataplane/native.ts";
import { type DtlsLimits, dtlsLimits } from "../../src/dataplane/native-dtls.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { makeCertificate, newFolder } from "./certificate-files.ts";
import { DtlsEnd, type DtlsOptions } from "./dtls-client.ts";
import { Rig } from "./rig.ts";

export const message = Buffer.from(
  encode({ class: "request", method: Method.binding, transactionId: Buffer.alloc(12, 5), attributes: {} }),
);

/** Everybody at once: what the limit is for is tested where it is lowered. */
export const generous: DtlsLimits = { ...dtlsLimits, begun: { perAddress: 1e6, inTotal: 1e6 } };

export class DtlsStage {
  readonly folder: string;
  readonly certificates: Certificates;
  readonly #threads: number;
  readonly #rigs: Rig[] = [];

  constructor(folder: string, certificates: Certificates, threads: number) {
    this.folder = folder;
    this.certificates = certificates;
    this.#threads = threads;
  }

  static async open(threads: number): Promise<DtlsStage> {
    const folder = newFolder();
    const certificates = await Certificates.open([
      makeCertificate(folder, ["relay.example.org"]),
      makeCertificate(folder, ["other.example", "*.wild.example"], "other"),
    ]);
    return new DtlsStage(folder, certificates, threads);
  }

  rigOf(limits: Partial<DtlsLimits> = {}, options: Partial<PlaneOptions> = {}): Rig {
    const make = (given: PlaneOptions, clock: BigInt64Array<ArrayBuffer>) => {
      const dtls = { ...generous, ...limits };
      return nativePlane(
        { ...given, entrance: { certificates: this.certificates } },
        { threads: this.#threads, clock, dtls },
      );
    };
    const rig = new Rig(make, options);
    this.#rigs.push(rig);
    return rig;
  }

  async close(): Promise<void> {
    await Promise.all(this.#rigs.splice(0).map((rig) => rig.close()));
  }
}

export async function connect(rig: Rig, on: Listener, options: DtlsOptions = {}, address?: string): Promise<DtlsEnd> {
  return rig.keep(await DtlsEnd.connect(on.at, options, address === undefined ? {} : { address }));
}

/** As far as the server's first flight, and no further. */
export async function halfOpen(rig: Rig, on: Listener, address: string): Promise<DtlsEnd> {
  const end = rig.keep(await DtlsEnd.open(on.at, {}, { address }));
  await end.hello();
  return end;
}

/** What a session is to the controller, which has to be told of something for that. */
export async function speak(rig: Rig, client: DtlsEnd): Promise<number> {
  client.send(message);
  const input = await rig.handed.next();
  if (input.is !== "datagram") throw new Error(`handed ${JSON.stringify(input)}`);
  return input.via;
}
