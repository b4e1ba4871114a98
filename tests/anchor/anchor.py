"""anchor.py - llama.cpp beside the project: where it is, how its programs are run, how its library is linked.

The anchor is a Debian chroot with llama.cpp's packages, `ANCHOR_HOME/sid`, whose /m is `ANCHOR_HOME/models`. Entering it
takes root. `scripts/anchor` makes one. Nothing of thinkd runs inside, and nothing of llama.cpp is linked into thinkd.
"""
import os
import pathlib
import shlex
import subprocess

HEADERS = ["llama.h", "ggml.h", "ggml-alloc.h", "ggml-backend.h", "ggml-cpu.h", "ggml-opt.h", "gguf.h"]


class Missing(Exception):
    """What is not there, and what makes it."""


class Anchor:
    def __init__(self):
        self.home = pathlib.Path(os.environ.get("ANCHOR_HOME") or pathlib.Path.home() / ".cache/thinkd-anchor")
        self.sid, self.models = self.home / "sid", self.home / "models"
        if not (self.sid / "usr/bin/llama-bench").exists():
            raise Missing(f"llama.cpp is not installed in {self.sid}: scripts/anchor installs it")
        if os.geteuid() != 0:
            raise Missing("entering the anchor's chroot takes root")
        if not (self.sid / "m").exists() or not self.models.samefile(self.sid / "m"):
            raise Missing(f"{self.models} is not mounted on {self.sid}/m: scripts/anchor mounts it")

    def command(self, program, *args):
        return ["chroot", str(self.sid), program, *map(str, args)]

    def run(self, program, *args, check=True, timeout=600):
        """Output of one program, standard error apart; a failure shows its end."""
        done = subprocess.run(self.command(program, *args), capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"{program} {' '.join(map(str, args))}: exit status {done.returncode}\n" +
                               (done.stdout + done.stderr)[-1500:])
        return done

    def inside(self, path):
        """A file below models as the chroot sees it."""
        return "/m/" + str(pathlib.Path(path).relative_to(self.models))

    def build(self, source, out):
        """Compiles on the host: the chroot needs no compiler. Its headers are linked into a folder of their own, since
        beside them lie those of another C library."""
        include = self.sid / "usr/include"
        if not (include / "llama.h").exists():
            raise Missing(f"llama.cpp's headers are not installed in {self.sid}: scripts/anchor installs them")
        folder = pathlib.Path(str(out) + ".include")
        folder.mkdir(parents=True, exist_ok=True)
        for name in HEADERS:
            link = folder / name
            if not link.is_symlink():
                link.symlink_to(include / name)
        library = next(self.sid.glob("usr/lib/*/libllama.so")).parent
        compiler = shlex.split(os.environ.get("CC", "cc"))
        subprocess.run([*compiler, "-std=c17", "-O2", "-Wall", "-Wextra", "-isystem", str(folder), str(source), "-o",
                        str(out), f"-L{library}", "-lllama", "-lggml", "-lggml-base", "-Wl,--allow-shlib-undefined"],
                       check=True)
