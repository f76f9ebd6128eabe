// Two pages of a real browser call each other through the relay alone, with a fake camera and microphone. What arrived, and
// by which way, they are asked themselves; that it was relayed, the relay's own counters say, too.

import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { reachableAddresses } from "../../src/config/relay-addresses.ts";
import { familyOf, type Transport } from "../../src/contract.ts";
import type { Relay } from "../../src/relay.ts";
import { needs } from "./needs.ts";
import { openRelay, packetsBothWays, portOf, users } from "./open-relay.ts";
import { newFolder } from "./server-process.ts";

const hasPrograms = needs("chromium", "openssl");

const browserFlags = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
  ...["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
  "--autoplay-policy=no-user-gesture-required",
  // Or a certificate that nobody has signed gives no candidate, and no word about it.
  "--ignore-certificate-errors",
];

const address = "127.0.0.43";
/** What strict firewalls let out; where it may not be had, another stands in for it. */
const tlsPort = process.getuid?.() === 0 ? 443 : 0;

/** A second of video, half a second of sound. */
const enough = { frames: 25, samples: 24_000 };
const fewestPackets = 50;

/** As `seen` in browser-caller.mjs has it. */
interface Seen {
  readonly framesDecoded: number;
  readonly samplesHeard: number;
  readonly local?: string;
  readonly transport?: string;
  readonly remote?: string;
}

describe.runIf(hasPrograms)("Chromium", { timeout: 60_000 }, () => {
  let browser: Browser;
  let site: Server;
  let folder: string;

  beforeAll(async () => {
    folder = newFolder("browser");
    site = createServer(serve).listen(0, "127.0.0.1");
    await once(site, "listening");
    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: browserFlags });
  });

  afterAll(async () => {
    await browser?.close();
    site?.close();
    rmSync(folder, { recursive: true });
  });

  describe.each(["portable", "auto"])("on the plane %s, with the quotas of a fresh install", (dataplane) => {
    let relay: Relay;

    beforeAll(async () => {
      relay = await openRelay({ folder, dataplane, address, tlsPort });
    });

    afterAll(() => relay?.stop());

    test.for([
      ["udp", "udp"],
      ["tcp", "tcp"],
      ["tls", "tls"],
      ["udp", "tls"],
    ] as const)("sees and hears the other side of a call, over %s here and %s there", async ([here, there]) => {
      const relayedBefore = [here, there].map((transport) => packetsBothWays(relay, transport));
      const [caller, callee] = [await openPage(), await openPage()];
      const offer = await ask<string>(caller, "offer", [iceServer(relay, here, "alice")]);
      await ask(caller, "accept", await ask<string>(callee, "answer", [iceServer(relay, there, "bob")], offer));

      expect(await untilEnoughCame(caller)).toMatchObject({ local: "relay", remote: "relay", transport: here });
      expect(await untilEnoughCame(callee)).toMatchObject({ local: "relay", remote: "relay", transport: there });
      for (const [i, transport] of [here, there].entries()) {
        expect(packetsBothWays(relay, transport) - (relayedBefore[i] ?? 0)).toBeGreaterThan(fewestPackets);
      }
    });
  });

  // It follows nobody to loopback.
  const [reachable = ""] = reachableAddresses().filter((each) => familyOf(each) === 4);
  const places = test.runIf(reachable !== "");
  places.for(["udp", "tcp", "tls"] as const)("goes over %s where the relay sends it", async (transport) => {
    const other = await openRelay({ folder, dataplane: "auto", address: reachable });
    onTestFinished(() => other.stop());
    const first = await openRelay({ folder, dataplane: "auto", address: reachable, alternate: other });
    onTestFinished(() => first.stop());
    const [caller, callee] = [await openPage(), await openPage()];
    const offer = await ask<string>(caller, "offer", [iceServer(first, transport, "alice")]);
    await ask(caller, "accept", await ask<string>(callee, "answer", [iceServer(first, transport, "bob")], offer));

    expect(await untilEnoughCame(caller)).toMatchObject({ local: "relay", remote: "relay", transport });
    expect(packetsBothWays(other, transport)).toBeGreaterThan(fewestPackets);
    expect(packetsBothWays(first, transport)).toBe(0);
  });

  async function openPage(): Promise<Page> {
    const page = await browser.newPage();
    onTestFinished(() => page.close());
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
    return page;
  }
});

const script = readFileSync(new URL("./browser-caller.mjs", import.meta.url));
const page = '<!doctype html><title>caller</title><body><script type="module" src="browser-caller.mjs"></script>';

const serve: RequestListener = ({ url }, response) => {
  if (url === "/browser-caller.mjs") response.setHeader("content-type", "text/javascript").end(script);
  else response.setHeader("content-type", "text/html").end(page);
};

/** Calls a function of browser-caller.mjs. */
function ask<Answer>(page: Page, what: string, ...given: readonly unknown[]): Promise<Answer> {
  return page.evaluate(`caller.${what}(...${JSON.stringify(given)})`);
}

function untilEnoughCame(page: Page): Promise<Seen> {
  const enoughCame = async () => {
    const seen = await ask<Seen>(page, "seen");
    expect(seen.framesDecoded).toBeGreaterThan(enough.frames);
    expect(seen.samplesHeard).toBeGreaterThan(enough.samples);
    return seen;
  };
  return vi.waitFor(enoughCame, { timeout: 30_000, interval: 200 });
}

function iceServer(relay: Relay, transport: Transport, username: keyof typeof users): object {
  const scheme = transport === "tls" ? "turns" : "turn";
  const [listener] = relay.listeners;
  const at = `${listener?.at.address}:${portOf(relay, transport)}`;
  const urls = `${scheme}:${at}?transport=${transport === "udp" ? "udp" : "tcp"}`;
  return { urls, username, credential: users[username] };
}
