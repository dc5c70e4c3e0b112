/**
 * A source that computes a field where one looks: coarse first, then finer, a little in each frame.
 *
 * At its very edges, between the last pixels' middles and beyond, a field has learned nothing: what
 * a coarse square needs from outside is taken `inset` inside of them.
 *
 * Sheets are what was computed at one scale, in squares of SIDE pixels of the device from zero on.
 * Those of earlier scales are shown stretched until there is better. The pitch of a square is how
 * many pixels of the device lie between its samples: below 1 where several are averaged.
 */
function refining(field, inset) {
  const SIDE = 128, COARSEST = 16, SHEETS = 5, MOST = 16e6;
  const FARTHEST = 8;  // times a sheet is shrunk
  const MOVING = 10, RESTING = 40;  // milliseconds of work in a frame
  let sheets = [], job = null, speed = 8, clock = 0;  // samples a millisecond

  /** The sheet of a scale; its squares by "column,row". */
  function sheetOf(scale) {
    const found = sheets.find((sheet) => sheet.scale === scale) || { scale, squares: new Map() };
    if (found === sheets[sheets.length - 1]) return found;
    sheets = sheets.filter((sheet) => sheet !== found && sheet.squares.size);
    // The widest view stays: what else would be seen when one goes back?
    const widest = Math.min(...sheets.map((sheet) => sheet.scale));
    while (sheets.length >= SHEETS) {
      sheets.splice(sheets.findIndex((sheet) => sheet.scale !== widest), 1);
    }
    sheets.push(found);
    return found;
  }

  /** Squares of the frame's own sheet, in sight: column and row. */
  function inSight(frame) {
    const across = [-frame.left, Math.min(frame.wide, frame.width - frame.left)];
    const down = [-frame.top, Math.min(frame.tall, frame.height - frame.top)];
    const found = [];
    for (let j = Math.max(0, Math.floor(down[0] / SIDE)); j * SIDE < down[1]; j++) {
      for (let i = Math.max(0, Math.floor(across[0] / SIDE)); i * SIDE < across[1]; i++) {
        found.push([i, j]);
      }
    }
    return found;
  }

  /** The worst pitch at which a square of the frame can be shown now, Infinity for not at all. */
  function covered(frame, i, j) {
    let worst = 0;
    for (const [u, v] of [[0.5, 0.5], [0.01, 0.01], [0.99, 0.01], [0.01, 0.99], [0.99, 0.99]]) {
      const x = Math.min((i + u) * SIDE, frame.wide - 1e-3) / frame.scale;
      const y = Math.min((j + v) * SIDE, frame.tall - 1e-3) / frame.scale;
      let best = Infinity;
      for (const { scale, squares } of sheets) {
        if (scale > FARTHEST * frame.scale) continue;
        const name = `${Math.floor(x * scale / SIDE)},${Math.floor(y * scale / SIDE)}`;
        const square = squares.get(name);
        // Of another scale nothing counts as exact.
        const least = scale === frame.scale ? 0 : 1.01;
        if (square) best = Math.min(best, Math.max(square.pitch * frame.scale / scale, least));
      }
      worst = Math.max(worst, best);
    }
    return worst;
  }

  /** The pitch of the finest squares: below 1 where a pixel of the device holds several. */
  function finest({ scale }) {
    const most = field.high >= 4 ? 4 : field.high >= 2 ? 2 : 1;  // rows of a block
    return 1 / Math.min(scale > 0.99 ? 1 : scale > 0.5 ? 2 : 4, most);
  }

  /** What is to be computed next; null where nothing is. */
  function next(frame) {
    const goal = frame.moving ? 4 : finest(frame);
    const middle = [frame.width / 2 - frame.left, frame.height / 2 - frame.top];
    let found = null, most = [goal, 0];
    for (const [i, j] of inSight(frame)) {
      const pitch = covered(frame, i, j);
      const far = Math.hypot((i + 0.5) * SIDE - middle[0], (j + 0.5) * SIDE - middle[1]);
      if (pitch > most[0] || (pitch === most[0] && found && far < most[1])) {
        most = [pitch, far];
        found = [i, j];
      }
    }
    if (!found) return null;
    let pitch = COARSEST;
    while (pitch >= most[0] && pitch > goal) pitch /= pitch > 4 ? 4 : 2;
    return { scale: frame.scale, i: found[0], j: found[1], pitch: Math.max(pitch, goal), row: 0,
             canvas: null };
  }

  /** A part of the job: rows of its square. */
  function compute(frame, milliseconds) {
    const { scale, i, j, pitch } = job;
    const finer = pitch < 1 ? 1 / pitch : 1, spacing = Math.max(pitch, 1);
    // Pixels of the square, and one more around it of those that are stretched: their neighbours
    // join without a seam. The last ones end where the picture does.
    const more = spacing > 1 ? 1 : 0;
    const columns = Math.ceil(Math.min(SIDE, frame.wide - i * SIDE) / spacing) + 2 * more;
    const rows = Math.ceil(Math.min(SIDE, frame.tall - j * SIDE) / spacing) + 2 * more;
    if (!job.canvas) {
      job.canvas = document.createElement('canvas');
      [job.canvas.width, job.canvas.height] = [columns, rows];
    }
    const to = job.canvas.getContext('2d');
    const widest = Math.floor(field.wide / finer);
    const tallest = Math.max(1, Math.floor(field.high / finer));
    const began = performance.now();
    const wanted = Math.floor(speed * milliseconds / (columns * finer ** 2));
    const count = Math.min(Math.max(1, wanted), rows - job.row, tallest);
    const step = spacing / finer / scale;
    for (let at = 0; at < columns; at += widest) {
      const w = Math.min(widest, columns - at);
      const bytes = field.block((i * SIDE + (at - more) * spacing) / scale,
                                (j * SIDE + (job.row - more) * spacing) / scale,
                                step, step, w * finer, count * finer, finer, inset);
      to.putImageData(new ImageData(bytes, w, count), at, job.row);
    }
    const took = Math.max(performance.now() - began, 0.1);
    // Never more than four times as much as went well.
    speed = Math.min(columns * count * finer ** 2 / took, 4 * speed);
    job.row += count;
    if (job.row < rows) return;
    sheetOf(scale).squares.set(`${i},${j}`, {
      canvas: job.canvas, pitch, used: ++clock,
      width: (columns - 2 * more) * spacing, height: (rows - 2 * more) * spacing,
      around: more * spacing,
    });
    job = null;
  }

  /** Forget what was not looked at for longest; what fills the canvas always has room. */
  function tidy({ width: across, height: down }) {
    const most = Math.max(MOST, 1.5 * (across + 2 * SIDE) * (down + 2 * SIDE));
    const all = [];
    for (const { squares } of sheets) {
      for (const [name, square] of squares) all.push([square.used, squares, name, square.canvas]);
    }
    let total = all.reduce((sum, [, , , { width, height }]) => sum + width * height, 0);
    if (total <= most) return;
    all.sort((a, b) => a[0] - b[0]);
    for (const [, squares, name, { width, height }] of all) {
      if (total <= 0.8 * most) break;
      squares.delete(name);
      total -= width * height;
    }
  }

  function paint(context, frame) {
    sheetOf(frame.scale);
    if (job && job.scale !== frame.scale) job = null;
    const began = performance.now(), budget = frame.moving ? MOVING : RESTING;
    let more = !field.lost();
    while (more) {
      const left = budget - (performance.now() - began);
      if (left <= 0) break;
      job = job || next(frame);
      if (!job) more = false;
      else compute(frame, Math.min(left, 20));
    }
    const { left, top, width, height } = frame;
    context.fillStyle = '#15171a';
    context.fillRect(0, 0, width, height);
    context.save();
    context.beginPath();
    context.rect(left, top, Math.round(frame.wide), Math.round(frame.tall));
    context.clip();
    const shown = [];
    sheets.forEach(({ scale, squares }, age) => {
      const factor = frame.scale / scale;
      if (factor < 1 / FARTHEST) return;
      for (const [name, square] of squares) {
        const [i, j] = name.split(',').map(Number);
        const x0 = Math.round(left + i * SIDE * factor), y0 = Math.round(top + j * SIDE * factor);
        const x1 = Math.round(left + (i * SIDE + square.width) * factor);
        const y1 = Math.round(top + (j * SIDE + square.height) * factor);
        if (x1 <= 0 || y1 <= 0 || x0 >= width || y0 >= height) continue;
        square.used = ++clock;
        const pitch = Math.max(square.pitch * factor, factor === 1 ? 0 : 1.01);
        shown.push({ pitch, age, square, factor, place: [x0, y0, x1 - x0, y1 - y0] });
      }
    });
    // The finest lie on top, of equals the newest.
    shown.sort((a, b) => b.pitch - a.pitch || a.age - b.age);
    for (const { pitch, square, factor, place } of shown) {
      context.imageSmoothingEnabled = pitch > 1;
      if (!square.around) {
        context.drawImage(square.canvas, ...place);
        continue;
      }
      const [x, y, wide, tall] = place, around = square.around * factor;
      context.save();
      context.beginPath();
      context.rect(...place);
      context.clip();
      context.drawImage(square.canvas, x - around, y - around, wide + 2 * around,
                        tall + 2 * around);
      context.restore();
    }
    context.restore();
    tidy(frame);
    return more;
  }
  return { paint };
}

page.begin(async () => {
  const header = page.headerOf(), field = await fieldOf(header);
  showPicture(header.extent, refining(field, 0.5));

  // For tests: a rectangle of the picture, from corner to corner, as so many columns and rows; the
  // bytes, rows downwards.
  window.polyfield.render = (x0, y0, x1, y1, columns, rows) => {
    const found = new Uint8ClampedArray(4 * columns * rows);
    const dx = (x1 - x0) / columns, dy = (y1 - y0) / rows;
    for (let y = 0; y < rows; y += field.high) {
      for (let x = 0; x < columns; x += field.wide) {
        const w = Math.min(field.wide, columns - x), h = Math.min(field.high, rows - y);
        const bytes = field.block(x0 + x * dx, y0 + y * dy, dx, dy, w, h, 1, 0);
        for (let row = 0; row < h; row++) {
          found.set(bytes.subarray(4 * w * row, 4 * w * (row + 1)), 4 * (columns * (y + row) + x));
        }
      }
    }
    return found;
  };
});
