// What the tests want of an XMPP server, whichever it is: two domains, a component of the first, and its users' XEP-0215
// delegated to that component.

/** Accounts of every server that is started: `alice` and `bob` at `domain`, `mallory` at `otherDomain`. */
export const password = "pw";
export const domain = "example.test";
export const otherDomain = "elsewhere.test";
export const componentDomain = "relay.example.test";
/** Where rooms are (XEP-0045); anybody may make one. */
export const roomsDomain = "rooms.example.test";
export const componentSecret = "geheim-文件";

export interface XmppServer {
  readonly name: string;
  /** The file of its configuration. */
  readonly config: string;
  /** What the delegating server speaks (XEP-0355). */
  readonly delegation: string;
  /** `xmpp://…` for clients, and for components. */
  readonly clients: string;
  readonly components: string;
  /** For clients on BOSH (XEP-0124): `http://…`, and on WebSocket (RFC 7395): `ws://…`. */
  readonly bosh: string;
  readonly webSocket: string;
  start(): Promise<void>;
  /** One more account at `domain`, with the password of all. */
  addUser(name: string): Promise<void>;
  /** It can be started again, with the accounts it had. */
  stop(): Promise<void>;
  /** Stops it for good: nothing of it is left behind. */
  discard(): Promise<void>;
}
