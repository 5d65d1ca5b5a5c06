// What a page had heard of a run when it was reloaded, kept in the tab so that the new page goes on at the same event.
// It is given back once, and only to the run it is of. It never leaves the tab.

const KEY = "runstead.heard";
const CHARS_MAX = 2_000_000;
let left = false;

/** Keep a run's events, all from its first on. More than a tab should hold is not kept: the log has them, too. */
export function keep(run, events) {
  if (left) return;
  const text = JSON.stringify({ run, events });
  if (text.length > CHARS_MAX) return;
  try {
    sessionStorage.setItem(KEY, text);
  } catch {
    // The tab's room is used up: the next page reads the log from its start.
  }
}

/** The reader leaves: nothing is kept for who comes after. */
export function forget() {
  left = true;
  sessionStorage.removeItem(KEY);
}

/** The events that were kept of a run, or none. What was kept of another one is forgotten. */
export function takeKept(run) {
  const text = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  const kept = text === null ? null : JSON.parse(text);
  return kept?.run === run ? kept.events : [];
}
