// The programs of others that the tests run against, and the Debian packages that bring them.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Package → a file that shows it is there. */
const proofs = {
  "g++": "/usr/bin/g++",
  make: "/usr/bin/make",
  python3: "/usr/bin/python3",
  coturn: "/usr/bin/turnutils_uclient",
  prosody: "/usr/bin/prosody",
  "prosody-modules": "/usr/lib/prosody/modules/mod_delegation/mod_delegation.lua",
  ejabberd: "/usr/sbin/ejabberdctl",
  "stun-client": "/usr/bin/stun",
  iproute2: "/usr/sbin/ip",
  nftables: "/usr/sbin/nft",
  openssl: "/usr/bin/openssl",
  "clang-14": "/usr/bin/clang++-14",
  "libclang-rt-14-dev": "/usr/lib/llvm-14/lib/clang/14.0.6/include/fuzzer/FuzzedDataProvider.h",
  "python3-slixmpp": "/usr/lib/python3/dist-packages/slixmpp/__init__.py",
  chromium: "/usr/bin/chromium",
  "python3-aioice": "/usr/lib/python3/dist-packages/aioice/__init__.py",
  "python3-aiortc": "/usr/lib/python3/dist-packages/aiortc/__init__.py",
} as const;

export type DebianPackage = keyof typeof proofs;

const packages = Object.keys(proofs) as DebianPackage[];

export function missingPackages(wanted: readonly DebianPackage[] = packages): DebianPackage[] {
  return wanted.filter((name) => !existsSync(proofs[name]));
}

/** Installs what is missing where this process may (root, on Debian), and else says what to install. Returns what it installed. */
export function installMissingPackages(): DebianPackage[] {
  const missing = missingPackages();
  if (missing.length === 0) return [];
  const mayInstall = process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
  if (!mayInstall) {
    console.warn(`Some tests need other programs. To have them: apt-get install ${missing.join(" ")}`);
    return [];
  }
  console.log(`Installing Debian packages for the tests: ${missing.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  spawnSync("apt-get", ["update", "-qq"], { stdio: "inherit", env });
  spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { stdio: "inherit", env });
  return missing;
}
