// Tells the operator when this process may open no more files, which only shows in who is not served: the system lets a
// connection be accepted and closed at once, and the client of a relay port that could not be opened is told 508.

import { closeSync, openSync } from "node:fs";
import type { Log } from "../admin/log.ts";
import { systemCodeOf } from "../thrown.ts";

const watchMillis = 1000;

/** Throws the system's error. */
export type OpenFile = () => void;

/** Has the log say once that there are no more, and once that there are again. Returns what ends that. */
export function watchOpenFiles(log: Pick<Log, "info" | "error">, open: OpenFile = openAnything): () => void {
  let hadMore = true;
  const watch = setInterval(() => {
    const hasMore = isPossible(open);
    if (hadMore && !hasMore)
      log.error("no more files can be opened: whoever comes now is refused. Raise the limit (LimitNOFILE)");
    if (!hadMore && hasMore) log.info("files can be opened again");
    hadMore = hasMore;
  }, watchMillis).unref();
  return () => clearInterval(watch);
}

function isPossible(open: OpenFile): boolean {
  try {
    open();
    return true;
  } catch (error) {
    return !["EMFILE", "ENFILE"].includes(systemCodeOf(error) ?? "");
  }
}

function openAnything(): void {
  closeSync(openSync("/dev/null", "r"));
}
