// Plots from numbers, drawn here: stacked columns over time, dots, and bars in a table. Each can be read as words too.

import { fill, h, setCss, svg } from "./dom.js";

const HEIGHT = 150;
const LEFT = 52;
const BOTTOM = 20;

/** A round number at least as large. */
export function ceiling(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * size).find((step) => step >= value);
}

/** Drawn as wide as there is room, and anew when that changes: its words are as large as those around it. */
function plot(draw) {
  const el = h("div", { class: "plot" });
  let drawn = 0;
  new ResizeObserver(([{ contentRect }]) => {
    const width = Math.round(contentRect.width);
    if (width === 0 || width === drawn) return;
    drawn = width;
    fill(el, draw(width));
  }).observe(el);
  return el;
}

function frame(label, width, max, format, ...children) {
  const lines = [0, 0.5, 1].map((part) => {
    const y = (HEIGHT - BOTTOM) * (1 - part) + 6 * part;
    return [svg("line", { class: "grid", x1: LEFT, x2: width, y1: y, y2: y }), svg("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, format(max * part))];
  });
  return svg("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label }, lines, children);
}

function times(width, from, to, format) {
  return [0, 0.5, 1].map((part) => svg("text", { class: "tick", x: LEFT + (width - LEFT) * part, y: HEIGHT - 4, "text-anchor": ["start", "middle", "end"][part * 2] }, format(from + (to - from) * part)));
}

const y = (value, max) => (HEIGHT - BOTTOM) - ((HEIGHT - BOTTOM - 6) * value) / max;

/** `columns`: for each span of time, the value of each series. */
export function stacked({ label, columns, series, from, to, formatTime, format }) {
  const max = ceiling(Math.max(...columns.map((column) => series.reduce((sum, name) => sum + (column[name] ?? 0), 0))));
  return plot((width) => {
    const step = (width - LEFT) / columns.length;
    const bars = columns.flatMap((column, index) => {
      let sum = 0;
      return series.filter((name) => column[name]).map((name) => {
        const top = y(sum + column[name], max);
        const bottom = y(sum, max);
        sum += column[name];
        return svg("rect", { class: `fill is-${name}`, x: LEFT + index * step + 1, width: Math.max(1, step - 3), rx: 1.5, y: top, height: Math.max(0.5, bottom - top) });
      });
    });
    return frame(label, width, max, format, bars, times(width, from, to, formatTime));
  });
}

/** One dot a point `[time, value]`, and a line at the median. */
export function dots({ label, points, from, to, formatTime, format }) {
  const values = points.map(([, value]) => value).sort((a, b) => a - b);
  // A few very slow ones would press all others flat; they stand at the top.
  const max = ceiling(Math.max(quantile(values, 0.98) * 1.1, 1e-9));
  const middle = y(Math.min(quantile(values, 0.5), max), max);
  return plot((width) => {
    const x = (at) => LEFT + 4 + ((width - LEFT - 8) * (at - from)) / Math.max(1, to - from);
    return frame(label, width, max, format,
      points.map(([at, value]) => svg("circle", { class: "dot", cx: x(at), cy: y(Math.min(value, max), max), r: 2.5 })),
      svg("line", { class: "median", x1: LEFT, x2: width, y1: middle, y2: middle }), times(width, from, to, formatTime));
  });
}

/** A value below which that share of the sorted values lies. */
export function quantile(sorted, share) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] : 0;
}

/** A table whose first number is also a bar. `rows`: name, link or null, numbers. */
export function ranked({ caption, heads, rows, formats }) {
  const max = Math.max(1, ...rows.map((row) => row.values[0]));
  return h("table", { class: "ranked" }, h("caption", { class: "hidden" }, caption),
    h("thead", {}, h("tr", {}, heads.map((head, index) => h("th", { scope: "col", class: index ? "num" : null }, head)))),
    h("tbody", {}, rows.map((row) => {
      const bar = h("span", { class: "rank", "aria-hidden": "true" });
      setCss(bar, { width: `${(row.values[0] / max) * 100}%` });
      return h("tr", {}, h("th", { scope: "row" }, row.href ? h("a", { href: row.href }, row.name) : row.name, bar), row.values.map((value, index) => h("td", { class: "num" }, formats[index](value))));
    })));
}
