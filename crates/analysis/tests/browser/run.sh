#!/usr/bin/env bash
# The browser test: makes the pages of a made-up run and opens them, and every report.html given as
# an argument, in a headless Chromium.
# Needs Node 20 with npm, and Chromium (CHROMIUM names it, else it is looked for); fails without them.
set -euo pipefail
reports=()
for report in "$@"; do
    [ -z "$report" ] || reports+=("$(realpath "$report")")
done
cd "$(dirname "$0")"

need() { echo "browser test: $1" >&2; exit 1; }
command -v node >/dev/null || need "Node 20 is needed and was not found"
command -v npm >/dev/null || need "npm is needed and was not found"
[ "$(node --print 'process.versions.node.split(".")[0] >= 20')" = true ] || need "Node 20 is needed, this is $(node --version)"
if [ -z "${CHROMIUM:-}" ]; then
    for name in chromium chromium-browser google-chrome-stable google-chrome chrome; do
        CHROMIUM=$(command -v "$name") && break
    done
fi
[ -x "${CHROMIUM:-}" ] || need "Chromium is needed and was not found (Debian: apt-get install chromium); CHROMIUM=/path/to/it names one"
export CHROMIUM

root=$(cd ../../../.. && pwd)
export VLLM_BENCH_PAGES="${VLLM_BENCH_PAGES:-$root/target/browser-test}"
rm -rf "$VLLM_BENCH_PAGES"
(cd "$root" && cargo run --quiet --package vllm-bench-analysis --example synthetic_report -- "$VLLM_BENCH_PAGES" --pictures)
for chart in "$VLLM_BENCH_PAGES"/charts/*.html; do
    for picture in svg png; do
        [ -s "${chart%.html}.$picture" ] || need "no ${chart%.html}.$picture was drawn"
    done
done

VLLM_BENCH_REPORTS=$(printf '%s\n' "${reports[@]+"${reports[@]}"}")
export VLLM_BENCH_REPORTS
npm ci --no-audit --no-fund --silent
node --test pages.test.mjs
