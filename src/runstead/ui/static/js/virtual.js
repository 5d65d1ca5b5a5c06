// A list of any length of which only what is seen exists. Rows have one height; the scrollbar is as long as the whole list.

import { h, setCss } from "./dom.js";

const OVERSCAN = 10;

export class VirtualList {
  /** `make(index)` gives a row; `near(last)` is told of the last row wanted, so that more can be fetched. */
  constructor({ rowHeight, make, near, props = {}, bodyProps = {}, header }) {
    this.rowHeight = rowHeight;
    this.make = make;
    this.near = near;
    this.count = 0;
    this.rows = new Map();
    this.body = h("div", { class: "v-body", ...bodyProps });
    this.el = h("div", { class: "v-list", ...props, on: { scroll: () => this.plan() } }, header, this.body);
    this.frame = 0;
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this.el);
  }

  measure() {
    const height = this.rowHeight();
    if (height !== this.height) {
      this.height = height;
      this.clear();
      this.setCount(this.count);
    }
    this.plan();
  }

  get height_() {
    return (this.height ??= this.rowHeight());
  }

  setCount(count) {
    this.count = count;
    setCss(this.body, { height: `${count * this.height_}px` });
    this.plan();
  }

  /** Forget rows: all, or those from an index on. */
  clear(from = 0) {
    for (const [index, row] of this.rows) {
      if (index >= from) {
        row.remove();
        this.rows.delete(index);
      }
    }
  }

  plan() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const height = this.height_;
    const first = Math.max(0, Math.floor(this.el.scrollTop / height) - OVERSCAN);
    const last = Math.min(this.count, Math.ceil((this.el.scrollTop + this.el.clientHeight) / height) + OVERSCAN);
    for (const [index, row] of this.rows) {
      if ((index < first || index >= last) && !row.contains(document.activeElement)) {
        row.remove();
        this.rows.delete(index);
      }
    }
    const fresh = [];
    for (let index = first; index < last; index += 1) {
      if (this.rows.has(index)) continue;
      const row = this.make(index);
      if (!row) continue;
      setCss(row, { transform: `translateY(${index * height}px)`, height: `${height}px` });
      this.rows.set(index, row);
      fresh.push(row);
    }
    if (fresh.length) this.insert(fresh);
    this.near?.(last);
  }

  /** Rows stand in the order of the list also in the document: for who reads or tabs through them. */
  insert(fresh) {
    for (const row of fresh) this.body.append(row);
    const order = [...this.rows.entries()].sort(([a], [b]) => a - b).map(([, row]) => row);
    let before = null;
    for (const row of order.reverse()) {
      if (row.nextSibling !== before) this.body.insertBefore(row, before);
      before = row;
    }
  }

  show(index) {
    const top = index * this.height_;
    const { scrollTop, clientHeight } = this.el;
    if (top < scrollTop) this.el.scrollTop = top;
    else if (top + this.height_ * 2 > scrollTop + clientHeight) this.el.scrollTop = top - clientHeight + this.height_ * 2;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.draw();
    return this.rows.get(index);
  }

  stop() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
  }
}
