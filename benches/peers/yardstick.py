"""What a hash and a signature cost by themselves: `cargo bench` builds a program that makes nothing else (benches/yardstick.rs)."""
import json, os, subprocess

from machine import PROXY_CPU, ROOT, Unfit, output


def program():
    """The benches' program, built as the release is."""
    named = os.environ.get("BENCHES")
    if named:
        return named
    cmd = ["cargo", "bench", "--locked", "--no-run", "--bench", "benches", "--message-format=json"]
    done = subprocess.run(cmd, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    for line in done.stdout.decode().splitlines():
        said = json.loads(line)
        if said.get("reason") == "compiler-artifact" and said["target"]["name"] == "benches" and said.get("executable"):
            return said["executable"]
    raise Unfit("cargo built no benches")


def hashes(benches, config, seconds):
    """Argon2id hashes a second, with the memory, passes and number of threads of a configuration, on CPU 0."""
    return run([benches, "yardstick", "hashes", config, str(seconds)], seconds)


def signatures(benches, key, seconds):
    """CPU microseconds of one signature with an RSA key that was parsed once, on CPU 0."""
    return run([benches, "yardstick", "signatures", key, str(seconds)], seconds)


def run(cmd, seconds):
    code, out = output(cmd, PROXY_CPU, seconds + 30)
    if code != 0:
        raise Unfit(f"{cmd[2]} failed")
    return json.loads(out)
