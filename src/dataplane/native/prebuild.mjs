// Builds the native plane for the npm package, stripped, into prebuilds/: for this machine's processor, and for the other
// one where there is a cross compiler. On Alpine the same command makes those for musl.

import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const tripletOf = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };

rmSync(join(root, "prebuilds"), { recursive: true, force: true });
// Ours last: what stays in build/ is what runs here.
const oursLast = Object.entries(tripletOf).sort(([arch]) => (arch === process.arch ? 1 : -1));
for (const [arch, triplet] of oursLast) {
  const isOurs = arch === process.arch;
  if (!isOurs && spawnSync(`${triplet}-g++`, ["--version"]).error) {
    console.log(`native plane for ${arch}: not built: no ${triplet}-g++ (Debian: apt-get install g++-${triplet})`);
    continue;
  }
  prebuild(arch, isOurs ? {} : { CC: `${triplet}-gcc`, CXX: `${triplet}-g++`, PREBUILD_STRIP_BIN: `${triplet}-strip` });
  console.log(`native plane for ${arch}: built`);
}

function prebuild(arch, tools) {
  const options = ["--napi", "--strip", "--tag-libc", "--arch", arch, "--target", process.versions.node];
  // Its headers lie beside Node: nothing is downloaded.
  const headers = { npm_config_nodedir: dirname(dirname(process.execPath)) };
  const env = { ...process.env, ...tools, ...headers };
  const { status, stderr } = spawnSync("npx", ["prebuildify", ...options], { cwd: root, env, encoding: "utf8" });
  if (status !== 0) throw new Error(`prebuildify for ${arch}: ${stderr}`);
}
