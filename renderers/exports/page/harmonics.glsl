// Each sample has its own colour: spherical harmonics of the direction, then a sigmoid.
uniform sampler3D first;      // RGBA8: harmonics of red
uniform sampler3D second;     // of green
uniform sampler3D third;      // of blue
uniform bool directed;        // whether colours depend on the direction

vec4 harmonics;
vec3 total = vec3(0.0);

void look(vec3 ray) {
  harmonics = vec4(0.28209479177387814,
                   -0.4886025119029199 * ray.y,
                   0.4886025119029199 * ray.z,
                   -0.4886025119029199 * ray.x);
  if (!directed) harmonics.yzw = vec3(0.0);
}

void add(vec3 texel, vec4 here, float weight) {
  vec4 r = (texture(first, texel) * 2.0 - 1.0) * spans;
  vec4 g = (texture(second, texel) * 2.0 - 1.0) * spans;
  vec4 b = (texture(third, texel) * 2.0 - 1.0) * spans;
  total += weight * sigmoid(vec3(dot(r, harmonics), dot(g, harmonics), dot(b, harmonics)));
}

vec3 shaded(float opacity) { return total; }
