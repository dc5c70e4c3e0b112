#version 300 es
precision highp float;
precision highp sampler3D;
precision highp int;

// A ray through blocks of bytes: the same samples as the field takes in Python.
uniform sampler3D density;    // red: log-density
uniform highp usampler3D place;  // per block: where it lies in the atlas; how far to the next;
                              // where `octants`, once for rays of each octant, in z

uniform vec3 eye;
uniform mat3 axes;            // camera to world: right, up, back
uniform vec4 lens;            // 1 / focal lengths, principal point (pixels from the upper left)
uniform vec2 size;            // of the picture, pixels
uniform vec2 jitter;          // of a pixel's middle, pixels
uniform sampler2D sky;        // RGB8: what is behind everything, by azimuth and height

// What a page never changes is known to the compiler, from the header:
//   bool contracted    all of space is in the blocks, or the box alone
//   bool skied         there is a sky
//   bool linear        colours are linear light
//   bool directed      they depend on the direction
//   bool octants       of `place`
//   vec3 low, high     the box
//   float extent       its longest edge
//   float stride       step of the march, in the box
//   float cone         the growth of the step with distance
//   float horizon      where rays end that no box ends
//   vec2 logs          log-density: lowest, range
//   vec4 spans         what colours are made of is within so much of 0, by channel
//   vec3 atlas         texels
//   float blocks       along an axis
//   float cells        of a block, along an axis
//   vec3 background
//CONSTANTS

out vec4 pixel;

const float LOG2E = 1.4426950408889634;

vec3 sigmoid(vec3 x) { return 1.0 / (1.0 + exp(-x)); }

vec3 srgb(vec3 c) {
  c = max(c, 0.0);
  return mix(12.92 * c, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, c));
}

float longest(vec3 u) { return max(abs(u.x), max(abs(u.y), abs(u.z))); }

vec3 behind(vec3 ray) {
  if (!skied) return background;
  vec2 at = vec2(atan(ray.y, ray.x) / 6.283185307179586 + 0.5,
                 acos(clamp(ray.z, -1.0, 1.0)) / 3.141592653589793);
  return textureLod(sky, at, 0.0).rgb;
}

// What follows has `look`, told the direction of the ray, `add`, told of a sample its texel, where
// its block begins along x, what `density` has there and its weight, and `shaded`, the ray's colour,
// told its opacity.
//SHADING

/** Of a block: its place in the atlas, and how far the next one is; 0 where it has one. */
ivec4 entry(ivec3 block) {
  return ivec4(texelFetch(place, block, 0));
}

// Of a block, of a place in it, and of the middle of its first texel, in the atlas.
const vec3 wide = (cells + 1.0) / atlas, narrow = cells / atlas, inset = 0.5 / atlas;

/** Of a step, in parts of the longest edge: the log2 of what makes a density an optical depth. */
float measure(float length) { return log2(LOG2E * length) + LOG2E * logs.x; }

/** One sample: its block's place in the atlas, where it lies there, and the measure of its step. */
void take(ivec3 corner, vec3 local, float length, inout float light) {
  vec3 begin = vec3(corner) * wide, texel = begin + (local * narrow + inset);
  vec4 here = textureLod(density, texel, 0.0);
  float alpha = 1.0 - exp2(-exp2(LOG2E * logs.y * here.r + length));
  if (light * alpha > 2e-4) add(texel, begin.x, here, light * alpha);
  light *= 1.0 - alpha;
}

// Loops end at their own conditions, which a number that is none ends too: a counter beside them
// costs software a twelfth of its frames.

