'use strict';
(() => {
  const { element, fail, headerOf, contextOf, unpacked, program, begin } = page;
  const canvas = element('view');

  // Small vectors.
  const add = (a, b) => a.map((v, i) => v + b[i]);
  const sub = (a, b) => a.map((v, i) => v - b[i]);
  const times = (a, s) => a.map((v) => v * s);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                           a[0] * b[1] - a[1] * b[0]];
  const unit = (a) => times(a, 1 / Math.max(Math.hypot(...a), 1e-30));
  /** A vector turned about an axis of length 1. */
  const turned = (v, axis, angle) => {
    const c = Math.cos(angle), s = Math.sin(angle);
    return add(add(times(v, c), times(cross(axis, v), s)), times(axis, dot(axis, v) * (1 - c)));
  };

  function texture(gl, number, bytes, [x, y, z], channels, filter) {
    const formats = filter === gl.NEAREST ? [gl.RGBA8UI, gl.RGBA_INTEGER] :
      { 1: [gl.R8, gl.RED], 4: [gl.RGBA8, gl.RGBA] }[channels];
    gl.activeTexture(gl.TEXTURE0 + number);
    gl.bindTexture(gl.TEXTURE_3D, gl.createTexture());
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) {
      gl.texParameteri(gl.TEXTURE_3D, side, gl.CLAMP_TO_EDGE);
    }
    gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MAG_FILTER, filter);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage3D(gl.TEXTURE_3D, 0, formats[0], x, y, z, 0, formats[1], gl.UNSIGNED_BYTE, bytes);
  }

  /** Colours by direction: the azimuth goes round, the height doesn't. */
  function skyOf(gl, number, bytes, [width, height]) {
    gl.activeTexture(gl.TEXTURE0 + number);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.REPEAT);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, width, height, 0, gl.RGB, gl.UNSIGNED_BYTE, bytes);
  }

  /** Of each block, its place, and how far the next one is for a ray that goes towards each octant. */
  function octantsOf(place, blocks) {
    const whole = blocks ** 3, found = new Uint8Array(8 * place.length);
    for (let octant = 0; octant < 8; octant++) {
      const slab = found.subarray(4 * whole * octant, 4 * whole * (octant + 1));
      slab.set(place);
      // Each asks the seven before it that a ray comes to next, so the last along the ray is first.
      const strides = [1, blocks, blocks * blocks].map((stride, axis) =>
        4 * (octant >> axis & 1 ? stride : -stride));
      const order = (axis, i) => octant >> axis & 1 ? blocks - 1 - i : i;
      const near = [1, 2, 3, 4, 5, 6, 7].map((corner) => strides.reduce(
        (sum, stride, axis) => sum + (corner >> axis & 1 ? stride : 0), 0));
      for (let k = 0; k < blocks; k++) for (let j = 0; j < blocks; j++) {
        const row = blocks * (order(1, j) + blocks * order(2, k));
        for (let i = 0; i < blocks; i++) {
          const at = 4 * (row + order(0, i)) + 3;
          if (!slab[at]) continue;
          let least = 254;
          for (let corner = 1; corner < 8; corner++) {
            if ((corner & 1 && !i) || (corner & 2 && !j) || (corner & 4 && !k)) continue;
            least = Math.min(least, slab[at + near[corner - 1]]);
          }
          slab[at] = least + 1;
        }
      }
    }
    return found;
  }

  /** A picture that later ones are averaged into. */
  function frameOf(gl, width, height, float) {
    const target = gl.createTexture(), frame = gl.createFramebuffer();
    gl.activeTexture(gl.TEXTURE0 + 7);
    gl.bindTexture(gl.TEXTURE_2D, target);
    gl.texStorage2D(gl.TEXTURE_2D, 1, float ? gl.RGBA16F : gl.RGBA8, width, height);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, target, 0);
    return { target, frame, width, height };
  }

  /** A frame of that size: the one there is, or a new one in its place. */
  function fitting(gl, frame, width, height, float) {
    if (frame && frame.width === width && frame.height === height) return frame;
    if (frame) {
      gl.deleteFramebuffer(frame.frame);
      gl.deleteTexture(frame.target);
    }
    return frameOf(gl, width, height, float);
  }

  const SHOW = `#version 300 es
precision highp float;
uniform sampler2D picture;
uniform vec2 size;
out vec4 pixel;
void main() { pixel = vec4(texture(picture, gl_FragCoord.xy / size).rgb, 1.0); }`;

  async function start() {
    const header = headerOf();
    const gl = contextOf({ antialias: false, alpha: false });
    const most = gl.getParameter(gl.MAX_3D_TEXTURE_SIZE);
    const [across, ...others] = header.atlas;
    // Harmonics of three colours are side by side.
    const widest = Math.max(header.network ? across : 3 * across, ...others);
    if (widest > most) {
      fail(`This scene needs textures of ${widest} texels; ` +
           `this graphics card has ${most} at most. Export it with a smaller --resolution.`);
    }
    const parts = await unpacked(header);
    const { blocks } = header;
    const texels = header.atlas[0] * header.atlas[1] * header.atlas[2];
    header.textures.forEach((name, i) => {
      const values = parts[name].length / texels, channels = Math.min(values, 4);
      texture(gl, i, parts[name], [across * values / channels, ...others], channels, gl.LINEAR);
    });
    // Rays that don't bend and step evenly leap further where only what is before them counts.
    const octants = !header.contracted && header.cone === 0 && 8 * blocks <= most;
    texture(gl, header.textures.length, octants ? octantsOf(parts.place, blocks) : parts.place,
            [blocks, blocks, octants ? 8 * blocks : blocks], 4, gl.NEAREST);
    skyOf(gl, header.textures.length + 1, header.sky ? parts.sky : new Uint8Array(3),
          header.sky || [1, 1]);
    if (gl.getError() !== gl.NO_ERROR) {
      fail('This graphics card has too little memory for this scene.');
    }
    const shading = element(header.network ? 'deferred' : 'harmonics').textContent;
    const number = (value) => value.toExponential();
    const constants = [
      ...['contracted', 'linear', 'directed'].map(
        (name) => `const bool ${name} = ${Boolean(header[name])};`),
      `const bool skied = ${Boolean(header.sky)};`,
      `const bool octants = ${octants};`,
      ...['extent', 'stride', 'cone', 'horizon', 'blocks', 'cells'].map(
        (name) => `const float ${name} = ${number(header[name])};`),
      ...['low', 'high', 'logs', 'spans', 'atlas', 'background'].map((name) => {
        const values = header[name];
        return `const vec${values.length} ${name} = vec${values.length}(${values.map(number)});`;
      }),
    ].join('\n');
    const march = program(gl, element('march').textContent
      .replace('//CONSTANTS', () => constants).replace('//SHADING', () => shading));
    const show = program(gl, SHOW);
    const float = Boolean(gl.getExtension('EXT_color_buffer_float') ||
                          gl.getExtension('EXT_color_buffer_half_float'));
    gl.bindVertexArray(gl.createVertexArray());
    gl.useProgram(march.made);
    [...header.textures, 'place'].forEach((name, i) => gl.uniform1i(march.where[name], i));
    if (parts.network) {
      gl.bindBufferBase(gl.UNIFORM_BUFFER, 0, gl.createBuffer());
      gl.bufferData(gl.UNIFORM_BUFFER, parts.network, gl.STATIC_DRAW);
      gl.uniformBlockBinding(march.made, gl.getUniformBlockIndex(march.made, 'Network'), 0);
    }
    gl.uniform1i(march.where.sky, header.textures.length + 1);

    /** Draw into the bound frame. The camera is in the frame of the box. */
    function draw(camera, width, height, jitter) {
      gl.useProgram(march.made);
      gl.viewport(0, 0, width, height);
      gl.uniform3fv(march.where.eye, camera.eye);
      gl.uniformMatrix3fv(march.where.axes, false, camera.axes.flat());
      gl.uniform4fv(march.where.lens, camera.lens);
      gl.uniform2f(march.where.size, width, height);
      gl.uniform2fv(march.where.jitter, jitter);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }

    // For tests: a camera-to-world matrix of the data's frame (16 numbers, rows first, OpenGL
    // axes), a size and focal lengths; the bytes, rows downwards.
    let asked = null;
    window.polyfield.render = (pose, width, height, fx, fy, cx, cy) => {
      asked = fitting(gl, asked, width, height, false);
      gl.bindFramebuffer(gl.FRAMEBUFFER, asked.frame);
      const column = (j) => [pose[j], pose[4 + j], pose[8 + j]];
      const eye = times(sub(column(3), header.center), header.scale);
      draw({ eye, axes: [column(0), column(1), column(2)], lens: [1 / fx, 1 / fy, cx, cy] },
           width, height, [0, 0]);
      const bytes = new Uint8Array(4 * width * height), found = new Uint8Array(bytes.length);
      gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
      for (let row = 0; row < height; row++) {
        found.set(bytes.subarray(4 * width * (height - 1 - row), 4 * width * (height - row)),
                  4 * width * row);
      }
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      kept = 0;
      return found;
    };

    // The camera: a target, a direction to the eye, a distance; up stays up.
    const up = unit(header.up);
    const home = { target: header.target, away: unit(sub(header.eye, header.target)),
                   distance: Math.hypot(...sub(header.eye, header.target)) };
    let view = structuredClone(home), kept = 0, moved = performance.now(), still = null;
    const restored = location.hash.slice(1).split(',').map(Number);
    if (restored.length === 7 && restored.every(Number.isFinite) && restored[6] > 0) {
      view = { target: restored.slice(0, 3), away: unit(restored.slice(3, 6)),
               distance: restored[6] };
    }
    function camera(width, height) {
      const back = view.away, right = unit(cross(up, back)), above = cross(back, right);
      const focal = 0.5 * Math.min(width, height) / Math.tan(0.5 * header.fov);
      return { eye: add(view.target, times(back, view.distance)), axes: [right, above, back],
               lens: [1 / focal, 1 / focal, width / 2, height / 2] };
    }
    function change() {
      moved = performance.now();
      kept = 0;
      clearTimeout(still);
      still = setTimeout(() => {
        const numbers = [...view.target, ...view.away, view.distance];
        history.replaceState(null, '', '#' + numbers.map((v) => v.toFixed(4)).join(','));
      }, 400);
    }
    function orbit(dx, dy) {
      view.away = turned(view.away, up, -dx * 0.006);
      const right = unit(cross(up, view.away));
      const next = turned(view.away, right, -dy * 0.006);
      if (Math.abs(dot(next, up)) < 0.995) view.away = next;
      change();
    }
    function pan(dx, dy) {
      const { axes } = camera(1, 1), reach = view.distance * Math.tan(0.5 * header.fov) * 2;
      const pixel = reach / Math.min(canvas.clientWidth, canvas.clientHeight);
      view.target = add(view.target, add(times(axes[0], -dx * pixel), times(axes[1], dy * pixel)));
      change();
    }
    function zoom(factor) {
      view.distance = Math.min(Math.max(view.distance * factor, 0.02 * home.distance),
                               20 * home.distance);
      change();
    }
    function reset() {
      view = structuredClone(home);
      change();
    }

    const { fingers, held } = page.gestures(canvas, {
      drag: (dx, dy, event) => {
        if (event.buttons & 6 || event.shiftKey) pan(dx, dy);
        else orbit(dx, dy);
      },
      pinch: (factor, dx, dy) => {
        zoom(1 / factor);
        pan(dx, dy);
      },
      wheel: (factor) => zoom(1 / factor),
      home: reset,
    }, [...'wasdqe']);
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    function fly(seconds) {
      if (!held.size) return;
      const { axes } = camera(1, 1), reach = view.distance * 0.8 * seconds;
      const along = { w: times(axes[2], -1), s: axes[2], a: times(axes[0], -1), d: axes[0],
                      q: times(up, -1), e: up };
      for (const key of held) view.target = add(view.target, times(along[key], reach));
      change();
    }

    // Small while it moves, whole when it rests, then finer and finer.
    const MOVING = 1 / 30, REST = 160, FINEST = 32;
    let scale = 1, picture = null, last = performance.now();
    const one = new Uint8Array(4);
    /** Halton's sequence: pixels are asked at other places each time. */
    function halton(index, base) {
      let f = 1, found = 0;
      for (; index > 0; index = Math.floor(index / base)) {
        f /= base;
        found += f * (index % base);
      }
      return found - 0.5;
    }
    function loop(now) {
      requestAnimationFrame(loop);
      fly(Math.min((now - last) / 1000, 0.1));
      last = now;
      const ratio = window.devicePixelRatio || 1;
      const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
      const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
        kept = 0;
      }
      if (kept >= FINEST) return;
      const resting = now - moved > REST && !fingers.size && !held.size;
      const part = resting ? 1 : scale;
      const w = Math.max(1, Math.round(width * part)), h = Math.max(1, Math.round(height * part));
      const before = picture;
      picture = fitting(gl, picture, w, h, float);
      if (picture !== before) kept = 0;
      const began = performance.now();
      gl.bindFramebuffer(gl.FRAMEBUFFER, picture.frame);
      if (kept) {
        gl.enable(gl.BLEND);
        gl.blendColor(0, 0, 0, 1 / (kept + 1));
        gl.blendFunc(gl.CONSTANT_ALPHA, gl.ONE_MINUS_CONSTANT_ALPHA);
      }
      draw(camera(w, h), w, h, kept && float ? [halton(kept, 2), halton(kept, 3)] : [0, 0]);
      gl.disable(gl.BLEND);
      gl.readPixels(0, 0, 1, 1, gl.RGBA, float ? gl.FLOAT : gl.UNSIGNED_BYTE,
                    float ? new Float32Array(4) : one);  // waits until it is drawn
      const seconds = (performance.now() - began) / 1000;
      if (!resting) {
        const better = scale * Math.sqrt(MOVING / Math.max(seconds, 1e-4));
        scale = Math.min(1, Math.max(0.08, 0.6 * scale + 0.4 * better));
      }
      kept = resting && float ? kept + 1 : resting ? FINEST : 0;
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      gl.viewport(0, 0, width, height);
      gl.useProgram(show.made);
      gl.activeTexture(gl.TEXTURE0 + 7);
      gl.bindTexture(gl.TEXTURE_2D, picture.target);
      gl.uniform1i(show.where.picture, 7);
      gl.uniform2f(show.where.size, width, height);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      window.polyfield.frames = (window.polyfield.frames || 0) + 1;
      window.polyfield.scale = part;
    }
    window.polyfield.ready = true;
    requestAnimationFrame(loop);
  }
  begin(start);
})();
