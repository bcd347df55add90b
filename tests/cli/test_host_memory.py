import platform
import subprocess
import sys


def test_keeps_freed_memory_where_glibc_allocates():
    code = "from fashion_jax.cli.host_memory import keep_freed_memory as f; print(f())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")
