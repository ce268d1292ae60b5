// The words and signs that the script writes, in the language of the page. English stands in the code; a page in
// another language carries the rest (web.words.language), from the one catalogue that the server reads too.

const element = document.getElementById("words");
const given = element ? JSON.parse(element.textContent) : {};
const words = given.words ?? {};
const plurals = new Intl.PluralRules(document.documentElement.lang || "en");
const order = given.plurals ?? ["one", "other"];

export const signs = given.signs ?? { ".": ".", ",": "," };
export const months = given.months ?? null;
export const dates = { short_day: "d MMM y", short_date: "d MMM", short_month: "LLL", year: "y", ...given.dates };

const filled = (message, values) =>
  message.replace(/%(?:\((\w+)\)s|%)/g, (sign, name) => (name === undefined ? "%" : values[name]));

// A message, with `values` in the places that name them.
export const t = (message, values) => {
  const found = words[message] ?? message;
  return values ? filled(found, values) : found;
};

// The form of a message that goes with a number, which is `number` in it.
export const tn = (one, many, number) => {
  const found = words[one] ?? [one, many];
  return filled(found[order.indexOf(plurals.select(number))] ?? found.at(-1), { number: localized(String(number)) });
};

// A message that means something else elsewhere.
export const tp = (context, message) => words[`${context}\u0004${message}`] ?? message;

// A number as JavaScript writes it, with thousands marked as in English (1,234.5), with the signs of the language.
export const localized = (text) => text.replace(/[.,]/g, (sign) => signs[sign]);
