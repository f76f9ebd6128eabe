// Builds the native plane where that is possible, and says in one line why not where it is not: the portable plane serves
// then. Nothing is downloaded: Node's headers have to lie beside Node. With --strict, not building it is a failure.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

const obstacle = obstacleToBuilding() ?? build();
if (obstacle === undefined) console.log("native plane: built");
else console.log(`native plane: not built, the portable one serves: ${obstacle}`);
process.exitCode = obstacle !== undefined && process.argv.includes("--strict") ? 1 : 0;

function obstacleToBuilding() {
  if (process.platform !== "linux") return `it is for Linux, and this is ${process.platform}`;
  if (nodeDirectory() === undefined) return `no headers (include/node) beside ${process.execPath}`;
  const missing = ["g++", "make", "python3"].filter((tool) => spawnSync(tool, ["--version"]).error);
  if (missing.length > 0) return `no ${missing.join(", no ")} (Debian: apt-get install g++ make python3)`;
  if (nodeGyp() === undefined) return "node-gyp is not installed";
  return undefined;
}

/** Undefined when it is built. */
function build() {
  const args = [nodeGyp(), "configure", "build", `--nodedir=${nodeDirectory()}`, "--loglevel=error"];
  // What npm is told about headers is for other packages.
  const { npm_config_nodedir: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  if (status === 0) return undefined;
  console.error(`${stdout}${stderr}`.split("\n").slice(-40).join("\n"));
  return "the compiler has refused it, see above";
}

/** The folder above include/node, as installers and archives of Node lay it out. */
function nodeDirectory() {
  const directory = dirname(dirname(process.execPath));
  return existsSync(join(directory, "include", "node", "node_api.h")) ? directory : undefined;
}

function nodeGyp() {
  try {
    return createRequire(join(root, "package.json")).resolve("node-gyp/bin/node-gyp.js");
  } catch {
    return undefined;
  }
}
