// Each sample has its own colour: spherical harmonics of the direction, then a sigmoid.
uniform sampler3D colors;     // RGBA8, three times as wide: harmonics of a block's red, green, blue
const float third = (cells + 1.0) / (3.0 * atlas.x);

vec4 harmonics;               // times what takes a byte in [0,1] to its value, and -log2(e)
float middle;                 // what they give where all bytes are 1/2
vec3 total = vec3(0.0);

void look(vec3 ray) {
  harmonics = vec4(0.28209479177387814,
                   -0.4886025119029199 * ray.y,
                   0.4886025119029199 * ray.z,
                   -0.4886025119029199 * ray.x);
  if (!directed) harmonics.yzw = vec3(0.0);
  harmonics *= -LOG2E * spans;
  middle = dot(harmonics, vec4(1.0));
  harmonics *= 2.0;
}

void add(vec3 texel, float begin, vec4 here, float weight) {
  texel.x = (texel.x + 2.0 * begin) * (1.0 / 3.0);
  vec4 r = textureLod(colors, texel, 0.0);
  vec4 g = textureLod(colors, vec3(texel.x + third, texel.yz), 0.0);
  vec4 b = textureLod(colors, vec3(texel.x + 2.0 * third, texel.yz), 0.0);
  // The sigmoid, with exp(-x) as a power of 2.
  vec3 power = exp2(vec3(dot(r, harmonics), dot(g, harmonics), dot(b, harmonics)) - middle);
  total += weight / (1.0 + power);
}

vec3 shaded(float opacity) { return total; }
