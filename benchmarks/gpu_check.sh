#!/usr/bin/env bash
# Everything that needs a GPU, in one go of under seven minutes: bash benchmarks/gpu_check.sh [OUT]
# Where there is no GPU, the parts that need one are skipped by name, and a little of the rest runs on the CPU
# in up to twice the time: it shows that the check is ready, not what is right or fast.
#   PYTHON=...       the interpreter (default: python3), with torch, triton and the project's dependencies
#   SPARSELRP_COMMIT=...  what the figures are of, where the code has come without its history
#   DEEP=FOLDER      an imported deep network to check as well
#   PARTS="a b"      only these: environment tests agreement speed command
set -u
cd "$(dirname "$0")/.."
OUT=${1:-gpu-check}
PYTHON=${PYTHON:-python3}
PARTS=${PARTS:-environment tests agreement speed command}
mkdir -p "$OUT"
export PYTHONPATH=.${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
failed=0
gpu=$("$PYTHON" -c 'import torch; print(torch.cuda.is_available())')
if [ "$gpu" = True ]; then device=cuda; else device=cpu; fi

wanted() { case " $PARTS " in *" ${1%%-*} "*) ;; *) return 1 ;; esac; }   # NAME: whether PARTS has it
part() {   # NAME SECONDS COMMAND...: one part, its output kept in OUT/NAME.log
  local name=$1 limit=$2 began=$SECONDS rc
  shift 2
  wanted "$name" || return
  [ "$device" = cuda ] || limit=$((2 * limit))
  echo "== $name"
  timeout "$limit" "$@" 2>&1 | tee "$OUT/$name.log" | tail -n "${LINES_SHOWN:-25}"
  rc=${PIPESTATUS[0]}
  [ "$rc" = 0 ] || failed=1
  echo "== $name: exit $rc after $((SECONDS - began)) s"
}
skip() { ! wanted "$1" || echo "== $1${2:+, $2}: skipped, no NVIDIA GPU here"; }   # NAME [OF WHICH]

environment() {
  command -v nvidia-smi > /dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv
  "$PYTHON" - <<'P'
import importlib.metadata as m, platform, torch
from benchmarks.history import current_commit
commit, dirty = current_commit()
print("commit", commit, "with changes" if dirty else "")
print("python", platform.python_version(), "torch", torch.__version__, "cuda", torch.version.cuda)
for name in ("triton", "numpy", "numba", "h5py", "pybigtools", "click"):
    try: print(name, m.version(name))
    except m.PackageNotFoundError: print(name, "isn't installed")
P
}
command_line() {   # the whole command on the shipped model and data, then 10,000 windows
  "$PYTHON" -c '
import random
random.seed(0)
print(*(f"chr2R\t{s}\t{s + 600}\tw{i}" for i, s in enumerate(random.sample(range(15_000_000, 20_999_000), 10_000))), sep="\n")' > "$OUT/tiles.bed"
  set -- "221 data/suhw-peaks.bed" "221-again data/suhw-peaks.bed"
  [ "$device" = cpu ] || set -- "$@" "10000 $OUT/tiles.bed"
  for run in "$@"; do
    set -- $run
    began=$(date +%s.%N)
    "$PYTHON" -m sparselrp_cli attribute data/chr2R-15-21Mb.fa.gz -r "$2" -m models/suhw-dm3 -o "$OUT/run$1" --device $device --restart || return 1
    echo "$1 windows: $(echo "$(date +%s.%N) - $began" | bc 2> /dev/null || "$PYTHON" -c "import time; print(time.time() - $began)") s"
  done
  "$PYTHON" - "$OUT" <<'P'
import sys, h5py, numpy as np
a, b = (h5py.File(f"{sys.argv[1]}/run{n}.h5") for n in ("221", "221-again"))
same = all(np.array_equal(a[k][...], b[k][...]) for k in ("hyp_scores", "input_seqs"))
print("two runs of the command give", "equal" if same else "DIFFERENT", "maps")
sys.exit(not same)
P
}
export -f environment command_line
export PYTHON OUT device

part environment 60 bash -c environment
if [ "$device" = cuda ]; then
  part tests 120 "$PYTHON" -m pytest -q -m gpu -p no:cacheprovider tests/relevance
else
  skip tests
  [ -n "${AGREEMENT_OPTIONS:-}" ] || skip agreement "networks without 'deep' in their name"
  [ -n "${SPEED_OPTIONS:-}" ] || skip speed "networks but the shipped one, batches but one window, and memory"
  skip speed-profile
  skip command "10,000 windows"
  [ -z "${DEEP:-}" ] || skip agreement "$DEEP"
  DEEP=
  AGREEMENT_OPTIONS=${AGREEMENT_OPTIONS:---only deep}
  SPEED_OPTIONS=${SPEED_OPTIONS:---networks suhw --batches 1 --no-memory}
fi
part agreement 130 "$PYTHON" -m benchmarks.robustness.gpu_agreement --out "$OUT" --device $device ${DEEP:+--model "$DEEP"} ${AGREEMENT_OPTIONS:-}
part speed 90 "$PYTHON" -m benchmarks.speed.engine_speed --out "$OUT" --device $device --batches 1 16 256 --rounds 3 ${SPEED_OPTIONS:-}
if [ "$device" = cuda ]; then
  part speed-profile 30 "$PYTHON" -m benchmarks.speed.gpu_profile --device $device
  part speed-replayed 30 "$PYTHON" -m benchmarks.speed.gpu_profile --device $device --replayed
fi
part command 60 bash -c command_line
rm -rf "$OUT"/run*.partial "$OUT"/run*.h5 "$OUT"/run*.bw "$OUT"/tiles.bed "$OUT"/run*.tsv "$OUT"/run*.json
exit $failed
