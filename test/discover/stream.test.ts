import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import type { Sleep } from "../../src/discover/prober.ts";
import { askOverTcp, askOverTls } from "../../src/discover/stream.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { newFolder } from "../cli/sluice-process.ts";
import { needs } from "../interop/needs.ts";

const never: Sleep = () => new Promise(() => {});

async function at(server: Server): Promise<Endpoint> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, "listening");
  const address = server.address();
  return { address: "127.0.0.1", port: typeof address === "object" ? (address?.port ?? 0) : 0 };
}

/** A server that says these things to whoever asks. */
function saying(answer: (request: Buffer, socket: Socket) => void): Server {
  return createServer((socket) =>
    socket.once("data", (request: Buffer) => answer(request, socket)).on("error", () => {}),
  );
}

function answerTo(request: Buffer, { remoteAddress = "", remotePort = 0 }: Socket): Buffer {
  const attributes = { xorMappedAddress: { address: remoteAddress, port: remotePort } };
  const transactionId = request.subarray(8, 20);
  return Buffer.from(encode({ class: "success", method: Method.binding, transactionId, attributes }));
}

describe("over TCP, a server", () => {
  test("tells our address", async () => {
    const ports: (number | undefined)[] = [];
    const server = saying((request, socket) => {
      ports.push(socket.remotePort);
      socket.write(answerTo(request, socket));
    });
    const { mapped } = await askOverTcp(await at(server), never);
    expect(mapped).toEqual({ address: "127.0.0.1", port: ports[0] });
  });

  test("is understood when its answer comes byte by byte, after another message", async () => {
    const server = saying(async (request, socket) => {
      socket.setNoDelay(true);
      const other = Buffer.from(answerTo(request, socket)).fill(9, 8, 20);
      for (const byte of Buffer.concat([other, answerTo(request, socket)])) {
        await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
      }
    });
    expect((await askOverTcp(await at(server), never)).mapped?.address).toBe("127.0.0.1");
  });

  test("that speaks something else is no STUN server", async () => {
    const server = saying((_, socket) => socket.write("220 mail.example.org ESMTP\r\n"));
    expect(await askOverTcp(await at(server), never)).toEqual({ failure: "the server speaks something else" });
  });

  test("that hangs up has not answered", async () => {
    const server = saying((_, socket) => socket.end());
    expect(await askOverTcp(await at(server), never)).toEqual({ failure: "the server hung up" });
  });

  test("that is silent is given up, and hung up on", async () => {
    const closed: Promise<unknown>[] = [];
    let isAsked = () => {};
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    const server = saying((_, socket) => {
      closed.push(once(socket, "close"));
      isAsked();
    });
    expect(await askOverTcp(await at(server), () => asked)).toEqual({ failure: "no answer" });
    await closed[0];
  });

  test("that is not there is told with the system's reason", async () => {
    const server = createServer();
    const nowhere = await at(server);
    await new Promise((resolve) => server.close(resolve));
    expect((await askOverTcp(nowhere, never)).failure).toContain("ECONNREFUSED");
  });
});

describe.runIf(needs("openssl"))("over TLS, a server", () => {
  function certificate() {
    const folder = newFolder();
    const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const subject = ["-subj", "/CN=relay.example.org", "-days", "1", "-nodes", "-newkey", "ec"];
    const made = spawnSync("openssl", [
      ...["req", "-x509", ...subject, "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", keyFile, "-out", certFile],
    ]);
    expect(made.status, `${made.stderr}`).toBe(0);
    return { key: readFileSync(keyFile), cert: readFileSync(certFile) };
  }

  test("tells our address, and its certificate is looked at but does not stop us", async () => {
    const names: unknown[] = [];
    const options = { ...certificate(), ALPNProtocols: ["http/1.1", "stun.turn"] };
    const server = createTlsServer(options, (socket) => {
      names.push(socket.servername, socket.alpnProtocol);
      socket.once("data", (request: Buffer) => socket.write(answerTo(request, socket)));
    });
    const found = await askOverTls(await at(server), "relay.example.org", never);
    expect(found).toMatchObject({ mapped: { address: "127.0.0.1" }, certificate: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    expect(names).toEqual(["relay.example.org", "stun.turn"]);
  });

  test("that does not speak TLS is told so", async () => {
    const server = saying((_, socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    expect((await askOverTls(await at(server), "127.0.0.1", never)).failure).toBeTruthy();
  });
});
