'use strict';
/**
 * Mouse, pen, fingers and keys on a canvas, as what they ask for.
 *
 * `does` has `drag(dx, dy, event)`, `pinch(factor, dx, dy, x, y)` of two fingers, `wheel(factor, x,
 * y)`, `home()`, and `keys`, by name: what each does. Places and ways are CSS pixels; a factor above
 * 1 wants to be nearer. Keys whose names are in `holds` are held while they are down. Returns the
 * places of fingers that are down, by number, and the keys that are held.
 */
page.gestures = (canvas, does, holds) => {
  const { element } = page;
  const fingers = new Map(), held = new Set();
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus();
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) {
    canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener('pointermove', (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const at = [event.clientX, event.clientY];
    const [dx, dy] = [at[0] - before[0], at[1] - before[1]];
    if (fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, o]) => o);
      const apart = (o) => Math.max(Math.hypot(o[0] - other[0], o[1] - other[1]), 1);
      does.pinch(apart(at) / apart(before), dx / 2, dy / 2,
                 (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
    } else if (dx || dy) {
      does.drag(dx, dy, event);
    }
    fingers.set(event.pointerId, at);
  });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    // Wheels tell pixels, lines or pages; of a pinch on a touchpad (ctrl) there are few.
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const turn = event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0025);
    does.wheel(Math.exp(-Math.min(Math.max(turn, -1), 1)), event.clientX, event.clientY);
  }, { passive: false });

  const help = () => { element('keys').hidden = !element('keys').hidden; };
  const keys = { '?': help, r: does.home, ...does.keys };
  window.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (holds.includes(key)) {
      held.add(key);
      event.preventDefault();
    }
    if (Object.hasOwn(keys, key)) keys[key]();
  });
  window.addEventListener('keyup', (event) => held.delete(event.key.toLowerCase()));
  window.addEventListener('blur', () => held.clear());
  element('reset').onclick = does.home;
  element('help').onclick = help;
  return { fingers, held };
};
