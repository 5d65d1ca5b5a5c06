// The page: which view stands for the address, the navigation beside it, and what holds for all views.
// Addresses are behind a `#`, so that the page works under any path and needs nothing of the server.

import { get, hasKey, forgetKey, keysFrom } from "./api.js";
import { askKey } from "./dialog.js";
import { button, fill, h, icon, setText } from "./dom.js";
import { forget } from "./kept.js";
import { feed } from "./live.js";
import { AgentView } from "./views/agent.js";
import { AgentsView } from "./views/agents.js";
import { ApprovalsView } from "./views/approvals.js";
import { OverviewView } from "./views/overview.js";
import { RunView } from "./views/run.js";
import { RunsView } from "./views/runs.js";

const ROUTES = [
  [/^\/runs$/, RunsView, () => ({})],
  [/^\/runs\/([\w-]+)$/, RunView, ([id]) => ({ id })],
  [/^\/approvals$/, ApprovalsView, () => ({})],
  [/^\/agents$/, AgentsView, () => ({})],
  [/^\/agents\/([\w-]+)\/(conversations)\/([\w-]+)$/, AgentView, ([id, tab, part]) => ({ id, tab, part })],
  [/^\/agents\/([\w-]+)(?:\/(chat|memory|tools|conversations|about))?$/, AgentView, ([id, tab]) => ({ id, tab })],
  [/^\/overview$/, OverviewView, () => ({})],
];
const NAV = [["runs", "Runs"], ["approvals", "Approvals"], ["agents", "Agents"], ["overview", "Overview"]];
const main = document.getElementById("main");
const dark = matchMedia("(prefers-color-scheme: dark)");
let current = null;
let navigated = false;
let shownHash = null;
let parked = null;

function go(hash, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
  show();
}

function show() {
  // A link tells of its address twice; one answer is enough.
  if (location.hash === shownHash && current) return;
  shownHash = location.hash;
  const [path, search = ""] = (location.hash.slice(1) || "/runs").split("?");
  const params = new URLSearchParams(search);
  const found = ROUTES.map(([pattern, View, read]) => [pattern.exec(path), View, read]).find(([match]) => match);
  const section = NAV.find(([name]) => path.startsWith(`/${name}`))?.[0] ?? "runs";
  for (const link of nav.querySelectorAll("a")) link.toggleAttribute("aria-current", false);
  nav.querySelector(`[href="#/${section}"]`)?.setAttribute("aria-current", "page");
  const [match, View, read] = found ?? [[], RunsView, () => ({})];
  const given = read(match.slice(1));
  const key = `${View.name}/${given.id ?? ""}`;
  if (current?.key === key && current.view.update) {
    current.view.update(params, given);
    return;
  }
  // The list of runs is kept while one of them is looked at: who comes back finds the place again.
  if (current?.view.park) parked = { key: current.key, view: current.view.park() };
  else current?.view.dispose();
  const back = parked?.key === key ? parked.view : null;
  const view = back ?? new View({ ...given, params, go, onCount: showWaiting });
  current = { key, view };
  document.title = `${view.title} · Runstead`;
  fill(main, view.el);
  main.scrollTop = 0;
  back?.unpark(params);
  // Who moves by keyboard or ear lands at the new view's heading; at the first opening the page's top is right.
  if (navigated) view.el.querySelector("h1")?.focus({ preventScroll: true });
  navigated = true;
}

const nav = document.getElementById("nav");
const waiting = h("span", { class: "count", hidden: true });
fill(nav, NAV.map(([name, text]) => h("a", { href: `#/${name}` }, icon(name, 18), h("span", {}, text), name === "approvals" && waiting)));

function showWaiting(value) {
  waiting.hidden = value === 0;
  setText(waiting, String(value));
  waiting.setAttribute("aria-label", `${value} waiting`);
}

/** How many agents wait for a person; asked for seldom, and when something ended. */
async function countWaiting() {
  try {
    const last = await get("v1/agents/count?last_stop_reason=requires_approval");
    if (!(current?.view instanceof ApprovalsView)) showWaiting(last);
  } catch {
    // The views say what is wrong with the server.
  }
}

function themeButton() {
  const chosen = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  const el = h("button", { type: "button", class: "button quiet icon-only" });
  const draw = () => {
    const other = chosen() === "dark" ? "light" : "dark";
    fill(el, icon(other === "dark" ? "moon" : "sun", 18));
    el.setAttribute("aria-label", `Use the ${other} theme`);
  };
  el.addEventListener("click", () => {
    const next = chosen() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("runstead.theme", next);
    } catch {
      // The choice lasts as long as the page.
    }
    draw();
  });
  dark.addEventListener("change", draw);
  draw();
  return el;
}

const LINE = { opening: "Connecting", live: "Live", away: "Reconnecting", resting: "Paused", refused: "Not allowed", ended: "Ended" };
const line = h("span", { class: "line" }, h("span", { class: "pulse", "aria-hidden": "true" }), h("span", {}));
const leave = button("Forget key", { kind: "quiet small", onclick: () => (forgetKey(), forget(), location.reload()) });
fill(document.getElementById("side-foot"), line, leave, themeButton());
feed.watch((state) => {
  line.className = `line is-${state}`;
  setText(line.lastChild, LINE[state]);
  leave.hidden = !hasKey();
});
let counting = 0;
feed.subscribe((event) => {
  if (event.message_type === "run_changed" && event.run.status === "running") return;
  counting ||= setTimeout(() => ((counting = 0), countWaiting()), 500);
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const search = main.querySelector("input[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
});
addEventListener("hashchange", show);
addEventListener("popstate", show);
// A key that was given late lets in also what was refused before.
addEventListener("runstead.key", () => feed.start());
keysFrom(askKey);
show();
feed.start();
