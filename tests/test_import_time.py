"""`import ondes` and `ondes --help` are fast, because they load nothing heavy."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "diffusers", "lightning", "matplotlib", "symusic", "soundfile", "huggingface_hub", "scipy")
SHOW = f"; import sys; print([name for name in {HEAVY} if name in sys.modules])"
HELP = """
import sys
sys.argv = ["ondes", "--help"]
from ondes.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def runs_within(code: str, limit_s: float) -> bool:
    """Whether a fresh interpreter runs the code in so much processor time, in one of several tries."""
    measure = "import time; start = time.process_time()\n" + code + "\nprint(time.process_time() - start)"
    return any(float(run(measure).split()[-1]) < limit_s for _ in range(5))


def test_importing_ondes_loads_nothing_heavy() -> None:
    assert run("import ondes; ondes.__version__; dir(ondes)" + SHOW).strip() == "[]"


def test_importing_ondes_takes_less_than_0_3_seconds() -> None:
    assert runs_within("import ondes", 0.3)


def test_help_loads_nothing_heavy() -> None:
    printed = run(HELP + SHOW.removeprefix("; "))
    assert "synth" in printed
    assert printed.strip().endswith("[]")


def test_help_takes_less_than_0_3_seconds() -> None:
    assert runs_within(HELP, 0.3)