/** Steps of one length through a box. Lengths along axes are in blocks. */
void even(vec3 ray, float enter, float leave, inout float light) {
  // A hair less than the blocks, so that rounding leads beyond none.
  vec3 edges = (high - low) / (blocks * (1.0 - 2e-6));
  vec3 along = ray * stride / edges;
  vec3 from = (eye - low + (enter + 0.5 * stride) * ray) / edges;
  along = mix(along, vec3(1e-9), lessThan(abs(along), vec3(1e-9)));
  vec3 slow = 1.0 / along, length3 = abs(slow);
  vec3 middle3 = (0.5 - from) * slow - 0.5 * length3 - 1e-3;
  // Which octant, by the signs of x, y, z.
  float octant = octants ? dot(step(0.0, along), vec3(1.0, 2.0, 4.0)) : 0.0;
  ivec3 slab = ivec3(0, 0, int(octant * blocks));
  float length = measure(stride / extent), last = (leave - enter) / stride - 0.5, k = 0.0;
  while (true) {
    vec3 u, block;
    ivec4 where;
    // Neighbouring pixels are drawn in step: all go on to something first, then all take it.
    while (true) {
      u = from + k * along;
      ivec3 at = ivec3(u);
      where = entry(at + slab);
      block = vec3(at);
      if (where.a == 0 || !(k < last)) break;
      // Nothing lies in the blocks around this one that are nearer: on to where the ray leaves them.
      vec3 until = block * slow + float(where.a) * length3 + middle3;
      k = max(k + 1.0, ceil(min(until.x, min(until.y, until.z))));
    }
    if (!(k < last)) break;
    take(where.rgb, u - block, length, light);
    if (light < 1e-3) break;
    k += 1.0;
  }
}

/** Steps that grow, through a box or through all of space. */
void uneven(vec3 ray, float enter, float leave, inout float light) {
  // In u the box is |u| <= 1; beyond it steps grow with the square of the longest coordinate, so
  // that they are even in the contracted space.
  vec3 edges = high - low;
  vec3 from = (eye - low) / edges * 2.0 - 1.0, along = ray / edges * 2.0;
  float swift = 1e9;            // bounds the speed along a ray in the unit cube, per even length
  if (contracted) {
    enter = 0.0;
    leave = horizon;
    swift = 0.25 * (longest(along) + 2.0 * longest(cross(from, along)));
  }
  float start = enter;
  while (true) {
    float stretch = 1.0, height = max(stride, cone * start);
    if (contracted) {
      float n = max(longest(from + start * along), 1.0);
      height *= n * n;
    }
    float t = start + 0.5 * height;
    if (!(t < leave)) break;
    vec3 u = from + t * along;
    vec3 v;
    float n = 1.0;
    if (contracted) {
      n = max(longest(u), 1.0);
      stretch = n * n;
      v = (u * ((2.0 - 1.0 / n) / n) + 2.0) * 0.25;
    } else {
      v = clamp((u + 1.0) * 0.5, 0.0, 1.0);
    }
    vec3 block = clamp(floor(v * blocks), 0.0, blocks - 1.0);
    ivec4 where = entry(ivec3(block));
    if (where.a == 0) {
      take(where.rgb, min(v * blocks - block, 1.0), measure(height / (extent * stretch)), light);
      if (light < 1e-3) break;
      start += height;
      continue;
    }
    start += height;
    if (!contracted) continue;
    // A ray bends there. As long as it goes outwards its speed is bounded: so many steps are safe.
    vec3 wide = step(vec3(n), abs(u));
    if (n > 1.0 && dot(wide * sign(u), along) < 0.0) continue;
    float away = float(where.a);
    vec3 room3 = min(v - (block - (away - 1.0)) / blocks, (block + away) / blocks - v);
    float room = min(room3.x, min(room3.y, room3.z)) / swift;
    while (true) {
      float length = max(stride, cone * start);
      room -= length;
      if (!(room >= length && start < leave)) break;
      float m = max(longest(from + start * along), 1.0);
      start += length * m * m;
    }
  }
}

void main() {
  vec2 at = vec2(gl_FragCoord.x, size.y - gl_FragCoord.y) + jitter;
  vec2 plane = (at - lens.zw) * lens.xy;
  vec3 ray = normalize(axes * vec3(plane.x, -plane.y, -1.0));
  vec3 safe = mix(ray, vec3(1e-12), lessThan(abs(ray), vec3(1e-12)));
  vec3 slow = 1.0 / safe, one = (low - eye) * slow, two = (high - eye) * slow;
  vec3 near3 = min(one, two), far3 = max(one, two);
  float enter = max(0.0, max(near3.x, max(near3.y, near3.z)));
  float leave = min(far3.x, min(far3.y, far3.z));

  look(ray);
  float light = 1.0;
  if (contracted || cone > 0.0) uneven(ray, enter, leave, light);
  else even(ray, enter, leave, light);
  vec3 color = light * behind(ray);
  if (light < 1.0) color += shaded(1.0 - light);
  pixel = vec4(linear ? srgb(color) : color, 1.0);
}
