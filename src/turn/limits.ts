// How much one client, one user and everyone together may hold. What is refused for it: 486 and 508 (RFC 8656 section 5).

export interface Limits {
  readonly allocations: number;
  readonly allocationsPerUser: number;
  /** Per client address; for IPv6 per /64, since one host has all of it. */
  readonly allocationsPerAddress: number;
  readonly permissionsPerAllocation: number;
  readonly channelsPerAllocation: number;
  /** To peers, of all TCP allocations. */
  readonly peerConnections: number;
  readonly peerConnectionsPerUser: number;
  readonly peerConnectionsPerAllocation: number;
}

export const defaultLimits: Limits = {
  allocations: 10_000,
  allocationsPerUser: 100,
  allocationsPerAddress: 200,
  permissionsPerAllocation: 200,
  channelsPerAllocation: 200,
  peerConnections: 5000,
  peerConnectionsPerUser: 200,
  peerConnectionsPerAllocation: 50,
};
