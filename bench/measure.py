"""Runs a command to its end and prints what it took, as one line of JSON.

usage: measure.py OUTPUT COMMAND [ARGUMENT...]

The command's standard output goes to the file OUTPUT. Times are in milliseconds: `wall`, and `cpu` of the command with all
that it started and waited for. `rss` is the most memory that it, or any one process under it, held, in KiB.
"""

import json
import os
import sys
import time


def main() -> None:
    output, *command = sys.argv[1:]
    out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    began = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - began
    taken = {
        "wall": wall * 1000,
        "cpu": (usage.ru_utime + usage.ru_stime) * 1000,
        "rss": usage.ru_maxrss,
        "status": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
