declare module "node-gyp-build" {
  /** Loads what was built in this folder for this machine, or the prebuilt one that fits. Throws if there is none. */
  const load: (folder: string) => unknown;
  export = load;
}
