'use strict';
/** What every page does: its header and bytes, one sentence in place of a picture, WebGL. */
const page = (() => {
  const element = (id) => document.getElementById(id);
  window.polyfield = { ready: false, error: null };

  /** Show a sentence and end. */
  function fail(sentence) {
    element('message').textContent = sentence;
    element('message').hidden = false;
    element('bar').hidden = true;
    element('view').hidden = true;
    window.polyfield.error = sentence;
    throw new Error(sentence);
  }

  function headerOf() {
    let header;
    try {
      header = JSON.parse(element('header').textContent);
    } catch (error) {
      fail('The header of this page is damaged: export or download it again.');
    }
    if (header.format !== 1) fail('This page was made by another version of polyfield.');
    return header;
  }

  /** The bytes behind the header, inflated; one array a part. */
  async function unpacked(header) {
    let bytes;
    try {
      const text = atob(element('data').textContent.trim());
      const packed = Uint8Array.from(text, (c) => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
      bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    } catch (error) {
      fail('The data of this page is damaged: export or download it again.');
    }
    const parts = {};
    let at = 0;
    for (const [name, length] of header.parts) {
      parts[name] = bytes.subarray(at, at + length);
      at += length;
    }
    if (at !== bytes.length) fail('The data of this page is not whole: export or download it again.');
    element('data').textContent = '';
    return parts;
  }

  /** WebGL 2 on a canvas; what is lost is told. */
  function contextOf(options, canvas = element('view')) {
    const gl = canvas.getContext('webgl2', options);
    if (!gl) fail('This page draws with WebGL 2, which this browser does not have or has switched off.');
    canvas.addEventListener('webglcontextlost', () => {
      element('message').textContent = 'The graphics card gave up: reload the page.';
      element('message').hidden = false;
    });
    return gl;
  }

  function program(gl, fragment) {
    const made = gl.createProgram();
    const corner = '#version 300 es\nvoid main() { gl_Position = vec4(' +
      'vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }';
    for (const [kind, text] of [[gl.VERTEX_SHADER, corner], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text.trim());
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) {
      fail('This browser could not prepare the drawing: update it, or try another one.');
    }
    const count = gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS), where = {};
    for (let i = 0; i < count; i++) {
      const { name } = gl.getActiveUniform(made, i);
      where[name] = gl.getUniformLocation(made, name);
    }
    return { made, where };
  }

  /** Run what draws; what nobody expected is a sentence too. */
  function begin(start) {
    start().catch((error) => {
      if (!window.polyfield.error) {
        element('message').textContent = `This page could not be drawn (${error.message}).`;
        element('message').hidden = false;
        window.polyfield.error = String(error);
      }
    });
  }

  return { element, fail, headerOf, contextOf, unpacked, program, begin };
})();
