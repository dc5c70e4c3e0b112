/**
 * A picture to move and zoom in. What is seen comes from a source, whose
 * `paint(context, frame)` draws what it has, and says whether there is more to come.
 *
 * A view is the middle of the screen, in coordinates of the picture, and CSS pixels per unit.
 * A frame is the same in pixels of the device: `scale`, the place of zero (`left`, `top`), the
 * canvas' `width` and `height`, the picture's `wide` and `tall`, and whether it is `moving`.
 */
function showPicture([wide, tall], source) {
  const { element } = page;
  const canvas = element('view'), context = canvas.getContext('2d', { alpha: false });
  const CLOSEST = 128, STEP = 1.5, BAR = 58;
  let view = null, dirty = true, moved = 0, still = null, last = performance.now();

  const ratio = () => window.devicePixelRatio || 1;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  /** CSS pixels per unit at which all of it is seen, above the bar. */
  function whole() {
    const high = Math.max(canvas.clientHeight - BAR, 0.5 * canvas.clientHeight);
    return Math.min(canvas.clientWidth / wide, high / tall);
  }
  const isHome = () => view === null;
  function now() {
    if (!isHome()) return view;
    const zoom = whole();
    const below = Math.min(BAR, 0.5 * canvas.clientHeight) / 2 / zoom;
    return { x: wide / 2, y: tall / 2 + below, zoom };
  }
  function go(x, y, zoom) {
    const least = Math.min(0.5 * whole(), 1);
    view = { x: clamp(x, 0, wide), y: clamp(y, 0, tall),
             zoom: clamp(zoom, least, Math.max(CLOSEST, 2 * whole())) };
    changed();
  }
  let known = location.hash;  // an address typed since is taken, not written over
  function changed() {
    dirty = true;
    moved = performance.now();
    clearTimeout(still);
    still = setTimeout(() => {
      if (location.hash !== known) return;
      const words = isHome() ? '' :
        '#' + [view.x.toFixed(4), view.y.toFixed(4), view.zoom.toPrecision(6)].join(',');
      history.replaceState(null, '', words || location.pathname + location.search);
      known = location.hash;
    }, 300);
  }
  function home() {
    view = null;
    changed();
  }
  function restore() {
    known = location.hash;
    const numbers = location.hash.slice(1).split(',').map(Number);
    if (numbers.length === 3 && numbers.every(Number.isFinite) && numbers[2] > 0) go(...numbers);
    else home();
  }
  /** By CSS pixels. */
  function move(dx, dy) {
    const { x, y, zoom } = now();
    go(x - dx / zoom, y - dy / zoom, zoom);
  }
  /** By a factor, so that what lies at a place of the screen (CSS pixels) stays there. */
  function zoomAt(factor, px, py) {
    const before = now(), dx = px - canvas.clientWidth / 2, dy = py - canvas.clientHeight / 2;
    const x = before.x + dx / before.zoom, y = before.y + dy / before.zoom;
    go(before.x, before.y, before.zoom * factor);
    go(x - dx / view.zoom, y - dy / view.zoom, view.zoom);
  }
  const zoomMiddle = (factor) => zoomAt(factor, canvas.clientWidth / 2, canvas.clientHeight / 2);

  const ALONG = { arrowleft: [1, 0], a: [1, 0], arrowright: [-1, 0], d: [-1, 0],
                  arrowup: [0, 1], w: [0, 1], arrowdown: [0, -1], s: [0, -1] };
  const nearer = () => zoomMiddle(STEP), farther = () => zoomMiddle(1 / STEP);
  const { fingers, held } = page.gestures(canvas, {
    drag: move,
    pinch: (factor, dx, dy, x, y) => {
      move(dx, dy);
      zoomAt(factor, x, y);
    },
    wheel: zoomAt,
    home,
    keys: { '+': nearer, '=': nearer, '-': farther, _: farther, 0: home,
            1: () => go(now().x, now().y, 1 / ratio()) },
  }, Object.keys(ALONG));
  canvas.addEventListener('dblclick', (event) => zoomAt(2, event.clientX, event.clientY));
  function glide(seconds) {
    if (!held.size) return;
    const reach = 0.7 * Math.max(canvas.clientWidth, canvas.clientHeight) * seconds;
    for (const key of held) move(ALONG[key][0] * reach, ALONG[key][1] * reach);
  }
  for (const [name, does] of [['nearer', nearer], ['farther', farther]]) {
    element(name).hidden = false;
    element(name).onclick = does;
  }
  window.addEventListener('hashchange', restore);

  function loop(time) {
    requestAnimationFrame(loop);
    glide(clamp((time - last) / 1000, 0, 0.1));
    last = time;
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio()));
    const height = Math.max(1, Math.round(canvas.clientHeight * ratio()));
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      dirty = true;
    }
    const moving = performance.now() - moved < 150 || fingers.size > 0 || held.size > 0;
    if (!dirty) return;
    const { x, y, zoom } = now(), scale = zoom * ratio();
    // Whole pixels, so that what moves stays as sharp as it is.
    const frame = { scale, left: Math.round(width / 2 - x * scale),
                    top: Math.round(height / 2 - y * scale), width, height, moving,
                    wide: wide * scale, tall: tall * scale };
    dirty = source.paint(context, frame) || moving;
    window.polyfield.frames = (window.polyfield.frames || 0) + 1;
    window.polyfield.idle = !dirty;
    window.polyfield.view = { x, y, zoom };
  }
  restore();
  window.polyfield.wake = () => { dirty = true; };
  window.polyfield.ready = true;
  requestAnimationFrame(loop);
}
