"""Install Node.js into ``build/node``, where none is on the PATH that is new enough and has npm."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tests.nodejs import install, lacking, version_of


def main() -> int:
    reason = lacking() or (None if shutil.which("npm") else "npm is needed, and it is not on the PATH")
    if reason is not None:
        print(f"{reason}: installing it into build/node...", flush=True)
        try:
            install()
        except subprocess.CalledProcessError:
            print("pip cannot install it here; install Node.js yourself")
            return 1
        version_of.cache_clear()
        if (reason := lacking()) is not None:
            print(f"{reason}; build/node/bin is not on the PATH, or has no program for this machine")
            return 1
    print("Node.js {}.{}: {}".format(*version_of(found := shutil.which("node") or ""), found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
