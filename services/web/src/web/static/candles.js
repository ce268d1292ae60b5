// Candles, drawn on uPlot's canvas as web.charts.drawing.candles draws them: hollow where the price rose, filled where
// it fell, a tick where only the close is known; merged as web.charts.data.candles does where there is little room.

const BODY = 0.7;

// Of the points of open, high, low and close: the same four in candles of `narrow` seconds.
export function merged(lines, { seconds, narrow, origin }) {
  const [opens, highs, lows, closes] = lines;
  if (!closes.length || narrow === seconds) return lines;
  const newest = closes.at(-1)[0] + seconds;
  const made = [[], [], [], []];
  for (let first = 0, next; first < closes.length; first = next) {
    const begins = Math.floor((closes[first][0] - origin) / narrow) * narrow + origin;
    for (next = first; next < closes.length && closes[next][0] < begins + narrow; ) next += 1;
    const of = (points) => points.slice(first, next).map(([, value]) => value);
    const wanted = Math.floor((Math.min(begins + narrow, newest) - begins) / seconds);
    const whole = !of(highs).includes(null) && 2 * (next - first) >= wanted;
    const bar = whole ? [opens[first][1], Math.max(...of(highs)), Math.min(...of(lows))] : [null, null, null];
    [...bar, closes[next - 1][1]].forEach((value, line) => made[line].push([begins, value]));
  }
  return made;
}

// Draws the columns that uPlot holds, each candle `seconds` wide; `token` gives a colour of the style sheet.
export function paint(u, scale, seconds, token) {
  const { ctx, bbox } = u;
  const [times, opens, highs, lows, closes] = u.data;
  const pixel = Math.max(1, Math.round(devicePixelRatio));
  const sharp = (place) => Math.round(place) + (pixel % 2) / 2; // a line of one pixel lies in one, not in halves of two
  const across = (moment) => sharp(u.valToPos(moment, "x", true));
  const up = (value) => sharp(u.valToPos(value, scale, true));
  const drawn = { rose: new Path2D(), fell: new Path2D(), tick: new Path2D() };
  times.forEach((begins, at) => {
    const middle = across(begins + seconds / 2);
    const half = Math.max(pixel, Math.round(across(begins + seconds * (0.5 + BODY / 2)) - middle));
    const close = up(closes[at]);
    if (highs[at] == null) {
      drawn.tick.moveTo(middle, close);
      drawn.tick.lineTo(middle + half, close);
      return;
    }
    const open = up(opens[at]);
    const [top, bottom] = open < close ? [open, close] : [close, open];
    const path = closes[at] >= opens[at] ? drawn.rose : drawn.fell;
    path.moveTo(middle, up(highs[at]));
    path.lineTo(middle, top);
    path.moveTo(middle, bottom);
    path.lineTo(middle, up(lows[at]));
    path.rect(middle - half, top, 2 * half, bottom - top);
  });
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineWidth = pixel;
  for (const [kind, line, body] of [["rose", "--up", "--surface"], ["fell", "--down", "--down"]]) {
    ctx.strokeStyle = token(line);
    ctx.fillStyle = token(body);
    ctx.fill(drawn[kind]);
    ctx.stroke(drawn[kind]);
  }
  ctx.lineWidth = 2 * pixel;
  ctx.strokeStyle = token("--quiet");
  ctx.stroke(drawn.tick);
  ctx.restore();
}
