// What an ejabberd needs to have us as its component: as lines to paste, and as a change of its configuration, in which
// everything else stays as it is, comments too.

import { type Document, isMap, isSeq, parseDocument, stringify, type YAMLMap } from "yaml";
import { type ComponentPlace, delegatedNamespaces } from "./component-place.ts";

/** Of the rule that admits only us. */
const ruleName = "sluice";

export function ejabberdLines(place: ComponentPlace): string {
  return stringify(wanted(place), { lineWidth: 0 });
}

/** What is wrong with `before` for this is thrown as an `Error`. */
export function changeEjabberdConfig(before: string, place: ComponentPlace): string {
  const document = parseDocument(before);
  const [mistake] = document.errors;
  if (mistake) throw new Error(mistake.message);
  const { listen, acl, access_rules, modules } = wanted(place);
  changeListeners(document, place, listen);
  setUnlessSame(document, ["acl", ruleName], acl[ruleName]);
  setUnlessSame(document, ["access_rules", ruleName], access_rules[ruleName]);
  for (const [namespace, rule] of Object.entries(modules.mod_delegation.namespaces)) {
    setUnlessSame(document, ["modules", "mod_delegation", "namespaces", namespace], rule);
  }
  return document.toString({ lineWidth: 0 });
}

/** Modules that answer XEP-0215 by themselves, and so stand in the way. */
export function ejabberdConflicts(text: string): string[] {
  return parseDocument(text).hasIn(["modules", "mod_stun_disco"]) ? ["mod_stun_disco"] : [];
}

function wanted({ domain, secret, address, port }: ComponentPlace) {
  return {
    listen: [
      { port, ip: address, module: "ejabberd_service", access: "all", hosts: { [domain]: { password: secret } } },
    ] as const,
    acl: { [ruleName]: { server: domain } },
    access_rules: { [ruleName]: { allow: ruleName } },
    modules: {
      mod_delegation: {
        namespaces: Object.fromEntries(delegatedNamespaces.map((name) => [name, { access: ruleName }])),
      },
    },
  };
}

/** A listener for components at that port takes us in, or there is a new one. */
function changeListeners(
  document: Document,
  { domain, port }: ComponentPlace,
  [item]: ReturnType<typeof wanted>["listen"],
): void {
  const listeners = document.get("listen");
  if (!isSeq(listeners)) {
    document.set("listen", document.createNode([item]));
    return;
  }
  const there = listeners.items.find((each): each is YAMLMap => isMap(each) && each.get("port") === port);
  if (there && there.get("module") !== "ejabberd_service") throw new Error(`port ${port} is not for components there`);
  if (there) setUnlessSame(document, ["listen", listeners.items.indexOf(there), "hosts", domain], item.hosts[domain]);
  else listeners.add(document.createNode(item));
}

/** What is there already keeps its place and its style. */
function setUnlessSame(document: Document, path: readonly (string | number)[], value: unknown): void {
  const there = document.getIn(path);
  const plain = isMap(there) || isSeq(there) ? there.toJSON() : there;
  if (JSON.stringify(plain) !== JSON.stringify(value)) document.setIn(path, document.createNode(value));
}
