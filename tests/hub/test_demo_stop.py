"""The demo ends when it is told to, also while its samples cannot be delivered."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.settings import LimitSettings
from tests.ports import free_port


@pytest.mark.slow
def test_a_demo_whose_hooks_all_fail_stops_in_time(tmp_path: Path) -> None:
    """WhatsApp's stand-in delivers again until it hears 200, which here it never does."""
    command = [sys.executable, "-m", "hub.cli", "demo", "--port", str(free_port()), "--no-browser"]
    refusing = os.environ | {"ONETHREAD_LIMITS__HOOK_BYTES": "1"}
    with subprocess.Popen(
        [*command, "--data", str(tmp_path / "demo")],
        env=refusing,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert any("Ctrl-C" in line for line in process.stdout), "the demo did not start"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            process.terminate()
            assert process.wait(LimitSettings().shutdown + 2.0) == 0
        finally:
            process.kill()
