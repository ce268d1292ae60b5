// One figure drawn with uPlot, in the box and with the axes of the picture that the server drew.
//
// `host` is the page: `start` and `end` of the time axis, `points(figure, line)`, `zoom(from, to)` and `reset()`.

import { moment, quantity, scale, times } from "./axis.js";
import { merged, paint } from "./candles.js";
import { t } from "./words.js";

const TOP = 10;
const BOTTOM = 42;
const SIDE = 48;
const SHORTEST = 60; // seconds that a zoom shows at least
const narrow = matchMedia("(max-width: 600px)");

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The point that a line has at a moment: the last one up to it for steps, bars and candles, else the nearest.
function at(figure, line, found, when) {
  let low = 0;
  let high = found.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (found[middle][0] <= when) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [found[low - 1], found[low]];
  if (!before || line.style === "step" || line.style === "bars" || figure.candles) return before;
  return after && after[0] - when < when - before[0] ? after : before;
}

function span(kind, text) {
  const element = document.createElement("span");
  element.className = kind;
  element.textContent = text;
  return element;
}

// The lines of a figure with their points as they are drawn: of candles fewer and longer ones on a narrow screen.
function shown(figure, host) {
  const points = figure.lines.map((line) => host.points(figure, line));
  return figure.candles && narrow.matches ? merged(points, figure.candles) : points;
}

// Columns as uPlot takes them: one of moments, then one a line. In a stack each line stands on those before it.
function columns(figure, host) {
  const tables = shown(figure, host).map((found, index) => {
    const line = figure.lines[index];
    const held = line.style === "step" && found.length ? [[host.end, found.at(-1)[1]]] : [];
    const all = held.length && held[0][0] > found.at(-1)[0] ? [...found, ...held] : found;
    const bare = (value) => (figure.log && value <= 0 ? null : value);
    return [all.map(([at]) => at), all.map(([, value]) => bare(value))];
  });
  const joined = tables.length > 1 ? uPlot.join(tables) : tables[0];
  if (figure.lines.every((line) => line.style !== "stack")) return joined;
  const stacked = joined.map((column, index) => index > 0 && figure.lines[index - 1].style === "stack");
  const there = (at) => joined.some((column, index) => stacked[index] && column[at] != null);
  const sums = joined[0].map((_, at) => (there(at) ? 0 : null));
  return joined.map((column, index) => {
    if (!stacked[index]) return column;
    return column.map((value, at) => (sums[at] === null ? null : (sums[at] += value ?? 0)));
  });
}

