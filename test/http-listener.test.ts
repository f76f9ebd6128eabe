import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { openHttpListener } from "../src/http-listener.ts";

const connectionsAtMost = 8;

async function open() {
  const answer = "well";
  const loopback = { address: "127.0.0.1", port: 0 };
  const listener = await openHttpListener("answer", loopback, connectionsAtMost, (_, response) => response.end(answer));
  onTestFinished(() => listener.stop());
  return listener.at.port;
}

/** Begins a request, and goes on with it never. */
async function dawdle(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  socket.write("GET / HTTP/1.1\r\nHost: x\r\nX: ");
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

test("a request that is never finished is given up in seconds", { timeout: 30_000 }, async () => {
  const socket = await dawdle(await open());
  const [answer] = await once(socket, "data");
  expect(String(answer)).toMatch(/^HTTP\/1.1 408 /);
  await once(socket, "close");
});
