#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;

// What a screen shows of values (scenes/color.py), the mean of finer samples.
uniform usampler2D before;
uniform int channels;  // 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
uniform float scale;   // the values are multiplied by
uniform bool linear;   // whether they are linear light
uniform int finer;     // samples of a pixel along an axis

out vec4 pixel;

vec3 srgb(vec3 c) {
  return mix(12.92 * c, 1.055 * pow(max(c, 0.0031308), vec3(1.0 / 2.4)) - 0.055,
             step(0.0031308, c));
}

vec3 shown(ivec2 at) {
  vec4 v = uintBitsToFloat(texelFetch(before, at, 0)) * scale;
  vec3 color = channels < 3 ? v.xxx : v.rgb;
  color = linear ? srgb(max(color, 0.0)) : clamp(color, 0.0, 1.0);
  if (channels == 2 || channels == 4) {
    color = mix(vec3(1.0), color, clamp(channels == 2 ? v.y : v.w, 0.0, 1.0));
  }
  return clamp(color, 0.0, 1.0);
}

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy) * finer;
  vec3 sum = vec3(0.0);
  for (int y = 0; y < finer; y++) {
    for (int x = 0; x < finer; x++) sum += shown(at + ivec2(x, y));
  }
  pixel = vec4(sum / float(finer * finer), 1.0);
}
