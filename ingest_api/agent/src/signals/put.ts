/** How a collector asks one question and hands over the answer: a question that throws leaves its signal absent. */

import { BOOLEANS, CATEGORIES, NUMBERS, TEXTS } from "../catalogue";
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

const LISTS = { number: NUMBERS, boolean: BOOLEANS, category: CATEGORIES, text: TEXTS };

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
export function each<K extends Kind>(
  signals: Signals,
  kind: K,
  family: string,
  question: (member: string) => Answer<K>,
): void {
  for (const member of members(kind, family)) put(signals, kind, `${family}.${member}`, () => question(member));
}

/** All members of a family of one kind. */
export function members(kind: Kind, family: string): string[] {
  const prefix = `${family}.`;
  return LISTS[kind].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
}

/** `device_memory` as `deviceMemory`. A worker does it too, so it holds on to nothing around it. */
export const camel = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/**
 * Asks about all members of a family: each by its own question where it has one, else by the property that it is named
 * after, of the first object that has it. `has_x` is whether the first object has x, `x_count` its length.
 */
export function look(
  signals: Signals,
  family: string,
  objects: readonly Loose[],
  own: Readonly<Record<string, () => unknown>>,
): void {
  const answer = (member: string): Loose => {
    if (own[member]) return own[member]();
    const [, has, name, count] = /^(has_)?(\w+?)(_count)?$/.exec(member)!;
    const key = camel(name!);
    if (has) return key in objects[0];
    const value = objects.find((one) => key in Object(one))[key];
    return count ? value.length : value;
  };
  for (const kind of ["number", "boolean", "category", "text"] as const) each(signals, kind, family, answer);
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
