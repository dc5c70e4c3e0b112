// The coordinates themselves (encodings/identity.py).
uniform bool centered;  // in [-1,1] instead of [0,1]

vec4 group(int g) {
  vec2 v = place();
  return vec4(centered ? v * 2.0 - 1.0 : v, 0.0, 0.0);
}
