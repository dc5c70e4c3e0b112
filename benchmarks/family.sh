#!/bin/sh
# The comparisons behind benchmarks/family.md, one claim at a time:
#     sh benchmarks/family.sh CLAIM DATA OUT
# CLAIM is a word of the list below; DATA is a folder of pictures, or for scenes a capture. Every
# DIR/compare.json is {"rows": [...]}; benchmarks/family.py gathers them. A run that was cut off goes on
# where it was. FLAGS adds flags, for instance FLAGS="--threads 1".
set -eu
here=$(dirname "$0")
claim=$1 data=$2 out=$3

# list NAME ...: the names as --presets takes them; names with a file in configs/ mean that file.
list() {
    joined=
    for name in "$@"; do
        [ -f "$here/configs/$name.yaml" ] && name=$here/configs/$name.yaml
        joined=$joined${joined:+,}$name
    done
    echo "$joined"
}

# each PRESETS FLAG ...: compares on every picture of the folder.
each() {
    presets=$1
    shift
    for picture in "$data"/*.png; do
        # shellcheck disable=SC2086
        polyfield compare image "$picture" --presets "$presets" "$@" ${FLAGS:-} --resume --quiet \
            --out "$out/$claim/$(basename "$picture" .png)"
    done
}

case $claim in
sape)
    each "$(list ff-5 sape-5 ff-10 sape-10 ff-25 sape-25 ff-50 sape-50)" \
        --downscale 3 --holdout 0.75 --batch all --steps 1000
    ;;
sape-time) each "$(list ff-25 sape-25)" --downscale 3 --holdout 0.75 --batch all --steps 100 ;;
cam) each "$(list ffn cam-16)" --downscale 3 --batch all --steps 1000 ;;
cam-unseen) each "$(list ffn cam-16)" --downscale 3 --holdout lattice --batch all --steps 1000 ;;
# The same with frequencies that suit a lattice of 128x86 pixels; sigma 10 is that of 512x512.
cam-scale)
    each "$(list ffn-sigma-3 cam-sigma-3 ffn-sigma-5 cam-sigma-5)" \
        --downscale 3 --holdout lattice --batch all --steps 1000
    ;;
# Other sizes of the grid, beside cam-unseen.
cam-sizes) each "$(list cam-8 cam-32)" --downscale 3 --holdout lattice --batch all --steps 1000 ;;
# The published setting: DATA is centres of 512x512, their 256x256 lattice is fitted.
cam-512) each "$(list ffn cam-32)" --holdout lattice --batch all --steps 1000 ;;
# DATA: centres of 256x256 (benchmarks/family.py crop).
sines) each "$(list relu-3x256 siren-3x256 spder-3x256)" --batch all --steps 500 ;;
gnf) each "$(list gnf gnf-32 gnf-mlp gnf-mlp-calm)" --steps 1500 ;;
# What else to try where Gaussian kernels fall short: other rates, four times the steps.
gnf-tries) each "$(list gnf-quick gnf-slow)" --steps 1500 ;;
gnf-long) each "$(list gnf gnf-mlp)" --steps 6000 ;;
rbf) each "$(list hash rbf)" --seconds 20 ;;
rbf-steps) each "$(list hash rbf)" --steps 4000 ;;
# DATA: centres of 512x512.
cp)
    each "$(list cp-32 finr-cp)" --steps 3000
    python -P "$here/family.py" svd 32 "$data"
    ;;
scenes)
    # shellcheck disable=SC2086
    polyfield compare scene "$data" --seconds 120 --background white --resume --out "$out/$claim" \
        --presets hash,vm,triplane,voxels,dense,cp,cam,gnf,rbf,mlp,nerf,kilo ${FLAGS:-}
    ;;
*)
    echo "no claim $claim" >&2
    exit 2
    ;;
esac