export class Plot {
  constructor(figure, host) {
    this.figure = figure;
    this.host = host;
    this.card = document.querySelector(`[data-figure="${CSS.escape(figure.name)}"]`);
    this.box = this.card.querySelector(".plot");
    this.picture = this.box.querySelector(".drawing");
    this.two = this.box.classList.contains("two");
    this.axes = {};
    this.draw();
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "img");
    this.box.setAttribute("aria-label", this.picture.getAttribute("aria-label"));
    this.picture.remove();
    this.keys = (event) => this.key(event);
    this.blur = () => this.tell(null);
    this.box.addEventListener("keydown", this.keys);
    this.box.addEventListener("blur", this.blur);
    this.sizes = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = this.box;
      if (width !== this.u.width || height !== this.u.height) this.u.setSize({ width, height });
    });
    this.sizes.observe(this.box);
  }

  draw() {
    this.u?.destroy();
    const { clientWidth: width, clientHeight: height } = this.box;
    const options = {
      width,
      height,
      padding: [TOP, this.two ? 0 : narrow.matches ? 12 : 20, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false, dist: 6 },
        points: this.figure.candles ? { show: false } : { size: 9, width: 2 },
        bind: { dblclick: () => () => (this.host.reset(), null) },
      },
      scales: { x: { time: true, range: () => [this.host.start, Math.max(this.host.end, this.host.start + 1)] } },
      axes: [this.timeAxis()],
      series: [{}, ...this.figure.lines.map((line) => this.series(line))],
      bands: this.bands(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      hooks: {
        setCursor: [(u) => this.tell(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null)],
        draw: this.figure.candles ? [(u) => paint(u, "left", this.length, token)] : [],
        setSelect: [(u) => u.select.width > 0 && this.zoom(u)],
      },
    };
    for (const side of new Set(this.figure.lines.map((line) => line.axis))) {
      options.scales[side] = this.valueScale(side);
      options.axes.push(this.valueAxis(side));
    }
    this.u = new uPlot(options, columns(this.figure, this.host), this.box);
    this.u.root.setAttribute("aria-hidden", "true");
  }

  font() {
    return `12px ${getComputedStyle(document.body).fontFamily}`;
  }

  timeAxis() {
    const ticks = () => {
      const most = !narrow.matches ? 12 : this.two ? 3 : 5;
      return times(this.host.start, this.host.end, most);
    };
    return {
      scale: "x",
      size: BOTTOM,
      gap: 9,
      font: this.font(),
      stroke: () => token("--quiet"),
      grid: { stroke: () => token("--grid"), width: 1 },
      ticks: { show: false },
      splits: () => ticks().map(([when]) => when),
      values: () => ticks().map(([, label]) => label),
    };
  }

  valueScale(side) {
    const lines = this.figure.lines.filter((line) => line.axis === side);
    const stacked = lines.some((line) => line.style === "stack");
    const zero = this.figure.zero || stacked || lines.some((line) => line.style === "bars");
    const log = this.figure.log && !stacked;
    return {
      distr: log ? 3 : 1,
      range: (u, low, high) => {
        const held = low != null && Number.isFinite(low) && (!log || low > 0);
        this.axes[side] = scale(held ? low : log ? 1 : 0, held ? high : log ? 10 : 1, lines[0].unit, { log, zero });
        return [this.axes[side].low, this.axes[side].high];
      },
    };
  }

  valueAxis(side) {
    const right = side === "right" && this.two;
    return {
      scale: side,
      side: right ? 1 : 3,
      size: SIDE,
      gap: 6,
      font: this.font(),
      stroke: () => token("--quiet"),
      grid: { show: !right, stroke: () => token("--grid"), width: 1 },
      ticks: { show: false },
      splits: () => this.axes[side].values,
      values: () => this.axes[side].labels,
      filter: (u, splits) => splits,
    };
  }

  series(line) {
    const colour = () => token(`--${line.tint}`);
    const made = { scale: line.axis, stroke: colour, width: line.quiet ? 1 : 2, points: { show: false } };
    if (this.figure.candles) made.paths = () => null; // they are drawn together, afterwards
    if (line.style === "step") made.paths = uPlot.paths.stepped({ align: 1 });
    if (line.style === "bars") {
      made.paths = uPlot.paths.bars({ size: [0.8, Infinity], align: 1, gap: 0 });
      Object.assign(made, { width: 0, fill: colour, pxAlign: 0 });
    }
    if (line.style === "stack") Object.assign(made, { width: 1, stroke: () => token("--surface"), fill: colour });
    if (line.style === "line" && this.points(line).length === 1) made.points = { show: true, size: 6, fill: colour };
    return made;
  }

  bands() {
    const { lines, fills } = this.figure;
    const place = (name) => lines.findIndex((line) => line.name === name) + 1;
    const height = (name) => this.points({ name }).findLast(([, value]) => value !== null)?.[1] ?? 0;
    const found = fills.map(([one, other]) => {
      const edges = height(one) < height(other) ? [other, one] : [one, other]; // the upper one first
      return { series: edges.map(place), fill: () => `${token(`--${lines[place(one) - 1].tint}`)}24` };
    });
    const stack = lines.map((line, index) => [line, index + 1]).filter(([line]) => line.style === "stack");
    stack.slice(1).forEach(([, index], before) => found.push({ series: [index, stack[before][1]] }));
    return found;
  }

  // The legend says what is under the cursor, or, without one, what is newest.
  tell(when) {
    const legend = this.card.querySelector(".legend");
    const newest = Math.max(...this.figure.lines.map((line) => this.newest(line)?.[0] ?? 0));
    const drawn = shown(this.figure, this.host);
    const [head, time] = legend.querySelector(".moment").children;
    head.textContent = when === null ? t("Newest") : t("Under the cursor");
    let told = when === null ? newest : 0;
    for (const [index, line] of this.figure.lines.entries()) {
      const point = when === null ? this.newest(line) : at(this.figure, line, drawn[index], when);
      const value = legend.querySelector(`[data-line="${CSS.escape(line.name)}"] .key-value`);
      if (point && when !== null && Math.abs(point[0] - when) < Math.abs(told - when)) told = point[0];
      if (!point || point[1] === null) {
        value.replaceChildren(span("quiet", this.figure.candles ? t("not known") : t("nothing")));
        continue;
      }
      const [number, unit] = quantity(point[1], line.unit);
      value.replaceChildren(span("n", number), ...(unit ? ["\u00a0", span("u", unit)] : []));
    }
    time.textContent = told ? moment(told) : "";
  }

  points(line) {
    return this.host.points(this.figure, line);
  }

  newest(line) {
    const points = this.points(line);
    return this.figure.candles ? points.at(-1) : points.findLast(([, value]) => value !== null);
  }

  // Seconds of a candle as it is drawn.
  get length() {
    return this.figure.candles[narrow.matches ? "narrow" : "seconds"];
  }

  zoom(u) {
    const from = Math.floor(u.posToVal(u.select.left, "x"));
    const to = Math.ceil(u.posToVal(u.select.left + u.select.width, "x"));
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (to - from >= SHORTEST) this.host.zoom(from, to);
  }

  // Arrows move the cursor from point to point; Escape takes it away.
  key(event) {
    const { u } = this;
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") return u.setCursor({ left: -10, top: -10 });
    if (!(event.key in moves) || event.altKey || event.ctrlKey || event.metaKey) return undefined;
    event.preventDefault();
    const moments = u.data[0];
    const now = u.cursor.left >= 0 ? u.cursor.idx : moments.length;
    const next = Math.min(moments.length - 1, Math.max(0, now + moves[event.key] * (event.shiftKey ? 10 : 1)));
    const middle = this.figure.candles ? this.length / 2 : 0;
    return u.setCursor({ left: u.valToPos(moments[next] + middle, "x"), top: 10 });
  }

  // New points of the same figure.
  update(figure) {
    this.figure = figure;
    this.u.setData(columns(figure, this.host));
    if (this.u.cursor.left >= 0) this.tell(this.u.posToVal(this.u.cursor.left, "x"));
  }

  repaint() {
    this.u.redraw(false);
  }

  destroy() {
    this.sizes.disconnect();
    this.box.removeEventListener("keydown", this.keys);
    this.box.removeEventListener("blur", this.blur);
    this.u.destroy();
  }
}
