// Certificates: which one a client is shown, and what becomes of it when the files change.

import { copyFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { Unavailable } from "../../src/contract.ts";
import { type CertificateFiles, Certificates } from "../../src/dataplane/certificates.ts";
import { needs } from "../interop/needs.ts";
import { makeCertificate, newFolder } from "./certificate-files.ts";

describe.runIf(needs("openssl"))("certificates", () => {
  let folder: string;
  let files: CertificateFiles;

  beforeEach(() => {
    folder = newFolder();
    files = makeCertificate(folder, ["relay.example.org"]);
  });

  test("are found by the names in them, by wildcards of one label, or else the first one is", async () => {
    const other = makeCertificate(folder, ["relay.example.com", "*.example.net"], "other");
    const certificates = await Certificates.open([files, other]);
    const [first, second] = certificates.certificates;
    expect(second?.names).toEqual(["relay.example.com", "*.example.net"]);
    for (const ours of ["Relay.Example.com", "a.example.net"]) {
      expect(certificates.contextFor(ours)).toBe(second?.context);
      expect(certificates.isFor(ours)).toBe(true);
    }
    for (const stranger of ["", "elsewhere.example", "b.relay.example.com", "a.b.example.net", "example.net"]) {
      expect(certificates.contextFor(stranger)).toBe(first?.context);
      expect(certificates.isFor(stranger)).toBe(false);
    }
  });

  test("may be given other names", async () => {
    const other = { ...makeCertificate(folder, ["a.example"], "other"), names: ["b.example"] };
    const certificates = await Certificates.open([files, other]);
    expect(certificates.contextFor("b.example")).toBe(certificates.certificates[1]?.context);
    expect(certificates.contextFor("a.example")).toBe(certificates.certificates[0]?.context);
  });

  test("say until when they are good", async () => {
    const [certificate] = (await Certificates.open([files])).certificates;
    const hours = ((certificate?.until ?? 0) - Date.now()) / 3_600_000;
    expect(hours).toBeCloseTo(24, 1);
  });

  test.each([
    ["is not there", () => rmSync(files.certificate), "ENOENT"],
    ["is none", () => writeFileSync(files.certificate, "hello"), "no -----BEGIN CERTIFICATE-----"],
    [
      "has another's key",
      () => copyFileSync(makeCertificate(folder, ["x"], "x").key, files.key),
      "not the certificate's",
    ],
    ["has a key that is none", () => writeFileSync(files.key, ""), "no -----BEGIN PRIVATE KEY-----"],
  ])("cannot be had when one %s", async (_, spoil, why) => {
    spoil();
    const opened = Certificates.open([files]);
    await expect(opened).rejects.toThrow(Unavailable);
    await expect(opened).rejects.toThrow(why);
  });

  test("are read again when their files change, and only then", async () => {
    const certificates = await Certificates.open([files]);
    expect(await certificates.renew("changed")).toEqual([]);
    makeCertificate(folder, ["new.example.org"]);
    expect(await certificates.renew("changed")).toMatchObject([{ certificate: { names: ["new.example.org"] } }]);
    expect(certificates.certificates[0]?.names).toEqual(["new.example.org"]);
    expect(await certificates.renew("changed")).toEqual([]);
  });

  test("are read again without a change when all are asked for", async () => {
    const certificates = await Certificates.open([files]);
    const before = certificates.contextFor("");
    expect(await certificates.renew("all")).toHaveLength(1);
    expect(certificates.contextFor("")).not.toBe(before);
  });

  test("stay when the new files are broken, which is said once, until they are mended", async () => {
    const certificates = await Certificates.open([files]);
    const before = certificates.contextFor("");
    writeFileSync(files.certificate, "-----BEGIN CERTIFICATE-----\nbroken");
    expect(await certificates.renew("changed")).toMatchObject([{ files, failed: expect.any(String) }]);
    expect(await certificates.renew("changed")).toEqual([]);
    rmSync(files.key);
    expect(await certificates.renew("changed")).toMatchObject([{ failed: expect.stringContaining("ENOENT") }]);
    expect(await certificates.renew("changed")).toEqual([]);
    expect(certificates.contextFor("")).toBe(before);
    makeCertificate(folder, ["mended.example.org"]);
    expect(await certificates.renew("changed")).toMatchObject([{ certificate: { names: ["mended.example.org"] } }]);
  });

  test("stay when those who show them can do nothing with the new ones", async () => {
    const certificates = await Certificates.open([files]);
    const before = certificates.contextFor("");
    const isGood = (name: string | undefined) => name === "relay.example.org";
    expect(certificates.showWith(([first]) => (isGood(first?.names[0]) ? undefined : "of no use"))).toBe(undefined);
    makeCertificate(folder, ["new.example.org"]);
    expect(await certificates.renew("changed")).toMatchObject([{ files, failed: "of no use" }]);
    expect(certificates.contextFor("")).toBe(before);
  });
});
