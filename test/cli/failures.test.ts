import { afterEach, describe, expect, test, vi } from "vitest";
import { telling } from "../../src/cli/failures.ts";
import { Unavailable } from "../../src/contract.ts";

afterEach(() => {
  process.exitCode = undefined;
});

/** What an operator reads. */
async function told(error: Error): Promise<string> {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  await telling(() => {
    throw error;
  });
  const text = write.mock.calls.map(([line]) => String(line)).join("");
  write.mockRestore();
  return text;
}

function ofSystem(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

describe("what the system refuses", () => {
  test.each([
    ["EADDRINUSE", "bind EADDRINUSE", "another program has it"],
    ["EADDRNOTAVAIL", "bind EADDRNOTAVAIL 203.0.113.5", "this machine has no such address"],
    ["EACCES", "bind EACCES", "ports below 1024 are for root, and for who has CAP_NET_BIND_SERVICE"],
    [
      "EACCES",
      "listen EACCES: permission denied",
      "ports below 1024 are for root, and for who has CAP_NET_BIND_SERVICE",
    ],
    ["EMFILE", "accept EMFILE", "too many files are open: raise the limit (LimitNOFILE)"],
  ])("with %s (%s) is told in one line, with what to do", async (code, message, cure) => {
    const error = new Unavailable("cannot listen", { cause: ofSystem(code, message) });
    expect(await told(error)).toBe(`cannot listen: ${message} (${cure})\n`);
    expect(process.exitCode).toBe(69);
  });

  test("is told as it is where there is nothing to add", async () => {
    const cause = ofSystem("EACCES", "EACCES: permission denied, open 'users'");
    expect(await told(new Unavailable(`cannot read: ${cause.message}`, { cause }))).toBe(
      `cannot read: ${cause.message}\n`,
    );
  });
});
