// The requirements of the RFCs once more, with DTLS in place of plain UDP, and TLS in place of plain TCP.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { makeCertificate } from "../dataplane/certificate-files.ts";
import { DtlsEnd } from "../dataplane/dtls-client.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { needs } from "../interop/needs.ts";
import { Bench } from "./bench.ts";
import { type Connect, connectTls, type Frame, frameOf } from "./connection.ts";
import { Inbox } from "./inbox.ts";
import { notYet } from "./not-yet.ts";
import { requirementGroups } from "./requirements.ts";
import { findingOf } from "./run.ts";
import { type RunningServer, startSluice } from "./servers.ts";

/** A datagram is a record, and the other way round. */
const connect: Connect = async (server, usedPorts) => {
  const end = await unusedEnd(server, usedPorts);
  await end.handshake();
  const inbox = new Inbox<Frame>();
  void (async () => {
    for (;;) inbox.put(frameOf(await end.next(), server));
  })();
  return {
    transport: "udp",
    server,
    local: end.at,
    inbox,
    send: (bytes) => end.send(bytes),
    ended: new Promise(() => {}),
    takeOver: () => expect.fail("DTLS is no stream"),
    close: () => end.close(),
  };
};

async function unusedEnd(server: Frame["from"], usedPorts: Set<number>): Promise<DtlsEnd> {
  for (;;) {
    const end = await DtlsEnd.open(server);
    if (!usedPorts.has(end.at.port)) {
      usedPorts.add(end.at.port);
      return end;
    }
    await end.close();
  }
}

/** Nobody is there under a forged address, who would have to be spared: the whole offer of algorithms fits. */
const needless = "The 401 to the shortest Allocate is at most 2.5 times as long";

const isPossible = obstacleToNative() === undefined && needs("openssl");

describe.runIf(isPossible)("over DTLS and TLS", () => {
  const usedPorts = new Set<number>();
  const folder = mkdtempSync(join(tmpdir(), "conformance-dtls-"));
  let server: RunningServer;

  beforeAll(async () => {
    expect(inject("buildFaults")).toBe("");
    const { certificate, key } = makeCertificate(folder, ["relay.example.org"]);
    server = await startSluice({
      dataplane: "native",
      secure: { certificate, key, connect: { udp: connect, tcp: connectTls } },
    });
  });

  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const { document, requirements, needsNatDiscovery } of requirementGroups) {
    if (needsNatDiscovery) continue;
    describe(document, () => {
      for (const requirement of requirements) {
        const { section, says } = requirement;
        const why = notYet.find(
          (entry) => !entry.isOfPortable && entry.document === document && entry.says.includes(says),
        )?.why;
        if (why !== undefined || says === needless) continue;
        test(`${section}: ${says}`, async () => {
          const finding = await findingOf(document, requirement, new Bench(server.subject, usedPorts));
          expect(finding.result, finding.why).toBe("pass");
        });
      }
    });
  }
});
