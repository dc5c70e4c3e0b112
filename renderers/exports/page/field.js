/**
 * A field, computed in fragment shaders pass by pass: `block` gives the colours of a block of
 * samples. A block is small, so that no single drawing takes a graphics card long.
 */
async function fieldOf(header) {
  const { element, fail, contextOf, unpacked, program } = page;
  const WIDE = 128;         // samples beside each other
  const HEAVIEST = 1 << 25;  // products of one drawing
  const gl = contextOf({ antialias: false, depth: false }, document.createElement('canvas'));
  const most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
  const groupsOf = (pass) => Math.ceil(pass.width / 4);
  const needed = Math.max(...header.passes.map((p) => Math.max(...p.texels, groupsOf(p))));
  if (needed > most) {
    fail(`This picture needs textures of ${needed} texels; this graphics card has ${most} at ` +
         'most. Train a smaller one.');
  }
  const parts = await unpacked(header);
  const groups = Math.max(...header.passes.map(groupsOf));
  const high = Math.max(1, Math.min(WIDE, Math.floor(Math.min(most, 4096) / groups)));

  function textureOf(inner, width, height, format, type, bytes) {
    const made = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, made);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, inner, width, height, 0, format, type, bytes);
    return made;
  }
  function frameOf(texture) {
    const made = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, made);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    return made;
  }
  /** Numbers of any kind into a uniform of any type. */
  function set({ made, where }, name, value) {
    const place = where[name] || where[`${name}[0]`];
    if (!place) return;
    const info = kinds.get(made)[name];
    const values = [].concat(value).map(Number);
    const setter = {
      [gl.FLOAT]: 'uniform1fv', [gl.FLOAT_VEC2]: 'uniform2fv', [gl.INT]: 'uniform1iv',
      [gl.BOOL]: 'uniform1iv', [gl.UNSIGNED_INT_VEC4]: 'uniform4uiv',
    }[info];
    gl[setter](place, values);
  }
  const kinds = new Map();
  function prepared(text) {
    const one = program(gl, text), types = {};
    for (let i = 0; i < gl.getProgramParameter(one.made, gl.ACTIVE_UNIFORMS); i++) {
      const { name, type } = gl.getActiveUniform(one.made, i);
      types[name.replace('[0]', '')] = type;
    }
    kinds.set(one.made, types);
    gl.useProgram(one.made);
    if (one.where.before) gl.uniform1i(one.where.before, 0);
    if (one.where.texels) gl.uniform1i(one.where.texels, 1);
    return one;
  }

  gl.bindVertexArray(gl.createVertexArray());
  const shaders = {};
  for (const { op } of header.passes) {
    shaders[op] = shaders[op] ||
      prepared(element('pass').textContent.trim() + '\n' + element(op).textContent);
  }
  const show = prepared(element('show').textContent);
  const passes = header.passes.map((pass, i) => {
    const bytes = parts[`pass${i}`], half = pass.half;
    const [inner, format] = {
      1: [half ? gl.R16F : gl.R32F, gl.RED], 2: [half ? gl.RG16F : gl.RG32F, gl.RG],
      4: [half ? gl.RGBA16F : gl.RGBA32F, gl.RGBA],
    }[pass.channels];
    const copy = bytes.slice().buffer;  // aligned
    const texels = textureOf(inner, ...pass.texels, format, half ? gl.HALF_FLOAT : gl.FLOAT,
                             half ? new Uint16Array(copy) : new Float32Array(copy));
    // What a fragment costs, in products.
    return { ...pass, texels, groups: groupsOf(pass), cost: 16 * (pass.numbers.inputs || 4) };
  });
  const values = [0, 1].map(() => textureOf(gl.RGBA32UI, WIDE, high * groups, gl.RGBA_INTEGER,
                                            gl.UNSIGNED_INT, null));
  const frames = values.map(frameOf);
  const seen = frameOf(textureOf(gl.RGBA8, WIDE, high, gl.RGBA, gl.UNSIGNED_BYTE, null));
  if (gl.getError() !== gl.NO_ERROR) {
    fail('This graphics card has too little memory for this picture.');
  }
  if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) {
    fail('This graphics card can not draw numbers into textures: try another browser.');
  }

  /**
   * Colours of a block, 4 bytes a pixel, rows downwards.
   *
   * x, y: coordinates of its upper left corner; dx, dy: from one sample to the next; w, h: samples,
   * at most `wide` and `high`; finer: samples of a pixel along an axis; inset: how far inside the
   * edges samples beyond them are taken.
   */
  function block(x, y, dx, dy, w, h, finer, inset) {
    gl.enable(gl.SCISSOR_TEST);
    passes.forEach((pass, i) => {
      const shader = shaders[pass.op];
      gl.useProgram(shader.made);
      gl.bindFramebuffer(gl.FRAMEBUFFER, frames[i % 2]);
      gl.activeTexture(gl.TEXTURE0);
      gl.bindTexture(gl.TEXTURE_2D, values[(i + 1) % 2]);
      gl.activeTexture(gl.TEXTURE1);
      gl.bindTexture(gl.TEXTURE_2D, pass.texels);
      const own = { rows: h, first: [x, y], pitch: [dx, dy], extent: header.extent, inset };
      for (const [name, value] of Object.entries({ ...own, ...pass.numbers })) {
        set(shader, name, value);
      }
      const tall = pass.groups * h;
      gl.viewport(0, 0, w, tall);
      const band = Math.max(1, Math.floor(HEAVIEST / (w * pass.cost)));
      for (let at = 0; at < tall; at += band) {
        gl.scissor(0, at, w, Math.min(band, tall - at));
        gl.drawArrays(gl.TRIANGLES, 0, 3);
        if (at) gl.flush();
      }
    });
    gl.disable(gl.SCISSOR_TEST);
    gl.useProgram(show.made);
    gl.bindFramebuffer(gl.FRAMEBUFFER, seen);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, values[(passes.length - 1) % 2]);
    const { channels, scale, linear } = header;
    for (const [name, value] of Object.entries({ channels, scale, linear, finer })) {
      set(show, name, value);
    }
    gl.viewport(0, 0, w / finer, h / finer);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    const bytes = new Uint8ClampedArray(w * h / finer ** 2 * 4);
    gl.readPixels(0, 0, w / finer, h / finer, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    return bytes;
  }
  return { block, wide: WIDE, high, lost: () => gl.isContextLost() };
}
