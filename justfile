# Every command of the project, each a thin recipe over cargo or a script. `just` lists them.

set dotenv-load
set positional-arguments
set shell := ["bash", "-euo", "pipefail", "-c"]

# Real runs are measured with the release profile; `just profile=dev bench` shares the tests' build.
profile := "release"
run := "cargo run --quiet --profile " + profile + " --package"

# What a server is started with; set them in .env (see .env.example).
model := env("MODEL", "mistralai/Mistral-7B-Instruct-v0.3")
port := env("PORT", "8000")

results := "results"

# List the recipes
list:
    @just --list --unsorted

# The main job against the embedded simulator: nothing to install, no GPU
[group('use')]
quickstart *flags:
    cargo quickstart "$@"

# Build the four programs and put them into ~/.cargo/bin
[group('use')]
install:
    for verb in prepare run report simulate; do cargo install --locked --path "bins/$verb"; done

# Build a corpus: datasets/NAME.toml -> corpora/NAME.jsonl
[group('use')]
prepare name="rag" *flags:
    {{ run }} vllm-bench-prepare -- "datasets/$1.toml" --out "corpora/$1.jsonl" "${@:2}"

# Run a scenario against the server on localhost: scenarios/NAME.toml -> results/
[group('use')]
bench name="rag" *flags:
    {{ run }} vllm-bench-run -- "scenarios/$1.toml" --out {{ results }} "${@:2}"

# Draw the report and each chart as a file (newest run, or the run directory given)
[group('use')]
plots run_dir=(results / "latest") *flags:
    {{ run }} vllm-bench-report -- "$1" --charts "$1/charts" "${@:2}"

# Print the summary of a run (newest run, or the run directory given)
[group('use')]
summarize run_dir=(results / "latest") *flags:
    {{ run }} vllm-bench-report -- "$1" "${@:2}"

# Corpus, run, charts and summary, one after the other (`just all smoke quick` is the short one)
[group('use')]
all scenario="rag" corpus="rag": (prepare corpus) (bench scenario) plots

# List the scenarios with the question each answers
[group('use')]
scenarios:
    @awk -F' *= *' '/^question/ { gsub(/"/, "", $2); sub(/.*\//, "", FILENAME); printf "%-22s %s\n", FILENAME, $2; nextfile }' scenarios/*.toml

# Write completion scripts of all programs for SHELL (bash, zsh, fish, powershell, elvish)
[group('use')]
completions shell="bash" dir="target/completions":
    mkdir -p "$2"
    for verb in prepare run report simulate quickstart; do \
        {{ run }} "vllm-bench-$verb" -- --completions "$1" > "$2/vllm-bench-$verb.$1"; done
    @echo "written to $2"

# vLLM in docker on this machine's GPUs; returns when it is ready
[group('server')]
server:
    docker compose up --detach --wait
    @echo "ready at http://localhost:{{ port }}; its log: docker compose logs --follow; end it: just server-stop"

# Stop the server that `just server` started
[group('server')]
server-stop:
    docker compose down

# vLLM as it is installed on this host (pip install vllm), in the foreground
[group('server')]
server-native *flags:
    vllm serve {{ quote(model) }} --port {{ port }} \
        --gpu-memory-utilization "${GPU_MEM_UTIL:-0.85}" --max-model-len "${MAX_MODEL_LEN:-8192}" \
        --enable-prompt-tokens-details --enable-per-request-metrics "$@"

# A real vLLM without a GPU, with a tiny random model: start (default), stop, status, install
[group('server')]
server-cpu *arguments:
    scripts/vllm-cpu.sh "$@"

# The simulated server, in the foreground
[group('server')]
server-simulated *flags:
    {{ run }} vllm-bench-simulate -- --port {{ port }} "$@"

# All tests
[group('develop')]
test *flags:
    cargo test --workspace "$@"

# Format the sources
[group('develop')]
fmt:
    cargo fmt --all

# Fail where a source is not formatted
[group('develop')]
fmt-check:
    cargo fmt --all --check

# Lint everything, warnings are errors
[group('develop')]
clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# Build the API documentation, warnings are errors
[group('develop')]
doc *flags:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps "$@"

# What the load generator costs and how far its times are off, against a floor and a known truth (minutes; `--quick` for less)
[group('develop')]
bench-client *flags:
    cargo build --quiet --profile {{ profile }} --package vllm-bench-run --package vllm-bench-prepare
    {{ run }} vllm-bench-bench-client -- "$@"

# How fast a corpus of 10,000 prompts of 15,000 tokens is written, and in how little memory (add --tokenizer FOLDER for a real model's tokens)
[group('develop')]
bench-corpus *flags:
    cargo run --quiet --profile {{ profile }} --package vllm-bench-corpus --example bench-corpus -- "$@"

# Search the simulator's capacity and hold it against the one computed from its cost model (minutes; `--over concurrency` for users)
[group('develop')]
bench-capacity *flags:
    cargo run --quiet --profile {{ profile }} --package vllm-bench-runner --example bench-capacity -- "$@"

# Open made-up pages, and the report given, in a headless Chromium: all drawn, no error, nothing loaded
[group('develop')]
browser-test *report:
    crates/analysis/tests/browser/run.sh "$@"

# Run every query of docs/data.md as written, on a made-up run or on RUN_DIR (DuckDB, polars and pandas go into .venv)
[group('develop')]
check-docs-data *run_dir:
    python3 -m venv .venv
    .venv/bin/pip install --quiet duckdb polars pandas pyarrow
    .venv/bin/python scripts/check-docs-data.py "$@"

# Check licences, advisories and sources of the dependencies (needs cargo-deny)
[group('develop')]
deny:
    cargo deny --workspace check

# Everything that CI runs
[group('develop')]
ci:
    .ci/run

# Remove what was built and the corpora that were generated; results stay
[group('develop')]
clean:
    cargo clean
    rm -rf corpora
