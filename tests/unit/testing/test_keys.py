"""Keys and certificates: made by a package that is not there for everybody."""

from __future__ import annotations

import subprocess
import sys

from scopedcache.testing.keys import new_private_key, private_pem

ADVICE = "pip install 'scopedcache[testing]'"


def run_without_cryptography(program: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.modules['cryptography'] = None\n{program}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_a_new_key_is_a_pem_of_its_kind() -> None:
    one, other = private_pem(new_private_key()), private_pem(new_private_key())
    assert one.startswith("-----BEGIN EC PRIVATE KEY-----\n")
    assert one != other


def test_a_cluster_in_process_needs_no_extra() -> None:
    program = "from scopedcache.testing import EmbeddedCluster; EmbeddedCluster.start().stop()"
    assert run_without_cryptography(program).returncode == 0


def test_a_door_on_loopback_without_the_extra_says_what_to_install() -> None:
    program = "from scopedcache.testing import EmbeddedCluster; EmbeddedCluster.start(http=True)"
    run = run_without_cryptography(program)
    assert "ScopedCacheError: " in run.stderr
    assert ADVICE in run.stderr


def test_a_command_without_the_extra_says_what_to_install_and_fails() -> None:
    run = run_without_cryptography('from scopedcache.testing.__main__ import main; sys.exit(main(["cluster"]))')
    assert (run.returncode, run.stdout) == (1, "")
    assert ADVICE in run.stderr
    assert "Traceback" not in run.stderr
