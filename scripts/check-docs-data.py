#!/usr/bin/env python3
"""Runs every query of docs/data.md as written, and fails when one fails or shows nothing.

    check-docs-data.py [RUN_DIR]

Each `sql` block goes to DuckDB, each `python` block to a Python of its own, in a
folder whose `results/latest` is RUN_DIR: where none is named, one with made-up
figures that crates/storage/examples/write_run.rs writes. Needs duckdb, polars,
pandas and pyarrow.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "data.md"
EXAMPLE = ["cargo", "run", "--quiet", "--package", "vllm-bench-storage", "--example", "write_run", "--"]


def blocks(text):
    """(line, language, code) of every fenced block with a language."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        yield text[: match.start()].count("\n") + 1, match[1], match[2]


def run_sql(code, folder):
    """The result as text; an empty result is a failure."""
    program = f"import duckdb; r = duckdb.sql({code!r}); print(r); raise SystemExit(len(r) == 0)"
    return run_python(program, folder)


def run_python(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    return done.returncode == 0 and bool(done.stdout.strip()), output


def main():
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    ran = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        results = pathlib.Path(folder, "results")
        if len(sys.argv) == 2:
            run_dir = pathlib.Path(sys.argv[1]).resolve()
            results.mkdir()
            (results / "latest").symlink_to(run_dir)
        else:
            subprocess.run([*EXAMPLE, str(results)], cwd=ROOT, check=True)
        if not (results / "latest" / "manifest.json").is_file():
            sys.exit(f"{results / 'latest'} is not a run directory")
        for line, language, code in blocks(PAGE.read_text(encoding="utf-8")):
            run = {"sql": run_sql, "python": run_python}.get(language)
            if run is None:
                continue
            good, output = run(code, folder)
            ran, failed = ran + 1, failed + (not good)
            print(f"docs/data.md:{line} {language}: {'ok' if good else 'FAILED'}")
            print("".join(f"    {text}\n" for text in output.splitlines()))
    if not ran:
        sys.exit(f"{PAGE} has no query")
    sys.exit(f"{failed} of {ran} queries failed" if failed else 0)


main()
