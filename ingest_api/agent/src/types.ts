/** What the parts of the agent hand to each other. Wire names and numbers come from the generated `catalogue.ts`. */

/** What a page gives to `clickgoose.start`. `token` and `key` are those of the answer to `POST /v1/sessions`. */
export interface Options {
  /** Where events go: `endpoint` of the session. The only address that the agent ever contacts. */
  endpoint: string;
  token: string;
  /** One opaque string: version, key id, session id, sealing key and signing key. */
  key: string;
  /** The merchant's own id of the payment, the one that the session was opened for. */
  transaction: string;
  /** CSS selectors of elements about which nothing is noted. */
  ignore?: readonly string[];
  /** Asked for a new session's token and key before the present ones expire; without it, sending ends with them. */
  renew?: () => Promise<Pick<Options, "token" | "key">>;
}

/** Notes one entry of the activity log, now or at `at` (ms since navigation start, `performance.now()`'s clock). */
export type Log = (code: number, value?: number, target?: number, at?: number) => void;

/** Takes signals by their catalogue names. An absent value (null, undefined, NaN, infinite) stays absent. */
export interface Signals {
  number(name: string, value: number | null | undefined): void;
  boolean(name: string, value: boolean | null | undefined): void;
  /** Only the 32-bit FNV-1a of the UTF-8 text is kept. */
  category(name: string, value: string | null | undefined): void;
  /** The text leaves the page (sealed) as it is: the caller has masked it. */
  text(name: string, value: string | null | undefined): void;
}

/** Runs tasks one after another in idle time; each is meant to take less than 50 ms of the main thread. */
export interface Scheduler {
  /** Resolves with the task's result, or with undefined where it threw or the agent was stopped. */
  run<T>(task: () => T | Promise<T>): Promise<T | undefined>;
}

/** Collects all signals; resolves once the last is there. `first` is called once the quick ones are. */
export type Collect = (signals: Signals, scheduler: Scheduler, first: () => void) => Promise<void>;

/** Watches the page until the returned function is called. Nothing that the person types is read. */
export type Watch = (log: Log, signals: Signals, options: Pick<Options, "ignore" | "endpoint">) => () => void;
