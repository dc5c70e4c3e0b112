#version 300 es
precision highp float;
precision highp sampler3D;
precision highp int;

// A ray through blocks of bytes: the same samples as the field takes in Python.
uniform sampler3D density;    // red: log-density
uniform sampler3D place;      // RGBA8, per block: where it lies in the atlas; how far to the next

uniform vec3 low, high;       // the box
uniform vec3 eye;
uniform mat3 axes;            // camera to world: right, up, back
uniform vec4 lens;            // 1 / focal lengths, principal point (pixels from the upper left)
uniform vec2 size;            // of the picture, pixels
uniform vec2 jitter;          // of a pixel's middle, pixels
uniform vec2 logs;            // log-density: lowest, range
uniform vec4 spans;           // what colours are made of is within so much of 0, by channel
uniform float stride;         // step of the march
uniform float extent;         // longest edge of the box
uniform float blocks, cells;
uniform vec3 atlas;           // texels
uniform vec3 background;
uniform bool linear;

out vec4 pixel;

vec3 sigmoid(vec3 x) { return 1.0 / (1.0 + exp(-x)); }

vec3 srgb(vec3 c) {
  c = max(c, 0.0);
  return mix(12.92 * c, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, c));
}

// What follows has `look`, told the direction of the ray, `add`, told of a sample its texel, what
// `density` has there and its weight, and `shaded`, the ray's colour, told its opacity.
$SHADING
void main() {
  vec2 at = vec2(gl_FragCoord.x, size.y - gl_FragCoord.y) + jitter;
  vec2 plane = (at - lens.zw) * lens.xy;
  vec3 ray = normalize(axes * vec3(plane.x, -plane.y, -1.0));
  vec3 safe = mix(ray, vec3(1e-12), lessThan(abs(ray), vec3(1e-12)));
  vec3 one = (low - eye) / safe, two = (high - eye) / safe;
  vec3 near3 = min(one, two), far3 = max(one, two);
  float enter = max(0.0, max(near3.x, max(near3.y, near3.z)));
  float leave = min(far3.x, min(far3.y, far3.z));

  look(ray);
  vec3 edges = high - low;
  float light = 1.0, k = 0.0;
  for (int i = 0; i < 8192; i++) {
    float t = enter + k * stride + 0.5 * stride;
    if (t >= leave) break;
    vec3 v = clamp((eye + t * ray - low) / edges, 0.0, 1.0);
    vec3 block = clamp(floor(v * blocks), 0.0, blocks - 1.0);
    vec4 where = texelFetch(place, ivec3(block), 0) * 255.0;
    float away = floor(where.a + 0.5);
    if (away > 0.5) {
      // Nothing lies in the blocks around this one that are nearer: on to where the ray leaves them.
      vec3 side = mix(block - (away - 1.0), block + away, step(0.0, ray));
      vec3 until = (low + side / blocks * edges - eye) / safe;
      float exit = min(until.x, min(until.y, until.z));
      k = max(k + 1.0, floor((exit - enter) / stride - 0.5));
      continue;
    }
    vec3 local = min(v * blocks - block, 1.0) * cells;
    vec3 texel = (floor(where.rgb + 0.5) * (cells + 1.0) + local + 0.5) / atlas;
    vec4 here = texture(density, texel);
    float alpha = 1.0 - exp(-exp(logs.x + logs.y * here.r) / extent * stride);
    if (alpha > 1e-4) add(texel, here, light * alpha);
    light *= 1.0 - alpha;
    if (light < 1e-3) break;
    k += 1.0;
  }
  vec3 color = light * background;
  if (light < 1.0) color += shaded(1.0 - light);
  pixel = vec4(linear ? srgb(color) : color, 1.0);
}
