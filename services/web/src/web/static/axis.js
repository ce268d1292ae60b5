// How values and axes read: the same rules as web.charts.drawing.units and .axis, so that a picture which the
// script draws is the one that the server drew, and a value under the cursor reads like the newest one in the legend.

import { dates, localized, months, signs, t } from "./words.js";

const SI = ["", "k", "M", "G", "T", "P", "E", "Z"];
const HIGHEST = { "H/s": 6, vB: 2, "vB/s": 2, B: 3, "": 4 };
const WORDS = ["", t("thousand"), t("million")];
const COIN = 100000000;
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

// --- values ----------------------------------------------------------------------------------------

export function fixed(value, decimals) {
  const [whole, rest] = Math.abs(value).toFixed(decimals).split(".");
  const text = localized(whole.replace(/\B(?=(\d{3})+$)/g, ",") + (rest ? `.${rest}` : ""));
  return value < 0 && /[1-9]/.test(text) ? `-${text}` : text;
}

function trimmed(text) {
  if (!text.includes(signs["."])) return text;
  const bare = text.replace(/0+$/, "");
  return bare.endsWith(signs["."]) ? bare.slice(0, -1) : bare;
}

function significant(value, digits = 3) {
  let decimals = digits - 1;
  for (const limit of [10, 100, 1000, 10000]) {
    if (Math.abs(value) < limit) break;
    decimals -= 1;
  }
  return fixed(value, Math.max(decimals, 0));
}

function tiny(value) {
  if (Math.abs(value) >= 0.0001) return localized(String(Number(value.toPrecision(3))));
  const [mantissa, exponent] = value.toExponential(2).split("e");
  return `${localized(mantissa)}×10${raised(Number(exponent))}`;
}

const raised = (exponent) => String(exponent).replace("-", "⁻").replace(/\d/g, (digit) => RAISED[digit]);

function power(size, highest = SI.length - 1) {
  let found = 0;
  for (let rest = size; rest >= 1000 && found < highest; rest /= 1000) found += 1;
  return found;
}

function scaled(value, unit, highest, digits = 3) {
  const step = power(Math.abs(value), highest);
  const number = value / 1000 ** step;
  let text = significant(number, digits);
  if (step === 0 && Number.isInteger(number)) text = fixed(number, 0);
  else if (number && Math.abs(number) < 1) text = tiny(number);
  return [text, SI[step] + unit];
}

// [number, unit] of a value of a line.
export function quantity(value, unit) {
  const [number, shown] = form(value, unit);
  return [number.replace(/^-/, "−"), shown];
}

function form(value, unit) {
  if (unit === "") {
    const [number, prefix] = scaled(value, "", HIGHEST[""], value >= 1e6 ? 5 : 3);
    return [number, prefix.toUpperCase()];
  }
  if (unit in HIGHEST) return scaled(value, unit, HIGHEST[unit]);
  if (unit === "BTC") {
    if (value && Math.abs(value) < 0.01) return [fixed(value * COIN, 0), "sat"];
    return [trimmed(significant(value, 4)), unit];
  }
  if (unit === "sat/vB" && value > 0 && value < 0.1) return [tiny(value), unit];
  if (unit === "sat/vB") return [trimmed(fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0)), unit];
  if (unit === "%") return [fixed(value, 2), unit];
  return [trimmed(significant(value)), unit];
}

// What the numbers along an axis are divided by, and the unit above them.
function divisor(top, unit) {
  if (unit in HIGHEST && top > 0 && top < 0.01) {
    const exponent = 3 * Math.floor(Math.log10(top) / 3);
    return [10 ** exponent, `×10${raised(exponent)} ${unit}`.trim()];
  }
  if (unit in HIGHEST) {
    const step = power(top, HIGHEST[unit]);
    return [1000 ** step, (unit === "" ? SI[step].toUpperCase() : SI[step]) + unit];
  }
  if (unit === "BTC" && top > 0 && top < 0.01) {
    const [by, words] = divisor(top * COIN, "sat");
    return [by / COIN, words];
  }
  const step = top >= 1e6 ? 2 : top >= 1e4 ? 1 : 0;
  return [1000 ** step, `${WORDS[step]} ${unit}`.trim()];
}

function even(values, by) {
  const step = Math.min(...values.slice(1).map((value, index) => (value - values[index]) / by));
  const decimals = step > 0 && step < Infinity ? Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) : 0;
  return values.map((value) => (value ? fixed(value / by, decimals).replace("-", "−") : "0"));
}

function compact(value, unit) {
  if (value < 1) return localized(value.toFixed(10).replace(/0+$/, ""));
  const step = power(value);
  const prefix = unit === "" ? SI[step].toUpperCase() : SI[step];
  return `${fixed(value / 1000 ** step, 0)} ${prefix}`.trim();
}

