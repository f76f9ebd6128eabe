// A client over DTLS for tests: OpenSSL's own, out of Node, on a real socket.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Endpoint, familyOf } from "../../src/contract.ts";

const require = createRequire(import.meta.url);
const source = fileURLToPath(new URL("native/dtls-client.cpp", import.meta.url));
const folder = fileURLToPath(new URL("../../build/test/", import.meta.url));

/** Where this Node's headers are, OpenSSL's among them. */
export const nodeHeaders = join(dirname(dirname(process.execPath)), "include", "node");

/** How often a handshake may repeat itself before the client gives up; the wait doubles from `firstWaitMillis`. */
const firstWaitMillis = 400;

export interface DtlsOptions {
  readonly servername?: string;
  readonly applications?: Uint8Array;
  readonly ciphers?: string;
  /** DTLS 1.0 in place of 1.2. */
  readonly isOld?: boolean;
}

export interface Step {
  readonly state: "handshake" | "open" | "closed" | "failed";
  readonly why: string;
  /** Datagrams for the server. */
  readonly out: readonly Buffer[];
  readonly payloads: readonly Buffer[];
  readonly version: string;
  readonly application: string;
  readonly certificateName: string;
}

/** The client without its socket. */
export interface DtlsProtocol {
  step(datagram?: Uint8Array): Step;
  write(payload: Uint8Array): Step;
  retransmit(): Step;
  renegotiate(): Step;
  close(): Step;
}

export function dtlsProtocol(options: DtlsOptions = {}): DtlsProtocol {
  return new (require(built()).DtlsClient)(options);
}

/** Compiled once for each state of its source. */
function built(): string {
  const path = join(
    folder,
    `dtls-client-${createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16)}.node`,
  );
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const draft = `${path}.${process.pid}`;
  const includes = [nodeHeaders, dirname(require.resolve("node-addon-api/napi.h"))].flatMap((each) => ["-I", each]);
  const flags = ["-std=c++20", "-O1", "-shared", "-fPIC", "-DNAPI_DISABLE_CPP_EXCEPTIONS", "-DNAPI_VERSION=8"];
  const { status, stderr } = spawnSync("g++", [...flags, ...includes, source, "-o", draft], { encoding: "utf8" });
  if (status !== 0) throw new Error(`g++: ${stderr}`);
  renameSync(draft, path);
  return path;
}

/** The client on its socket. */
export class DtlsEnd {
  readonly at: Endpoint;
  readonly #server: Endpoint;
  readonly #socket: Socket;
  readonly #protocol: DtlsProtocol;
  readonly #waiting: (() => void)[] = [];
  readonly #payloads: Buffer[] = [];
  /** Lengths of the server's datagrams. */
  readonly received: number[] = [];
  /** What came and is not to be looked at yet. */
  readonly #held: Buffer[] = [];
  #isHolding = false;
  #isClosed = false;
  #last: Step;
  #timer: NodeJS.Timeout | undefined;

  /** `at` the address and port of the client: any free port if not said. */
  static async connect(server: Endpoint, options: DtlsOptions = {}, at?: Partial<Endpoint>): Promise<DtlsEnd> {
    const end = await DtlsEnd.open(server, options, at);
    await end.handshake();
    return end;
  }

  /** Before the handshake. */
  static async open(server: Endpoint, options: DtlsOptions = {}, at: Partial<Endpoint> = {}): Promise<DtlsEnd> {
    const socket = createSocket(familyOf(server.address) === 6 ? "udp6" : "udp4");
    socket.bind(at.port ?? 0, at.address ?? (familyOf(server.address) === 6 ? "::1" : "127.0.0.1"));
    await once(socket, "listening");
    return new DtlsEnd(server, socket, dtlsProtocol(options));
  }

  private constructor(server: Endpoint, socket: Socket, protocol: DtlsProtocol) {
    const { address, port } = socket.address();
    this.at = { address, port };
    this.#server = server;
    this.#socket = socket;
    this.#protocol = protocol;
    this.#last = protocol.step();
    socket.on("message", (bytes) => {
      this.received.push(bytes.length);
      if (!this.#isHolding) this.#take(protocol.step(bytes));
      else {
        this.#held.push(bytes);
        this.#look();
      }
    });
  }

  get last(): Step {
    return this.#last;
  }

  /** Fetches a cookie. Gives the ClientHello that shows it, which is not sent, nor is anything after it. */
  async cookie(): Promise<Buffer> {
    this.#isHolding = true;
    this.#take(this.#last);
    await this.#until(() => this.#held.length > 0);
    const [hello = Buffer.alloc(0)] = this.#protocol.step(this.#held.shift()).out;
    return hello;
  }

  /** Shows its cookie, and does not go on when the server answers. Resolves when it does. */
  async hello(): Promise<void> {
    this.sendRaw(await this.cookie());
    await this.#until(() => this.#held.length > 0);
  }

  /** Goes on after `hello`. */
  proceed(): void {
    this.#isHolding = false;
    for (const bytes of this.#held.splice(0)) this.#take(this.#protocol.step(bytes));
  }

  /** Rejects with what went wrong. */
  async handshake(): Promise<Step> {
    this.#retransmitLater(firstWaitMillis);
    this.#take(this.#last);
    await this.#until(() => this.#last.state !== "handshake");
    clearTimeout(this.#timer);
    if (this.#last.state !== "open") throw new Error(this.#last.why);
    return this.#last;
  }

  send(payload: string | Uint8Array): void {
    this.#take(this.#protocol.write(Buffer.from(payload)));
  }

  /** As it is, outside the session. */
  sendRaw(datagram: Uint8Array): void {
    this.#socket.send(datagram, this.#server.port, this.#server.address);
  }

  /** Has the protocol do something by itself, and sends what comes of it. */
  make(act: (protocol: DtlsProtocol) => Step): void {
    this.#take(act(this.#protocol));
  }

  /** The payload of the next record. */
  async next(): Promise<Buffer> {
    await this.#until(() => this.#payloads.length > 0);
    return this.#payloads.shift() ?? Buffer.alloc(0);
  }

  /** The same, and whence: this end hears of its server only. */
  async nextFrom(): Promise<{ readonly bytes: Buffer; readonly from: Endpoint }> {
    return { bytes: await this.next(), from: this.#server };
  }

  /** Resolves when the server has said goodbye, or the session has failed. */
  async ended(): Promise<void> {
    await this.#until(() => this.#last.state === "closed" || this.#last.state === "failed");
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#isClosed = true;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  /** Over loopback nothing is lost but what the server throws away on purpose. */
  #retransmitLater(millis: number): void {
    this.#timer = setTimeout(() => {
      this.#take(this.#protocol.retransmit());
      this.#retransmitLater(millis * 2);
    }, millis);
  }

  #take(step: Step): void {
    this.#last = step;
    this.#payloads.push(...step.payloads);
    for (const datagram of step.out) this.sendRaw(datagram);
    this.#look();
  }

  #look(): void {
    for (const look of this.#waiting.splice(0)) look();
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
