/** How a collector asks one question and hands over the answer: a question that throws leaves its signal absent. */

import { BOOLEANS, CATEGORIES, NUMBERS } from "../catalogue";
import type { Scheduler, Signals } from "../types";

/** What a browser has is the question here: types of lib.dom would answer it before it was asked. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Loose = any;

/** Runs a task in idle time; undefined where it threw or the agent was stopped. */
export type Run = Scheduler["run"];

interface Kinds {
  number: number;
  boolean: boolean;
  category: string;
  text: string;
}
type Kind = keyof Kinds;
type Answer<K extends Kind> = Kinds[K] | null | undefined;

const LISTS = { number: NUMBERS, boolean: BOOLEANS, category: CATEGORIES };

/** The page's window, or a worker's scope. */
export const scope: Loose = globalThis;

/** The answer, undefined where the question throws. */
export function ask<T>(question: () => T): T | undefined {
  try {
    return question();
  } catch {
    return undefined;
  }
}

function put<K extends Kind>(signals: Signals, kind: K, name: string, question: () => Answer<K>): void {
  (signals[kind] as (this: Signals, name: string, value: Answer<K>) => void).call(signals, name, ask(question));
}

/** Asks each of these questions; their keys are the signals' names in the family. */
export function take<K extends Kind>(
  signals: Signals,
  kind: K,
  family: string,
  questions: Readonly<Record<string, () => Answer<K>>>,
): void {
  for (const [member, question] of Object.entries(questions)) put(signals, kind, `${family}.${member}`, question);
}

/** Asks one question about every member of a table-driven family, by the names of the catalogue. */
export function each<K extends "number" | "boolean" | "category">(
  signals: Signals,
  kind: K,
  family: string,
  question: (member: string) => Answer<K>,
): void {
  const prefix = `${family}.`;
  for (const name of LISTS[kind]) {
    if (name.startsWith(prefix)) put(signals, kind, name, () => question(name.slice(prefix.length)));
  }
}

/** All members of a family of one kind. */
export function members(kind: keyof typeof LISTS, family: string): string[] {
  const prefix = `${family}.`;
  return LISTS[kind].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
}

/** What a promise gives within so many ms; undefined where it fails or takes longer. */
export function within<T>(ms: number, start: () => T | PromiseLike<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    const done = (value?: T): void => {
      clearTimeout(timer);
      resolve(value);
    };
    Promise.resolve(ask(start)).then(done as (value: T | undefined) => void, () => done());
  });
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether `a.b.c` leads to something from an object on. */
export function reach(root: Loose, path: string): boolean {
  let at = root;
  for (const name of path.split(".")) {
    if (at === null || at === undefined || !(name in Object(at))) return false;
    at = at[name];
  }
  return at !== undefined && at !== null;
}
