// Times, durations and numbers as people read them. Digits keep their width, so that nothing jumps while they change.

const DAY_MS = 86_400_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const number = new Intl.NumberFormat();

/** A time of the API in milliseconds. Some of its fields have no zone; all are UTC. */
export function ms(text) {
  if (!text) return null;
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
}

export function count(value) {
  return number.format(value ?? 0);
}

/** 12 ms, 3.4 s, 2 min 5 s, 3 h 12 min. */
export function duration(millis) {
  if (millis === null || millis === undefined || Number.isNaN(millis)) return "–";
  if (millis < 1000) return `${Math.max(0, Math.round(millis))} ms`;
  const seconds = millis / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** When something was: now, 4 min ago, 14:02:11, 3 Mar. */
export function when(at, now = Date.now()) {
  if (at === null) return "–";
  const age = now - at;
  if (age < 10_000) return "now";
  if (age < 60_000) return `${Math.floor(age / 1000)} s ago`;
  if (age < 3_600_000) return `${Math.floor(age / 60_000)} min ago`;
  if (age < DAY_MS / 2) return clock.format(at).replace(/:\d\d(?=\D*$)/, "");
  return day.format(at);
}

/** How far off something is: in 3 h 12 min, any moment. */
export function until(at, now = Date.now()) {
  return at <= now ? "any moment" : `in ${duration(at - now)}`;
}

export function moment(at) {
  return at === null ? "–" : whole.format(at);
}

export function clockTime(at) {
  return clock.format(at);
}

/** 812, 4.2k, 1.3M. */
export function tokens(value) {
  if (value === null || value === undefined) return "–";
  if (value < 10_000) return number.format(value);
  if (value < 1_000_000) return `${(value / 1000).toFixed(value < 100_000 ? 1 : 0)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

/** 812 B, 4.2 kB, 1.3 MB. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = bytes > 0 ? Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3)) : 0;
  const value = (bytes ?? 0) / 1000 ** step;
  return `${value.toFixed(step === 0 || value >= 100 ? 0 : 1)} ${units[step]}`;
}

/** Dollars: $1,240, $0.31, $0.0042. Nothing where no price is known. */
export function money(value) {
  if (value === null || value === undefined) return null;
  const digits = value >= 100 ? 0 : value >= 0.1 || value === 0 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(value)));
  return `$${value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** A text for one line. */
export function line(text, chars = 160) {
  const flat = (text ?? "").slice(0, chars * 4).replace(/\s+/g, " ").trim();
  return flat.length > chars ? `${flat.slice(0, chars)}…` : flat;
}

/** A model's name without its provider. */
export function modelName(handle) {
  return handle ? handle.slice(handle.indexOf("/") + 1) : "–";
}

/** JSON laid out where it is JSON, else as it is. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
