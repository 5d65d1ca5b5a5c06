// What the server says by itself: the feed of all runs (one for the page) and the events of one run.
// Both let go of their connection while the page is not looked at: a browser has six for a server, over all its tabs.

import { events, request } from "./api.js";

const WAIT_MIN_MS = 400;
const WAIT_MAX_MS = 8000;
// Refusals that mean: later.
const SOON = new Set([408, 425, 429]);

class Line {
  /** A connection that comes back. `open(signal)` reads until it ends; true from it means: this was the last. */
  constructor(open, onState) {
    this.open = open;
    this.onState = onState;
    this.waitMs = WAIT_MIN_MS;
    this.timer = 0;
    this.abort = null;
    this.over = true;
    this.look = () => (document.hidden ? this.rest() : this.run());
  }

  start() {
    this.over = false;
    document.addEventListener("visibilitychange", this.look);
    addEventListener("online", this.look);
    if (!document.hidden) this.run();
  }

  stop() {
    this.over = true;
    document.removeEventListener("visibilitychange", this.look);
    removeEventListener("online", this.look);
    this.rest();
  }

  rest() {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.abort = null;
    this.onState("resting");
  }

  alive() {
    this.waitMs = WAIT_MIN_MS;
    this.onState("live");
  }

  async run() {
    if (this.over || this.abort) return;
    clearTimeout(this.timer);
    const abort = (this.abort = new AbortController());
    let last = false;
    try {
      last = await this.open(abort.signal);
    } catch (error) {
      if (abort.signal.aborted) return;
      if (error.status >= 400 && error.status < 500 && !SOON.has(error.status)) {
        this.stop();
        this.onState("refused", error);
        return;
      }
    }
    if (abort.signal.aborted) return;
    this.abort = null;
    if (last) {
      this.stop();
      this.onState("ended");
      return;
    }
    this.onState("away");
    this.timer = setTimeout(() => this.run(), this.waitMs * (0.75 + Math.random() / 2));
    this.waitMs = Math.min(this.waitMs * 2, WAIT_MAX_MS);
  }
}

/** The feed of all runs. `subscribe(fn)` gives events (`feed_opened`, `run_changed`, …); `onState` how the line is. */
class Feed {
  constructor() {
    this.readers = new Set();
    this.watchers = new Set();
    this.state = "opening";
    this.line = new Line((signal) => this.read(signal), (state) => this.now(state));
  }

  start() {
    if (this.line.over) this.line.start();
  }

  subscribe(fn) {
    this.readers.add(fn);
    return () => this.readers.delete(fn);
  }

  watch(fn) {
    this.watchers.add(fn);
    fn(this.state);
    return () => this.watchers.delete(fn);
  }

  now(state) {
    this.state = state;
    for (const fn of this.watchers) fn(state);
  }

  async read(signal) {
    for await (const batch of events(await request("GET", "v1/runs/feed", { signal }))) {
      this.line.alive();
      for (const event of batch) if (event !== null && event.message_type !== "ping") for (const fn of this.readers) fn(event);
    }
    return false;
  }
}

export const feed = new Feed();

/** One background run's events from `after` on, wherever its line breaks; each is given once. */
export class Follower {
  constructor(run, { after = 0, onEvents, onState }) {
    this.run = run;
    this.last = after;
    this.onEvents = onEvents;
    this.line = new Line((signal) => this.read(signal), onState);
  }

  start() {
    this.line.start();
    return this;
  }

  stop() {
    if (!this.line.over) this.line.stop();
  }

  async read(signal) {
    const answer = await request("POST", `v1/runs/${this.run}/stream`, { signal, body: { starting_after: this.last, include_pings: true } });
    this.line.alive();
    for await (const batch of events(answer)) {
      if (signal.aborted) return false;
      const done = batch.includes(null);
      const fresh = batch.filter((event) => event !== null && event.seq_id > this.last);
      if (fresh.length) {
        this.last = fresh.at(-1).seq_id;
        this.onEvents(fresh);
      }
      if (done) return true;
    }
    return false;
  }
}
