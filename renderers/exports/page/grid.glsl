// Entries at the corners of grids, hashed or not (encodings/kernels/hash_grid.py).
uniform int features;      // of an entry: 1, 2, 4, or 8 in two texels
uniform int levels;
uniform bool smoothed;
uniform float scales[32];
uniform uvec4 shapes[32];  // resolution, entries, number of the first one, whether they are hashed

/** Up to four features of a level, interpolated. */
vec4 level(int l, int part) {
  vec2 position = place() * scales[l] + 0.5;
  vec2 cell = floor(position), f = position - cell;
  if (smoothed) f = f * f * (3.0 - 2.0 * f);
  uvec4 shape = shapes[l];
  vec4 found = vec4(0.0);
  for (int corner = 0; corner < 4; corner++) {
    uvec2 c = uvec2(cell) + uvec2(corner & 1, corner >> 1);
    uint entry = shape.w != 0u ? c.x ^ (c.y * 2654435761u) : c.x + c.y * shape.x;
    // Sizes of hashed levels are powers of two; others end less than their size beyond it.
    if (shape.w != 0u) entry &= shape.y - 1u;
    else if (entry >= shape.y) entry -= shape.y;
    int at = int(shape.z + entry) * (features == 8 ? 2 : 1) + part;
    float weight = ((corner & 1) != 0 ? f.x : 1.0 - f.x) * (corner > 1 ? f.y : 1.0 - f.y);
    found += weight * texel(at);
  }
  return found;
}

vec4 group(int g) {
  if (features == 8) return level(g >> 1, g & 1);
  if (features == 4) return level(g, 0);
  vec4 found = vec4(0.0);
  int count = 4 / features;
  for (int k = 0; k < count; k++) {
    int l = g * count + k;
    if (l >= levels) break;
    vec4 values = level(l, 0);
    if (features == 2) found = k == 0 ? vec4(values.xy, found.zw) : vec4(found.xy, values.xy);
    else found[k] = values.x;
  }
  return found;
}
