// Sines and cosines of octaves (encodings/frequency.py): [p], then sines and cosines by octave.
uniform bool identity;
uniform int octaves;

vec4 group(int g) {
  vec2 p = place() * 2.0 - 1.0;
  vec4 found = vec4(0.0);
  for (int k = 0; k < 4; k++) {
    int channel = 4 * g + k - (identity ? 2 : 0);
    if (channel < 0) {
      found[k] = p[channel + 2];
    } else if (channel < 4 * octaves) {
      // 2^octave pi p in turns: whole ones are taken off, exactly, before the sine.
      float turns = p[channel & 1] * exp2(float((channel >> 2) - 1));
      turns -= floor(turns + 0.5);
      float angle = 6.283185307179586 * turns;
      found[k] = (channel & 2) == 0 ? sin(angle) : cos(angle);
    }
  }
  return found;
}
