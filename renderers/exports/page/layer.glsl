// f(W x + b) (fields/networks/layer_pass.py).
uniform int inputs;      // in fours
uniform int activation;  // 0 none, 1 ReLU, 2 sine

/** The sine, accurate for large arguments too: whole turns are taken off in two parts. */
vec4 wave(vec4 z) {
  vec4 turns = floor(z * 0.15915494309189535 + 0.5);
  return sin((z - turns * 6.28125) - turns * 0.0019353071795864769);
}

vec4 group(int g) {
  int at = g * (1 + 4 * inputs);
  vec4 sum = texel(at);
  for (int i = 0; i < inputs; i++) {
    vec4 x = earlier(i);
    sum += x.x * texel(at + 1) + x.y * texel(at + 2) + x.z * texel(at + 3) + x.w * texel(at + 4);
    at += 4;
  }
  return activation == 1 ? max(sum, 0.0) : activation == 2 ? wave(sum) : sum;
}
