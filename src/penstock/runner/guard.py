"""A small process beside a task runner that ends the runner's commands when the runner is killed.

Commands run in process groups of their own, so they would outlive a runner that has no time to end them, and run on
beside the attempt that follows theirs.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading

# It reads what begins and ends until the runner has gone, however that happens, and is not ended by what ends a runner.
SCRIPT = """
trap '' INT TERM HUP
groups=' '
while read -r verb group; do
    case $verb in
        begins) groups="$groups$group " ;;
        ends) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do kill -9 "-$group"; done
"""


class Guard:
    """Knows the process groups of commands that run now; its process is started with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def make_ready(self) -> None:
        """Start the process, if there is none: a command that begins must be known at once. Raises OSError."""
        with self._lock:
            if self._process is None:
                self._start()

    def begins(self, group: int) -> None:
        """A process group that must not outlive this process."""
        with self._lock:
            self._groups.add(group)
            if self._process is None or not self._tell(f"begins {group}\n"):
                self._start()

    def ends(self, group: int) -> None:
        """It has ended; what it has left in the background may go on."""
        with self._lock:
            self._groups.discard(group)
            if self._process is not None and not self._tell(f"ends {group}\n"):
                self._start()

    def close(self) -> None:
        """End what is left of the groups."""
        with self._lock:
            if self._process is not None:
                self._let_go(self._process)
                self._process = None

    def _start(self) -> None:
        """Start the process, in place of one that somebody has ended."""
        if self._process is not None:
            self._let_go(self._process)
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        self._tell("".join(f"begins {group}\n" for group in sorted(self._groups)))

    def _tell(self, text: str) -> bool:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text.encode("ascii"))
        except OSError:
            return False
        return True

    @staticmethod
    def _let_go(process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()
