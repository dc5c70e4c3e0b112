#!/bin/sh
# Everything there is to learn on a machine with an NVIDIA GPU, in under nine minutes:
#     sh tests/gpu/run_all.sh OUT [DATA]
# OUT gets info.json, tests.txt, bench.txt, bench.json, scene.txt, scene.json and status.txt; DATA is a capture to
# train on (default: the built-in demo). Builds nothing and needs no network: polyfield and its test
# tools are installed, in a CUDA build of PyTorch. PYTHON names the interpreter. Each part has its own
# time limit, and a part that fails does not keep the others from running.
set -u
out=${1:?name a folder for the results}
data=${2:-demo}
here=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export POLYFIELD_GPU_OUT="$out"
cd "$here" || exit 1
verb='import sys; from polyfield.apps.cli import main; sys.exit(main())'
: > "$out/status.txt"
failed=0

# part NAME SECONDS FILE COMMAND ...: run it, note how it went.
part() {
    name=$1 limit=$2 file=$3
    shift 3
    began=$(date +%s)
    timeout "$limit" "$@" > "$out/$file" 2>&1
    status=$?
    [ $status -eq 0 ] || failed=1
    echo "$name: exit $status after $(($(date +%s) - began)) s" | tee -a "$out/status.txt"
}

part info 60 info.json "$python" -P -c "$verb" info --json
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv >> "$out/status.txt" 2>&1
part tests 240 tests.txt "$python" -m pytest -q -p no:cacheprovider \
    tests/gpu tests/kernels/test_triton_parity.py \
    --deselect tests/kernels/test_triton_parity.py::test_every_kernel_compiles_without_spilling
part kernels 120 bench.txt "$python" -P -c "$verb" bench memory hash-grid mlp bank rays adam \
    --device cuda --json "$out/bench.json" --overwrite
part scene 110 scene.txt "$python" -P -c "$verb" bench scene-step render scene-30db \
    --device cuda --data "$data" --json "$out/scene.json" --overwrite
exit $failed
