// The command that gives an administrator TURN credentials for somebody: for a test, or a device that cannot ask.

import type { Command } from "../command.ts";
import { type Form, writeLines } from "../xep0004-data-forms.ts";
import { dateTime } from "../xep0082-date-time.ts";
import { accountTyped } from "../xep0106-jid-escaping.ts";
import type { Administration } from "./administration.ts";

const hoursAtMost = 168;

const forWhom: Form = {
  title: "Credentials for a user",
  fields: [
    { type: "jid-single", name: "jid", label: "JID of the user", isRequired: true },
    { type: "text-single", name: "hours", label: `Good for how many hours (1 to ${hoursAtMost})`, value: "24" },
  ],
};

export function credentials({ mayAdminister, operations, userOf }: Administration): Command {
  return {
    node: "credentials",
    name: "Credentials for a user",
    mayRun: mayAdminister,
    next([answers]) {
      if (!answers) return { asks: forWhom, isLast: true };
      const account = accountTyped(answers.get("jid") ?? "");
      if (!account) return { wrong: "the JID of an account is needed" };
      const hours = Number(answers.get("hours"));
      if (!(Number.isInteger(hours) && hours >= 1 && hours <= hoursAtMost)) {
        return { wrong: `the hours are a number from 1 to ${hoursAtMost}` };
      }
      const { username, password, expires, uris } = operations.credentials(userOf(account), hours * 3600);
      const lines = [
        ["Username", username],
        ["Credential", password],
        ["Good until", dateTime(expires)],
        ["Servers", uris.join("\n")],
      ] as const;
      return { done: "", result: writeLines("Credentials", lines) };
    },
  };
}
