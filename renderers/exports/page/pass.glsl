#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp usampler2D;

// A pass over a block of samples. Values are the bits of floats, which every WebGL 2 can draw into;
// four are a texel, and the texels of the next four lie `rows` below.
uniform usampler2D before;  // values of the pass before
uniform sampler2D texels;   // what this pass looks up, 2048 in a row
uniform int rows;           // samples below each other
uniform vec2 first;         // coordinates of the block's corner
uniform vec2 pitch;         // from one sample to the next
uniform vec2 extent;        // of all coordinates
uniform float inset;        // samples beyond the edges are taken so far inside of them

out uvec4 values;

ivec2 here;

vec4 texel(int i) { return texelFetch(texels, ivec2(i & 2047, i >> 11), 0); }

/** Values 4 g to 4 g + 3 of the pass before. */
vec4 earlier(int g) { return uintBitsToFloat(texelFetch(before, here + ivec2(0, g * rows), 0)); }

/** The sample's place in [0,1]^2. */
vec2 place() {
  vec2 x = first + (vec2(here) + 0.5) * pitch;
  vec2 inside = clamp(x, vec2(inset), extent - inset);
  x = mix(x, inside, vec2(notEqual(x, clamp(x, vec2(0.0), extent))));
  return clamp(x / extent, 0.0, 1.0);
}

vec4 group(int g);

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  int g = at.y / rows;
  here = ivec2(at.x, at.y - g * rows);
  values = floatBitsToUint(group(g));
}
