/** clickgoose: the browser agent. See docs/agent.md. */

/** What a page gives to `start`; `endpoint`, `token` and `key` are those of the answer to `POST /v1/sessions`. */
export interface Options {
  /** Where events go. The only address that the agent ever contacts. */
  endpoint: string;
  token: string;
  key: string;
  /** Your own id of the payment: the one that the session was opened for. */
  transaction: string;
  /** CSS selectors of elements about which nothing is noted. */
  ignore?: readonly string[];
  /** Asked for a new session's token and key before the present ones expire; without it, sending ends with them. */
  renew?: () => Promise<{ token: string; key: string }>;
}

/** What your page may tell: a number of your own, or how the payment goes. */
export type Mark = number | "payment_succeeded" | "payment_declined" | "form_step";

/** Starts collecting. Again with the same session: nothing happens; with another one: it starts anew. */
export function start(options: Options): void;
/**
 * Sends what is known now. Resolves, at the latest after 10 seconds and never with an error, with the id of the last
 * event, whether or not it has arrived: your server may ask for its score with `?wait=`.
 */
export function flush(): Promise<string | undefined>;
/** Notes something that your page knows; `value` belongs to `form_step`: the number of the step. */
export function mark(code: Mark, value?: number): void;
/** Ends collecting; what is known is still sent. */
export function stop(): void;
/** The id of the last event, in hex: what your server asks a score for. */
export function lastEventId(): string | undefined;
/** The ids of all events of this page, the oldest first; the newest 1,000. */
export function eventIds(): string[];
export const version: string;
export as namespace clickgoose;
