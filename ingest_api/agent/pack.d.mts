import type { Plugin } from "esbuild";
export const ARGUMENTS: readonly string[];
export function packCatalogue(catalogue: object): { source: string; seeds: number[] };
export function trimFingerprint(source: string): string;
export const sjclCore: Plugin;
