// What is used of the `stun` package (@msimerson/stun), which comes without types: by the client side here, and by the
// tests that hold our own codec against it.

declare module "stun" {
  export interface Attribute {
    readonly type: number;
    readonly value: unknown;
  }

  export interface IndependentMessage extends Iterable<Attribute> {
    readonly type: number;
    readonly transactionId: Buffer;
    isLegacy(): boolean;
    getAttribute(type: number): Attribute | undefined;
    addAttribute(type: number, ...values: unknown[]): Attribute | undefined;
    addMessageIntegrity(key: Uint8Array | string): unknown;
    addMessageIntegritySha256(key: Uint8Array | string): unknown;
    addFingerprint(): unknown;
  }

  /** Throws when it cannot. */
  export function decode(bytes: Buffer): IndependentMessage;
  export function encode(message: IndependentMessage): Buffer;
  /** Without an id, it has a random one. */
  export function createMessage(type: number, transactionId?: Buffer): IndependentMessage;
  export function validateFingerprint(message: IndependentMessage): boolean;
  export function validateMessageIntegrity(message: IndependentMessage, key: Uint8Array): boolean;
  export function validateMessageIntegritySha256(message: IndependentMessage, key: Uint8Array): boolean;
}
