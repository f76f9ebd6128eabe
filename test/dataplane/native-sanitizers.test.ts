// The C++ of the native plane under sanitizers: the judge fed with anything, and the engine while everything comes and goes.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { needs } from "../interop/needs.ts";
import { makeCertificate } from "./certificate-files.ts";
import { nodeHeaders } from "./dtls-client.ts";
import { obstacleToNative } from "./native-obstacle.ts";

const run = promisify(execFile);
const sources = fileURLToPath(new URL("../../src/dataplane/native/", import.meta.url));
const programs = fileURLToPath(new URL("native/", import.meta.url));
const dtls = ["cookies", "credentials", "dtls-sessions"];
const streams = ["streams", "streams-out", "tls-end", "worker-streams"];
const workers = ["worker", "worker-dtls", "worker-errors", "turns", "orders", "joins"];
const engine = ["engine", ...workers, "icmp-errors", "outbox", "judge", "challenge", "hmac", ...streams, ...dtls];
const seconds = "2";

// Who could build the plane can build these.
describe.runIf(obstacleToNative() === undefined)("under sanitizers", { timeout: 240_000 }, () => {
  let folder: string;
  let certificate: string;
  let key: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-sanitizers-"));
    if (needs("openssl")) ({ certificate, key } = makeCertificate(folder, ["relay.example.org"]));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** By compiler, sanitizer and part: programs share them. */
  const objects = new Map<string, Promise<string>>();

  function objectOf(compiler: string, sanitizer: string, part: string): Promise<string> {
    const source = part.includes("/") ? part : join(sources, part);
    const object = join(folder, `${compiler}-${sanitizer}-${part.replaceAll("/", "-")}.o`);
    const known = objects.get(object);
    if (known) return known;
    const made = run(compiler, [
      ...["-std=c++20", "-O1", "-g", `-fsanitize=${sanitizer}`, "-fno-sanitize-recover=all", "-I", sources],
      ...(sanitizer.startsWith("fuzzer") ? ["-DLIBFUZZER"] : []),
      ...["-I", nodeHeaders, "-c", `${source}.cpp`, "-o", object],
    ]).then(() => object);
    objects.set(object, made);
    return made;
  }

  /** Compiles a program with these parts of the plane, two at a time. */
  async function compiled(compiler: string, name: string, sanitizer: string, parts: string[]): Promise<string> {
    const program = join(folder, `${name}-${sanitizer}`);
    const all = [join(programs, name), ...parts];
    const made: string[] = [];
    const left = all.values();
    const compileOn = async () => {
      for (const part of left) made.push(await objectOf(compiler, sanitizer, part));
    };
    await Promise.all([compileOn(), compileOn()]);
    // Without Node there is no OpenSSL but the system's.
    const openssl = parts.includes("credentials") ? ["-l:libssl.so.3", "-l:libcrypto.so.3"] : [];
    await run(compiler, [`-fsanitize=${sanitizer}`, ...made, ...openssl, "-o", program]);
    return program;
  }

  /** Runs such a program, and gives what it printed. It fails if anything is found. */
  async function sanitized(name: string, sanitizer: string, parts: string[], args: string[]): Promise<string> {
    const program = await compiled("g++", name, sanitizer, parts);
    const { stdout } = await run(program, args, { env: { ...process.env, TSAN_OPTIONS: "halt_on_error=1" } });
    return stdout;
  }

  test("the judge, the table and the rings survive whatever they are fed", async () => {
    const seed = `${Date.now()}`;
    expect(await sanitized("fuzz", "address,undefined", ["judge"], [seed, seconds]), `seed ${seed}`).toMatch(
      /^[1-9]\d* inputs/,
    );
  });

  test.runIf(needs("clang-14", "libclang-rt-14-dev"))("libFuzzer finds no input that they do not survive", async () => {
    const program = await compiled("clang++-14", "fuzz", "fuzzer,address,undefined", ["judge"]);
    // It says on the second output what it does, and fails if it finds anything.
    const { stderr } = await run(program, ["-max_total_time=5", "-max_len=2048"], { cwd: folder });
    expect(stderr).toMatch(/Done [1-9]\d* runs/);
  });

  test.runIf(needs("openssl"))("sessions over DTLS survive the worst of networks", async () => {
    const seed = `${Date.now()}`;
    expect(
      await sanitized("dtls-fuzz", "address,undefined", dtls, [seed, seconds, certificate, key]),
      `seed ${seed}`,
    ).toMatch(/^[1-9]\d* records received/);
  });

  test("packets leave marked as they came, and free to be fragmented unless they are sent otherwise", async () => {
    expect(await sanitized("headers", "address,undefined", engine, [])).toBe("marked as they came\n");
  });

  test.runIf(needs("openssl"))("who asks for new keys on and on, and reads nothing, is hung up on", async () => {
    expect(await sanitized("new-keys", "address,undefined", engine, [certificate, key])).toMatch(
      /^hung up on after [1-9]\d* changes\n$/,
    );
  });

  test.runIf(needs("openssl")).each(["thread", "address,undefined"])(
    "connections are joined and part under load (%s)",
    async (sanitizer) => {
      expect(await sanitized("joins", sanitizer, engine, [seconds, "2", certificate, key])).toMatch(
        /^([1-9]\d* pairs parted, [1-9]\d* bytes received\n){2}$/,
      );
    },
  );

  test.runIf(needs("openssl")).each(["thread", "address,undefined"])(
    "relay ports and routes come and go under load (%s)",
    async (sanitizer) => {
      expect(await sanitized("churn", sanitizer, engine, [seconds, "2", certificate, key])).toMatch(
        /^([1-9]\d* relay ports opened, [1-9]\d* packets received, [1-9]\d* errors, [1-9]\d* streams adopted, [1-9]\d* of them secured, [1-9]\d* reads\n){2}$/,
      );
    },
  );
});
