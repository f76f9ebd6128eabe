// C++ programs of the suite, compiled when they are needed.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const built = fileURLToPath(new URL("../../", import.meta.url));
const sources = fileURLToPath(new URL("../../../load/", import.meta.url));

/** OpenSSL by Node's headers and the library that every Debian has: no package has to be there for it. */
const nodeHeaders = join(dirname(dirname(process.execPath)), "include", "node");
const openssl = ["-l:libssl.so.3", "-l:libcrypto.so.3"];

/** The path of the program. It is named after all sources, so that it is compiled once for each state of them. */
export function compiled(name: "load" | "offloads"): string {
  const hash = createHash("sha256");
  for (const file of readdirSync(sources).sort()) {
    if (/\.(cpp|h)$/.test(file)) hash.update(readFileSync(join(sources, file)));
  }
  const path = join(built, `${name}-${hash.digest("hex").slice(0, 12)}`);
  if (existsSync(path)) return path;
  mkdirSync(built, { recursive: true });
  const fresh = `${path}.${process.pid}`;
  const options = [
    "-O2",
    "-std=c++20",
    "-Wall",
    "-Wextra",
    "-I",
    nodeHeaders,
    "-o",
    fresh,
    join(sources, `${name}.cpp`),
  ];
  const { status, error, stderr } = spawnSync("g++", [...options, ...openssl], { encoding: "utf8" });
  if (error) throw new Error("the load generator needs a compiler: apt-get install g++", { cause: error });
  if (status !== 0) throw new Error(`${name}.cpp does not compile:\n${stderr}`);
  renameSync(fresh, path);
  return path;
}
