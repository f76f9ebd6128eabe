// Commands by which administrators end what there is: one allocation, or all of them in time.

import type { Command } from "../command.ts";
import type { Form } from "../xep0004-data-forms.ts";
import type { Administration } from "./administration.ts";
import type { LiveAllocation } from "./operations.ts";
import { durationText } from "./words.ts";

const whichOne: Form = {
  title: "Close an allocation",
  instructions: "The live allocations say which number it has.",
  fields: [{ type: "text-single", name: "number", label: "Number", isRequired: true }],
};

const draining: Form = {
  title: "Drain the relay",
  fields: [
    { type: "fixed", value: "No new allocations are taken, and the relay goes offline here at once." },
    { type: "fixed", value: "It ends with the last allocation, or when that takes longer than is configured." },
  ],
};

export function close({ mayAdminister, operations }: Administration): Command {
  return {
    node: "close",
    name: "Close an allocation",
    mayRun: mayAdminister,
    next([answers, confirmed], { now }) {
      if (!answers) return { asks: whichOne, isLast: false };
      const allocation = operations.allocations().find(({ id }) => String(id) === answers.get("number"));
      if (confirmed && !(allocation && operations.close(allocation.id))) {
        return { done: "It has come to its end by itself.", isFailure: true };
      }
      if (!allocation) return { wrong: "there is no allocation of that number" };
      return confirmed ? { done: "It is closed." } : { asks: confirmation(allocation, now), isLast: true };
    },
  };

  function confirmation({ id, user, transport, client, since }: LiveAllocation, now: number): Form {
    const text = `Number ${id}, of user ${user}, over ${transport} from ${operations.mask(client.address)}, for ${durationText(now - since)}.`;
    return { title: "Close this allocation?", fields: [{ type: "fixed", value: text }] };
  }
}

export function drain({ mayAdminister, operations }: Administration): Command {
  return {
    node: "drain",
    name: "Drain the relay",
    mayRun: mayAdminister,
    next([confirmed]) {
      if (!confirmed) return { asks: draining, isLast: true };
      operations.drain();
      return { done: `It drains. Allocations left: ${operations.allocations().length}.` };
    },
  };
}
