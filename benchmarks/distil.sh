#!/bin/sh
# The distillations behind benchmarks/distillation.md, one claim at a time:
#     sh benchmarks/distil.sh CLAIM DATA OUT
# CLAIM is teacher (first), mlp-600, mlp-120, scratch, mlp-300, grids, grids-20, grids-finetune,
# kilo, frames, al, al-levels, ablations or matrix; DATA is a capture. Each student's report.json
# lies in OUT; what is finished is not done again.
set -eu
here=$(dirname "$0")
claim=$1 data=$2 out=$3
teacher=$out/hash

# to PRESET NAME FLAG ...: one student in OUT/NAME.
to() {
    preset=$1 name=$2
    shift 2
    polyfield distill "$teacher" --to "$preset" --out "$out/$name" --resume --quiet "$@"
}

case $claim in
teacher)
    polyfield fit scene "$data" --seconds 120 --background white --resume --quiet --out "$teacher"
    ;;
mlp-600) to mlp mlp-600 --seconds 600 --baseline ;;
# A fifteenth and a fifth of the time of the baseline of mlp-600.
mlp-120) for s in 40 120; do to mlp "mlp-$s" --seconds "$s"; done ;;
# The baseline has its preset's coarse steps; with those that the student takes over from hash:
scratch)
    polyfield fit scene "$data" --preset mlp --sampler.steps 256 --seconds 600 \
        --background white --resume --quiet --out "$out/scratch-256"
    ;;
mlp-300) to mlp mlp-300 --seconds 300 --baseline ;;
grids) for name in vm triplane voxels; do to "$name" "$name-120" --seconds 120 --baseline; done ;;
# In 120 s these students reach their teacher from photographs too; in 20 s they don't.
grids-20) for name in vm triplane voxels; do to "$name" "$name-20" --seconds 20 --baseline; done ;;
# Half of the 120 s from photographs.
grids-finetune)
    for name in vm triplane voxels; do
        to "$name" "$name-finetune" --seconds 60 --finetune "$data"
    done
    ;;
kilo) to kilo kilo-300 --seconds 300 --finetune "$data" ;;
frames)
    to nerf nerf-120 --seconds 120
    python "$here/frames.py" "$out/kilo-300" "$out/nerf-120"
    ;;
# Three seeds: one pair differs by as much as two seeds do.
al)
    for seed in 0 1 2; do
        for method in pvd pvd-al; do
            to mlp "mlp-$method-$seed" --steps 3000 --method "$method" --seed "$seed"
        done
    done
    python "$here/worst_views.py" "$data" "$teacher" "$out"/mlp-pvd-[012] "$out"/mlp-pvd-al-[012]
    ;;
# These and the ablations take as many steps as mlp-pvd-0, from the same seed.
al-levels)
    for level in poses rays points poses,rays; do
        to mlp "mlp-al-$(echo "$level" | tr , -)" --steps 3000 --method pvd-al --al "$level"
    done
    ;;
ablations)
    for flag in no-clamp no-stages no-inherit no-lend; do to mlp "mlp-$flag" --steps 3000 "--$flag"; done
    # Heads are for pairs that share no feature.
    to voxels voxels-steps --steps 1000
    to voxels voxels-heads --steps 1000 --heads
    ;;
matrix) polyfield distill --matrix "$data" --seconds 60 --out "$out/matrix" ;;
*)
    echo "no claim $claim" >&2
    exit 2
    ;;
esac
