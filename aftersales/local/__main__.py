"""``python -m aftersales.local``: what the Makefile calls.

demo     the whole portal on this machine, until Ctrl-C
servers  PostgreSQL and Valkey alone, until Ctrl-C
check    a command with the fixed values that tests use, without servers: check mypy .
messages compile the translations in locale/
"""

import os
import subprocess
import sys

from aftersales.local import demo, environment, messages, processes
from aftersales.local.processes import LocalError


def main(arguments: list[str]) -> int:
    match arguments:
        case ["demo", "--end-with-parent"]:
            processes.end_with_parent()
            demo.demo()
        case ["demo"]:
            demo.demo()
        case ["servers"]:
            demo.only_servers()
        case ["messages"]:
            messages.compile_all()
        case ["check", command, *rest]:
            # Beside this interpreter lie the tools of the same environment.
            path = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")
            values = {**environment.TEST_VALUES, **os.environ, "PATH": path}
            return subprocess.run([command, *rest], env=values, check=False).returncode
        case _:
            processes.say(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LocalError as error:
        sys.exit(f"\n{error}")
