/** Time zone, locale, and texts that the locale decides. */

import type { Signals } from "../types";
import { take } from "./put";

/** 2024-02-29 13:05:07 UTC: a leap day, an hour that tells 12-hour clocks, one-digit fields. */
const MOMENT = 1_709_211_907_000;

export function describeOffsets(signals: Signals): void {
  const year = new Date().getFullYear();
  take(signals, "number", "intl", {
    timezone_offset: () => new Date().getTimezoneOffset(),
    timezone_offset_january: () => new Date(year, 0, 1).getTimezoneOffset(),
    timezone_offset_july: () => new Date(year, 6, 1).getTimezoneOffset(),
    clock_drift: () => Date.now() - performance.timeOrigin - performance.now(),
  });
}

export function describeIntl(signals: Signals): void {
  const format = new Intl.DateTimeFormat().resolvedOptions();
  take(signals, "category", "intl", {
    locale: () => format.locale,
    calendar: () => format.calendar,
    numbering_system: () => format.numberingSystem,
  });
  take(signals, "text", "intl", { timezone: () => format.timeZone });
}

/** The first text of a kind makes the engine load its tables, so that this waits. */
export function describeFormats(signals: Signals): void {
  take(signals, "category", "intl", {
    hour_cycle: () => hours().hourCycle,
    number_format: () => (1234567.891).toLocaleString(), // a worker formats the same number
    date_format: () =>
      new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long", timeZone: "UTC" }).format(MOMENT),
  });
}

const hours = (): Intl.ResolvedDateTimeFormatOptions =>
  new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions();

export function describeIntlOptions(signals: Signals): void {
  const zone = "UTC";
  const number = (options: object) => () => new Intl.NumberFormat(undefined, options).format(1234.5);
  const date = (options: object) => () =>
    new Intl.DateTimeFormat(undefined, { timeZone: zone, ...options }).format(MOMENT);
  const name = (type: "region" | "language", code: string) => () => new Intl.DisplayNames(undefined, { type }).of(code);
  const collator = (): Intl.ResolvedCollatorOptions => new Intl.Collator().resolvedOptions();
  take(signals, "category", "intl_option", {
    date_locale: () => new Intl.DateTimeFormat().resolvedOptions().locale,
    date_time_zone: () => new Intl.DateTimeFormat().resolvedOptions().timeZone,
    date_hour_cycle: () => hours().hourCycle,
    number_locale: () => new Intl.NumberFormat().resolvedOptions().locale,
    collator_locale: () => collator().locale,
    collator_case_first: () => collator().caseFirst,
    currency_text: number({ style: "currency", currency: "USD" }),
    percent_text: number({ style: "percent" }),
    compact_text: number({ notation: "compact", compactDisplay: "long" }),
    unit_text: number({ style: "unit", unit: "kilometer-per-hour", unitDisplay: "long" }),
    long_date_text: date({ dateStyle: "full" }),
    short_date_text: date({ dateStyle: "short" }),
    relative_text: () => new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(-1, "day"),
    list_text: () => new Intl.ListFormat(undefined).format(["a", "b", "c"]),
    month_text: date({ month: "long" }),
    weekday_text: date({ weekday: "long" }),
    region_text: name("region", "US"),
    language_text: name("language", "pt-BR"),
  });
}
