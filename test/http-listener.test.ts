import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { openHttpListener } from "../src/http-listener.ts";

const connectionsAtMost = 8;

async function open() {
  const answer = "well";
  const loopback = { address: "127.0.0.1", port: 0 };
  const listener = await openHttpListener("answer", loopback, connectionsAtMost, (asked, response) => {
    asked.resume().on("end", () => response.end(answer));
  });
  onTestFinished(() => listener.stop());
  return listener.at.port;
}

const beginning = "GET / HTTP/1.1\r\nHost: x\r\nX: ";

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Begins a request, and goes on with it never. */
async function dawdle(port: number): Promise<Socket> {
  const socket = await connected(port);
  socket.write(beginning);
  return socket;
}

async function ask(port: number): Promise<number | undefined> {
  const asked = request({ host: "127.0.0.1", port, agent: false }).end();
  const [response] = await once(asked, "response");
  response.resume();
  return response.statusCode;
}

test("whoever holds all connections keeps nobody else out, and pushes out himself", async () => {
  const port = await open();
  const first = await dawdle(port);
  const isOut = once(first, "close");
  for (let more = 0; more < 3 * connectionsAtMost; more += 1) await dawdle(port);
  await isOut;
  expect(await ask(port)).toBe(200);
});

test("a connection is given seconds for each thing by itself", { timeout: 30_000 }, async () => {
  const port = await open();
  const closed: string[] = [];
  const closes = async (what: string, socket: Socket, begins: string) => {
    let said = "";
    socket.on("data", (text) => {
      said += text;
    });
    socket.write(begins);
    await once(socket, "close");
    closed.push(what);
    return said;
  };
  const [body, header, idle] = [await connected(port), await connected(port), await connected(port)];
  const [slow, dawdling, kept] = await Promise.all([
    // First, so that it would be the first to go if all had the same time.
    closes("body", body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx"),
    closes("header", header, beginning),
    closes("idle", idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    closes("silent", await connected(port), ""),
  ]);
  expect(dawdling).toMatch(/^HTTP\/1.1 408 /);
  expect([slow, kept].map((said) => said.slice(0, 12))).toEqual(["HTTP/1.1 408", "HTTP/1.1 200"]);
  expect(closed.at(-1)).toBe("body");
});
