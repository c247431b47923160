"""What bash traces, beside the commands of a script."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.deployment.script_lines import PRELUDE, commands, never_run

SCRIPT = """\
# What it is for.
greet() {
  echo hello \\
    "$1"
}
if [ "$1" = loud ]; then
  greet loudly
else
  greet quietly
fi
case $1 in
  loud)
    false || {
      echo that failed
    }
    ;;
esac
NOW=$(date)
"""


def test_commands_are_what_bash_can_trace() -> None:
    assert list(commands(SCRIPT)) == [3, 6, 7, 9, 11, 13, 14, 18]


def test_a_command_that_never_ran_is_named(tmp_path: Path) -> None:
    script, trace, prelude = tmp_path / "greet.sh", tmp_path / "trace", tmp_path / "prelude"
    script.write_text(SCRIPT)
    prelude.write_text(PRELUDE.format(trace=trace))

    def run(word: str) -> list[str]:
        subprocess.run(["bash", script, word], env={**os.environ, "BASH_ENV": str(prelude)}, check=True)
        return never_run([script], trace.read_text())

    assert run("softly") == [
        "greet.sh:7: greet loudly",
        "greet.sh:13: false || {",
        "greet.sh:14: echo that failed",
    ]
    assert run("loud") == []
