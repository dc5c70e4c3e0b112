// 1 / (1 + exp(-x)).
vec4 group(int g) { return 1.0 / (1.0 + exp(-earlier(g))); }
