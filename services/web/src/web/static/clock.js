// The server's clock, as the page and each pulse tell it, counted on from there. The visitor's own clock may be wrong
// by any amount and names no moment here.

// How many ms passed since a `mark()`. The steady clock stands still while a laptop sleeps and the other one may be
// set: the one that went on further counts, so that whoever sleeps wakes up old, and the next pulse puts it right.
export const mark = () => [performance.now(), Date.now()];
export const passed = ([steady, wall]) => Math.max(performance.now() - steady, Date.now() - wall);

// Whether the browser took the page from its own store, as it does for "back" or a tab that it opens again, so that the
// server said nothing: it was made at some moment before, and the visitor's clock is all that tells how long before.
export const recalled = performance.getEntriesByType("navigation")[0]?.transferSize === 0;

const made = Number(document.getElementById("card-notices").dataset.now);
let told = recalled ? Math.max(made, Date.now()) : made;
let heard = mark();

export function tell(ms) {
  told = ms;
  heard = mark();
}

// Unix ms by the server's clock.
export const now = () => told + passed(heard);
