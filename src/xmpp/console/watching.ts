// Commands that show administrators how the relay is, and what it carries.

import { type Endpoint, endpointText } from "../../contract.ts";
import type { Command } from "../command.ts";
import { type Form, writeLines, writeTable } from "../xep0004-data-forms.ts";
import { type Administration, isNamed } from "./administration.ts";
import { bytesText, durationText } from "./words.ts";

const rowsPerPage = 20;

const which: Form = {
  title: "Live allocations",
  instructions: "Of everybody, or of one user.",
  fields: [
    { type: "text-single", name: "user", label: "User, as a JID or a TURN name; empty for everybody" },
    { type: "boolean", name: "addresses", label: "Show addresses in full", value: "0" },
  ],
};

const columns = ["Number", "User", "Over", "Client", "Relayed", "For", "Ends in", "Sent", "Received"];

export function status({ mayAdminister, operations }: Administration): Command {
  return {
    node: "status",
    name: "Status of the relay",
    mayRun: mayAdminister,
    next: () => ({ done: "", result: writeLines("Status of the relay", operations.status()) }),
  };
}

/** A page after the other, as they are when it is asked for. */
export function allocations(administration: Administration): Command {
  const { mayAdminister, operations } = administration;
  return {
    node: "allocations",
    name: "Live allocations",
    mayRun: mayAdminister,
    next([answers, ...pages], { now }) {
      if (!answers) return { asks: which, isLast: false };
      const name = answers.get("user") ?? "";
      const all = operations.allocations().filter(({ user }) => name === "" || isNamed(user, name, administration));
      if (all.length === 0) return { done: "There are none." };

      const isShown = answers.get("addresses") === "1";
      const place = (at: Endpoint) => (isShown ? endpointText(at) : operations.mask(at.address));
      const first = pages.length * rowsPerPage;
      const rows = all
        .slice(first, first + rowsPerPage)
        .map((each) => [
          String(each.id),
          each.user,
          each.transport,
          place(each.client),
          each.relayed.map(endpointText).join(" "),
          durationText(now - each.since),
          durationText(each.until - now),
          bytesText(each.usage.toPeer.bytes),
          bytesText(each.usage.toClient.bytes),
        ]);
      return { shows: writeTable({ columns, rows }), hasMore: first + rowsPerPage < all.length };
    },
  };
}
