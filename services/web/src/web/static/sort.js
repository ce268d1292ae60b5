// Sorts tables in place when a header's link is clicked, by the keys that the server sorts by (web.pages.order): a row
// has `data-by-COLUMN`, a number or words, and none where the figure is not known; `data-place` is where it stands
// without an order. The address goes with it, so that reload and share show the same. A table that does not hold all
// of its rows (no `data-whole`) is left to the server, as is every click that means something else.

const LINKS = "a[data-sort]";
const chosen = () => new URLSearchParams(location.search);
const other = (way) => (way === "ascending" ? "descending" : "ascending");

// The order of a table that the address asks for, and whether its keys are words.
function asked(table, links) {
  const query = chosen();
  const sort = query.get("sort") ?? table.dataset.whole;
  const link = links.find((one) => one.dataset.sort === sort);
  const way = query.get("order") ?? link?.dataset.first;
  return link && (way === "ascending" || way === "descending") ? { sort, way, words: "words" in link.dataset } : null;
}

// Where an order is to be found; what is usual goes without saying, the rest of the address stays.
function address(table, { sort, way }, first) {
  const query = chosen();
  query.delete("sort");
  query.delete("order");
  if (sort !== table.dataset.whole) query.set("sort", sort);
  if (way !== first) query.set("order", way);
  const text = query.toString();
  return text ? `${location.pathname}?${text}` : location.pathname;
}

const linksOf = (table) => [...(table.closest("section") ?? table).querySelectorAll(LINKS)];

function compared(sort, way, words) {
  const name = `data-by-${sort}`;
  const sign = way === "ascending" ? 1 : -1;
  const place = (row) => Number(row.dataset.place);
  const key = (row) => {
    const text = row.getAttribute(name);
    return words || text === null ? text : Number(text);
  };
  return (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null) || place(a) - place(b);
    return x < y ? -sign : x > y ? sign : place(a) - place(b);
  };
}

function arrange(table) {
  const links = linksOf(table);
  const order = asked(table, links);
  if (!order) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const sorted = [...rows].sort(compared(order.sort, order.way, order.words));
  if (sorted.some((row, at) => row !== rows[at])) body.append(...sorted);
  for (const link of links) {
    const { sort, first } = link.dataset;
    const shown = sort === order.sort;
    link.setAttribute("href", address(table, { sort, way: shown ? other(order.way) : first }, first));
    const head = link.closest("th");
    const [element, name] = head ? [head, "aria-sort"] : [link, "data-way"];
    if (shown) element.setAttribute(name, order.way);
    else element.removeAttribute(name);
    if (!head && shown) link.setAttribute("aria-current", "true");
    else if (!head) link.removeAttribute("aria-current");
  }
}

// Choices of a language or a currency lead back to what is shown; a currency in the address would go before the choice.
function lead(root) {
  for (const link of root.querySelectorAll('a[href^="/language?"], a[href^="/currency?"]')) {
    const [path, text] = link.getAttribute("href").split("?");
    const [query, back] = [new URLSearchParams(text), chosen()];
    if (path === "/currency") back.delete("currency");
    query.set("from", back.size ? `${location.pathname}?${back}` : location.pathname);
    link.setAttribute("href", `${path}?${query}`);
  }
}

// Other spans of the same list keep the order.
function keep(root) {
  for (const link of root.querySelectorAll(`a[href^="${location.pathname}?range="]`)) {
    if ("sort" in link.dataset) continue;
    const [path, text] = link.getAttribute("href").split("?");
    const query = new URLSearchParams(text);
    for (const name of ["sort", "order"]) {
      if (chosen().has(name)) query.set(name, chosen().get(name));
      else query.delete(name);
    }
    link.setAttribute("href", `${path}?${query}`);
  }
}

function all(root) {
  const tables = root.querySelectorAll("table[data-whole]");
  for (const table of tables) arrange(table);
  if (tables.length) {
    lead(root);
    keep(root);
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest(LINKS);
  if (!link || event.defaultPrevented || event.button) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const table = link.closest("section").querySelector("table[data-whole]");
  if (!table) return;
  event.preventDefault();
  history.replaceState(history.state, "", link.href);
  all(document);
});
document.addEventListener("fresh", ({ detail }) => all(detail));
all(document);
