import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { changeUsersFile, readUsersFile, readUsersFileNow } from "../../src/accounts/users-file.ts";
import { Unavailable } from "../../src/contract.ts";
import { newFolder } from "./folder.ts";

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

describe("changing a users file", () => {
  test("makes one that only its owner reads", () => {
    const path = join(newFolder(), "users");
    changeUsersFile(path, (text) => `${text}new\n`);
    expect(readFileSync(path, "utf8")).toBe("new\n");
    expect(modeOf(path)).toBe("600");
  });

  test("leaves it to its owner and its group, and takes it from others", () => {
    const path = join(newFolder(), "users");
    writeFileSync(path, "old\n");
    chmodSync(path, 0o664);
    changeUsersFile(path, (text) => `${text}new\n`);
    expect(readFileSync(path, "utf8")).toBe("old\nnew\n");
    expect(modeOf(path)).toBe("640");
  });

  test("puts another file in its place, so that a reader has the old one or the new one, whole", () => {
    const path = join(newFolder(), "users");
    writeFileSync(path, "old\n");
    const { ino } = statSync(path);
    changeUsersFile(path, () => "new\n");
    expect(statSync(path).ino).not.toBe(ino);
  });

  test("follows a link and leaves it one", () => {
    const folder = newFolder();
    mkdirSync(join(folder, "inner"));
    symlinkSync(join("inner", "users"), join(folder, "users"));
    writeFileSync(join(folder, "inner", "users"), "old\n");
    changeUsersFile(join(folder, "users"), () => "new\n");
    expect(readFileSync(join(folder, "inner", "users"), "utf8")).toBe("new\n");
    expect(lstatSync(join(folder, "users")).isSymbolicLink()).toBe(true);
  });

  test("changes nothing, and leaves nothing behind, when the change cannot be made", () => {
    const path = join(newFolder(), "users");
    writeFileSync(path, "old\n");
    const fail = () => {
      throw new Error("no such user");
    };
    expect(() => changeUsersFile(path, fail)).toThrow("no such user");
    expect(readFileSync(path, "utf8")).toBe("old\n");
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  test("is refused while another change is being made, which is not disturbed", () => {
    const path = join(newFolder(), "users");
    changeUsersFile(path, () => {
      expect(() => changeUsersFile(path, () => "second\n")).toThrow("another change is being made");
      return "first\n";
    });
    expect(readFileSync(path, "utf8")).toBe("first\n");
  });

  test("says where it could not", () => {
    expect(() => changeUsersFile("/nowhere/users", (text) => text)).toThrow(Unavailable);
  });
});

describe("reading a users file", () => {
  test("says why it cannot", async () => {
    await expect(readUsersFile("/nowhere/users")).rejects.toThrow("cannot read the users file /nowhere/users: ENOENT");
    expect(() => readUsersFileNow("/nowhere/users")).toThrow(Unavailable);
  });

  test("refuses one that is far too large", async () => {
    const path = join(newFolder(), "users");
    writeFileSync(path, Buffer.alloc(16 * 1024 * 1024 + 1, "#"));
    await expect(readUsersFile(path)).rejects.toThrow("it has more than");
  });
});
