"""A Redis for the time of a sample: on loopback, on CPU 1, nothing kept on disk."""
import subprocess, tempfile

from machine import LOAD_CPU, start, stop, wait_port
from systems import PORTS


class Redis:
    url = f"redis://127.0.0.1:{PORTS['REDIS']}/0"

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory()
        cmd = ["redis-server", "--port", str(PORTS["REDIS"]), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
               "--maxmemory-policy", "noeviction", "--dir", self.dir.name]
        self.p = start(cmd, LOAD_CPU, stdin=subprocess.DEVNULL)
        try:
            wait_port(PORTS["REDIS"], self.p)
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        stop(self.p)
        self.dir.cleanup()
