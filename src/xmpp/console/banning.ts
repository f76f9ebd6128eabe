// Commands by which administrators shut somebody out for a while: an account, a name of TURN, or clients at a network.

import type { Banned } from "../../contract.ts";
import type { Command } from "../command.ts";
import type { Answers, Form } from "../xep0004-data-forms.ts";
import { accountTyped } from "../xep0106-jid-escaping.ts";
import type { Administration } from "./administration.ts";
import { bannedText, durationText } from "./words.ts";

const minutesAtMost = 30 * 24 * 60;

const whom: Form = {
  title: "Ban for a while",
  instructions: "Whoever is banned loses what he has, and gets nothing until the ban ends.",
  fields: [
    {
      type: "list-single",
      name: "kind",
      label: "Who",
      options: { jid: "An account, by its JID", user: "A user, by his TURN name", network: "Clients, by address" },
      value: "jid",
    },
    { type: "text-single", name: "who", label: "JID, TURN name, or address such as 192.0.2.0/24", isRequired: true },
    { type: "text-single", name: "minutes", label: `For how many minutes (1 to ${minutesAtMost})`, value: "60" },
  ],
};

export function ban(administration: Administration): Command {
  const { mayAdminister, operations } = administration;
  return {
    node: "ban",
    name: "Ban for a while",
    mayRun: mayAdminister,
    next([answers, confirmed], { now }) {
      if (!answers) return { asks: whom, isLast: false };
      const read = readBan(answers, administration);
      if (typeof read === "string") return { wrong: read };
      const { banned, millis } = read;
      const text = `${answers.get("who")}, for ${durationText(millis)}`;
      if (!confirmed) {
        return { asks: { title: "Ban?", fields: [{ type: "fixed", value: `Ban ${text}.` }] }, isLast: true };
      }
      return operations.ban(banned, now + millis)
        ? { done: `Banned: ${text}.` }
        : { done: "There are too many bans already: lift one of them.", isFailure: true };
    },
  };
}

export function liftBan({ mayAdminister, operations }: Administration): Command {
  return {
    node: "lift-ban",
    name: "See and lift bans",
    mayRun: mayAdminister,
    next([answers], { now }) {
      const bans = operations.bans();
      const chosen = bans.find(({ whom }) => bannedText(whom) === answers?.get("ban"));
      if (chosen) {
        operations.lift(chosen.whom);
        return { done: `No longer banned: ${bannedText(chosen.whom)}.` };
      }
      if (bans.length === 0) return { done: "Nobody is banned." };
      if (answers) return { wrong: "that ban has ended" };
      const options = bans.map(({ whom, until }) => {
        const text = bannedText(whom);
        return [text, `${text}, for ${durationText(until - now)} more`] as const;
      });
      const asks: Form = {
        title: "Bans",
        fields: [
          { type: "list-single", name: "ban", label: "Lift", options: Object.fromEntries(options), isRequired: true },
        ],
      };
      return { asks, isLast: true };
    },
  };
}

/** Or what is wrong with it. */
function readBan(answers: Answers, administration: Administration): { banned: Banned; millis: number } | string {
  const minutes = Number(answers.get("minutes"));
  if (!(Number.isInteger(minutes) && minutes >= 1 && minutes <= minutesAtMost)) {
    return `the minutes are a number from 1 to ${minutesAtMost}`;
  }
  const banned = readWhom(answers.get("kind") ?? "", answers.get("who") ?? "", administration);
  return typeof banned === "string" ? banned : { banned, millis: minutes * 60_000 };
}

function readWhom(kind: string, who: string, { userOf, operations }: Administration): Banned | string {
  if (kind === "network") {
    const network = operations.readNetwork(who);
    return network === undefined ? "that is no address, or a network of far too many" : { network };
  }
  if (kind === "user") return { user: who };
  const account = accountTyped(who);
  return account ? { user: userOf(account) } : "that is not the JID of an account";
}