// {low, high, unit, values, labels} of a value axis that holds `low` to `high` and ends at round values.
export function scale(low, high, unit, { log = false, zero = false } = {}) {
  if (log) return logarithmic(low, high, unit);
  if (zero || (low >= 0 && low <= 0.3 * high)) low = Math.min(low, 0);
  if (zero) high = Math.max(high, 0);
  if (low === high) {
    const room = Math.abs(low) / 10 || 1;
    [low, high] = [low ? low - room : 0, high + room];
  }
  const step = round((high - low) / 5);
  const values = [];
  for (let at = Math.floor(low / step + 1e-9); at <= Math.ceil(high / step - 1e-9); at += 1) values.push(at * step);
  [low, high] = [values[0], values.at(-1)];
  const [by, words] = divisor(Math.max(Math.abs(low), Math.abs(high)), unit);
  return { low, high, unit: words, values, labels: even(values, by) };
}

function round(step) {
  const ten = 10 ** Math.floor(Math.log10(step));
  return ten * [1, 2, 5, 10].find((factor) => step <= factor * ten * (1 + 1e-9));
}

function logarithmic(low, high, unit) {
  if (high < 10 * low) return short(low, high, unit);
  const first = Math.floor(Math.log10(low) + 1e-9);
  const last = Math.ceil(Math.log10(high) - 1e-9);
  const ladder = [];
  for (let at = first - 1; at < last + 2; at += 1) ladder.push(...[1, 2, 5].map((factor) => factor * 10 ** at));
  const bottom = ladder.findLast((value) => value <= low * (1 + 1e-9));
  const top = ladder.find((value) => value >= high * (1 - 1e-9) && value > bottom);
  let values = ladder.filter((value) => value >= bottom && value <= top);
  if (top / bottom > 100) {
    const stride = Math.ceil((last - first) / 6);
    values = [];
    for (let at = Math.ceil(first / stride) * stride; at <= last; at += stride) values.push(10 ** at);
    values = values.filter((value) => value >= bottom && value <= top);
  }
  return { low: bottom, high: top, unit, values, labels: values.map((value) => compact(value, unit)) };
}

function short(low, high, unit) {
  if (low === high) [low, high] = [low * 0.9, high * 1.1];
  const step = round((high - low) / 5);
  const bottom = (Math.floor((low / step) * 10 + 1e-9) * step) / 10;
  const values = [];
  for (let at = Math.ceil(bottom / step - 1e-9); at <= Math.ceil(high / step - 1e-9); at += 1) values.push(at * step);
  const [by, words] = divisor(values.at(-1), unit);
  return { low: bottom, high: values.at(-1), unit: words, values, labels: even(values, by) };
}

// --- time ------------------------------------------------------------------------------------------

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const SPANS = [
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
  ...[1, 2, 3, 7, 14].map((count) => count * DAY),
];
const MONTHS = [1, 3, 6, 12, 24, 60, 120];
const MONTH = 30.436875 * DAY;
const MONDAY = 4 * DAY;
const NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const FIELD = /'([^']*)'|d+|M+|L+|y+/g; // of a CLDR pattern

const two = (number) => String(number).padStart(2, "0");

function parts(moment) {
  const date = new Date(moment * 1000);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  const named = (form) =>
    dates[form].replace(FIELD, (field, quoted) => {
      if (quoted !== undefined) return quoted;
      if (field.length > 2) return (months?.[field] ?? NAMES)[month];
      return String({ d: day, M: month + 1, L: month + 1, y: year }[field[0]]).padStart(field.length, "0");
    });
  return { year: named("year"), month: named("short_month"), date: named("short_date"), day: named("short_day"), clock };
}

// As the server writes it: 3 Jun 2026, 14:20.
export function moment(seconds) {
  const { day, clock } = parts(seconds);
  return `${day}, ${clock}`;
}

// [moment, label] of round moments, some `most` of them; the label has a second line where its day or year changes.
export function times(start, end, most) {
  const span = Math.max(1, end - start);
  const step = SPANS.find((seconds) => span / seconds <= most);
  const found = [];
  let words;
  if (step) {
    const offset = step % (7 * DAY) === 0 ? MONDAY : 0;
    for (let at = Math.ceil((start - offset) / step) * step + offset; at <= end; at += step) found.push(at);
    words = step < DAY ? (p) => [p.clock, p.day] : (p) => [p.date, p.year];
  } else {
    const months = MONTHS.find((count) => span / (count * MONTH) <= most) ?? MONTHS.at(-1);
    const begin = new Date(start * 1000);
    let month = Math.floor((begin.getUTCFullYear() * 12 + begin.getUTCMonth()) / months) * months;
    for (let at = 0; at <= end; month += months) {
      at = Date.UTC(Math.floor(month / 12), month % 12) / 1000;
      if (at >= start && at <= end) found.push(at);
    }
    words = months < 12 ? (p) => [p.month, p.year] : (p) => [p.year, ""];
  }
  const named = found.map((at) => words(parts(at)));
  return found.map((at, index) => {
    const [label, context] = named[index];
    const follows = (named[index + 1] ?? named[index])[1];
    const news = index ? context !== named[index - 1][1] : follows === context;
    return [at, news && context ? `${label}\n${context}` : label];
  });
}
