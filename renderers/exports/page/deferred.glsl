// A ray's colour is made once, by a network, of what its samples add up to.
uniform sampler3D features;   // RGBA8; `density` has diffuse colours beside the density
layout(std140) uniform Network {
  vec4 network[225];          // 34 -> 16 -> 16 -> 3, by inputs: a column of outputs, biases last
};

vec3 direction, diffuse = vec3(0.0);
vec4 blended = vec4(0.0);

void look(vec3 ray) { direction = ray; }

void add(vec3 texel, float begin, vec4 here, float weight) {
  vec4 more = (texture(features, texel) * 2.0 - 1.0) * spans;
  diffuse += weight * sigmoid((here.gba * 2.0 - 1.0) * spans.gba);
  blended += weight / (1.0 + exp(-more));
}

vec3 shaded(float opacity) {
  float x[34], h[16], whole = 1.0 / max(opacity, 1e-3);
  for (int i = 0; i < 3; i++) {
    x[i] = diffuse[i] * whole;
    x[7 + i] = direction[i];
    for (int octave = 0; octave < 4; octave++) {
      float angle = direction[i] * float(1 << octave);
      x[10 + 6 * octave + i] = sin(angle);
      x[13 + 6 * octave + i] = cos(angle);
    }
  }
  for (int i = 0; i < 4; i++) x[3 + i] = blended[i] * whole;
  vec4 a[4];
  for (int j = 0; j < 4; j++) a[j] = network[136 + j];
  for (int i = 0; i < 34; i++) {
    for (int j = 0; j < 4; j++) a[j] += x[i] * network[4 * i + j];
  }
  for (int i = 0; i < 16; i++) h[i] = max(a[i >> 2][i & 3], 0.0);
  for (int j = 0; j < 4; j++) a[j] = network[204 + j];
  for (int i = 0; i < 16; i++) {
    for (int j = 0; j < 4; j++) a[j] += h[i] * network[140 + 4 * i + j];
  }
  vec4 found = network[224];
  for (int i = 0; i < 16; i++) found += max(a[i >> 2][i & 3], 0.0) * network[208 + i];
  return diffuse + opacity * sigmoid(found.rgb);
}
