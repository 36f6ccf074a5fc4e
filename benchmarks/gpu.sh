#!/usr/bin/env bash
# All that needs a GPU, in at most nine minutes on a machine with nothing of ours installed (docs/gpu.md):
#
#     benchmarks/gpu.sh                                  # results in gpu-results/: summary.md, results.jsonl, a log a part
#     benchmarks/gpu.sh --device cpu                     # every part at toy size, to try the script
#     benchmarks/gpu.sh --out FOLDER --parts "checks generation" --python PYTHON --trl-python PYTHON
#
# Every part has its own time limit and writes what it found at once, and the summary is written again after each: a run
# cut short still tells. A part that fails is told with the last lines of its output, and the next one begins. The exit
# status is the number of parts that failed or found no time.
set -u
cd "$(dirname "$0")/.."

device=cuda out=gpu-results parts= python=python3 trl_python= total=540 times=1
while (($#)); do
    case $1 in
        --device) device=$2 ;;
        --out) out=$2 ;;
        --parts) parts=$2 ;;
        --python) python=$2 ;;
        --trl-python) trl_python=$2 ;;
        *) sed -n '2,5p' "$0" | cut -c3- >&2; exit 2 ;;
    esac
    shift 2 || { echo "$1 needs a value" >&2; exit 2; }
done
if [[ $device == cpu ]]; then # a machine that others use: nobody waits for a GPU here
    times=5 total=$((total * 5))
fi
mkdir -p "$out"
models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT

export PYTHONPATH=".:benchmarks${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
export CUBLAS_WORKSPACE_CONFIG=:4096:8 # sums in one order, where a check asks for results that are the same to the bit
failed=0

part() { # NAME SECONDS COMMAND...: run one part, unless --parts leaves it out
    local name=$1 limit=$(($2 * times)) left=$((total - SECONDS)) began=$SECONDS status
    shift 2
    [[ -z $parts || " $parts " == *" $name "* ]] || return 0
    ((limit <= left)) || limit=$left
    if ((limit < 5)); then
        status=-1
    else
        echo "== $name (at most $limit s)"
        timeout --kill-after=5 "$limit" "$@" >"$out/$name.log" 2>&1
        status=$?
    fi
    ((status == 0)) || failed=$((failed + 1))
    "$python" benchmarks/gpu_results.py "$out" "$name" --status "$status" --seconds $((SECONDS - began)) --limit "$limit"
}

measure() { # NAME SECONDS SCRIPT ARGUMENTS...: a part that is a script of ours
    local name=$1 limit=$2 script=$3
    shift 3
    part "$name" "$limit" "$python" "benchmarks/$script" "$@" --device "$device" --results "$out/results.jsonl"
}

if [[ $device == cpu ]]; then
    step=(--cases short --new 8 --steps 1)
else
    step=(--cases short long group --steps 3 --micro-batch-tokens 16384)
fi

rm -f "$out/results.jsonl"
measure environment 30 gpu_environment.py
measure checks 110 gpu_checks.py
part sharded 45 "$python" -m torch.distributed.run --standalone --nproc-per-node 1 \
    benchmarks/gpu_checks.py --only sharded --device "$device" --results "$out/results.jsonl"
measure models 45 gpu_models.py --out "$models"
measure generation 110 gpu_speed.py generation --models "$models"
measure pretrain 70 gpu_speed.py pretrain --models "$models"
measure rl_step 80 rl_step.py --model "$models/qwen2-0.5b" --rounds 1 "${step[@]}" \
    ${trl_python:+--trl-python "$trl_python"}
part tests 50 "$python" benchmarks/gpu_tests.py

echo "$failed parts failed; $out/summary.md:"
cat "$out/summary.md"
exit "$failed"
