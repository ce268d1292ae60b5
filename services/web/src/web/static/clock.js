// The server's clock, as the page and each pulse tell it, counted on from there. The visitor's own clock may be wrong
// by any amount and names no moment here.

// How many ms passed since a `mark()`. The steady clock stands still while a laptop sleeps and the other one may be
// set: the one that went on further counts, so that whoever sleeps wakes up old, and the next pulse puts it right.
export const mark = () => [performance.now(), Date.now()];
export const passed = ([steady, wall]) => Math.max(performance.now() - steady, Date.now() - wall);

let told = Number(document.getElementById("card-notices").dataset.now);
let heard = mark();

export function tell(ms) {
  told = ms;
  heard = mark();
}

// Unix ms by the server's clock.
export const now = () => told + passed(heard);
