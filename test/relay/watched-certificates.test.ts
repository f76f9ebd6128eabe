import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openLog } from "../../src/admin/log.ts";
import { Certificates } from "../../src/dataplane/certificates.ts";
import { watchCertificates } from "../../src/relay/watched-certificates.ts";
import { makeCertificate, newFolder } from "../dataplane/certificate-files.ts";
import { needs } from "../interop/needs.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

describe.runIf(needs("openssl"))("the files of certificates", () => {
  test("are looked at every ten seconds, until that is stopped", async () => {
    const certificates = await Certificates.open([makeCertificate(newFolder(), ["relay.example.org"])]);
    const renew = vi.spyOn(certificates, "renew");
    const log = openLog({ level: "silent", format: "json", addresses: "masked" });
    const watch = watchCertificates(certificates, log, Date.now);
    vi.advanceTimersByTime(9999);
    expect(renew).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(renew.mock.calls).toEqual([["changed"]]);
    watch.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
