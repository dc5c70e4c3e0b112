/**
 * A source of pictures made beforehand: levels, each half as fine as the one before, cut into tiles.
 *
 * What is seen comes from the level that is just fine enough; while its tiles are decoded, from
 * coarser ones. Nearer than the finest level its pixels are seen as squares.
 */
function tiled(header, parts) {
  const { levels, tile, extent } = header;
  const MOST = 200;  // decoded tiles, where a view needs no more
  const decoded = new Map();
  let clock = 0;

  function tileOf(level, row, column) {
    const name = `${level}/${row}/${column}`;
    let found = decoded.get(name);
    if (!found) {
      found = { picture: null, used: 0 };
      decoded.set(name, found);
      createImageBitmap(new Blob([parts[name]], { type: header.type })).then((picture) => {
        found.picture = picture;
        window.polyfield.wake();
      }, () => {
        // Kept without a picture, so that it isn't decoded again.
        page.fail('A tile of this page is damaged: export or download it again.');
      }).catch(() => {});  // `fail` has said it, and throws
    }
    found.used = ++clock;
    return found.picture;
  }

  /** Draw what a level has in sight; whether that is all of it. */
  function draw(context, frame, level) {
    const [wide, tall] = levels[level];
    const sx = frame.wide / wide, sy = frame.tall / tall;
    let whole = true;
    context.imageSmoothingEnabled = sx < 2 || level > 0;
    for (let row = 0; row * tile < tall; row++) {
      const y0 = Math.round(frame.top + row * tile * sy);
      const y1 = Math.round(frame.top + Math.min((row + 1) * tile, tall) * sy);
      if (y1 <= 0 || y0 >= frame.height) continue;
      for (let column = 0; column * tile < wide; column++) {
        const x0 = Math.round(frame.left + column * tile * sx);
        const x1 = Math.round(frame.left + Math.min((column + 1) * tile, wide) * sx);
        if (x1 <= 0 || x0 >= frame.width) continue;
        const picture = tileOf(level, row, column);
        if (picture) context.drawImage(picture, x0, y0, x1 - x0, y1 - y0);
        else whole = false;
      }
    }
    return whole;
  }

  function paint(context, frame) {
    if (window.polyfield.error) return false;
    const before = clock;
    context.fillStyle = '#15171a';
    context.fillRect(0, 0, frame.width, frame.height);
    // The coarsest that has a pixel for each of the device's.
    let wanted = levels.length - 1;
    while (wanted > 0 && levels[wanted][0] < frame.wide - 1) wanted--;
    for (const level of new Set([levels.length - 1, Math.min(wanted + 1, levels.length - 1)])) {
      if (level !== wanted) draw(context, frame, level);
    }
    const whole = draw(context, frame, wanted);
    if (decoded.size > MOST) {
      // Never those of this frame: they would be decoded again for the next one, and so forever.
      const old = [...decoded].filter(([, { used }]) => used <= before);
      old.sort((a, b) => a[1].used - b[1].used);
      for (const [name, { picture }] of old.slice(0, decoded.size - MOST)) {
        if (picture) picture.close();
        decoded.delete(name);
      }
    }
    return !whole;
  }

  /** For tests: all of a level, as the page decodes it. */
  async function level(number) {
    const [wide, tall] = levels[number], canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [wide, tall];
    const to = canvas.getContext('2d');
    for (let row = 0; row * tile < tall; row++) {
      for (let column = 0; column * tile < wide; column++) {
        const blob = new Blob([parts[`${number}/${row}/${column}`]], { type: header.type });
        to.drawImage(await createImageBitmap(blob), column * tile, row * tile);
      }
    }
    return to.getImageData(0, 0, wide, tall).data;
  }
  return { paint, level, extent };
}

page.begin(async () => {
  const header = page.headerOf(), parts = await page.unpacked(header);
  const source = tiled(header, parts);
  window.polyfield.level = source.level;
  showPicture(header.extent, source);
});
