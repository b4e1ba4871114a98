"""tap.py - runs named tests one after the other and says in TAP what came of them."""
import sys
import traceback


class Skip(Exception):
    """A test that cannot run here; its message says why."""


def run(tests):
    """tests: [(name, function)]; returns the exit status."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for i, (name, function) in enumerate(tests, 1):
        try:
            function()
        except Skip as why:
            print(f"ok {i} # SKIP {name}: {why}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {i} - {name}")
            for line in traceback.format_exc().splitlines()[-15:]:
                print(f"# {line}")
            sys.stdout.flush()
        else:
            print(f"ok {i} - {name}", flush=True)
    return 1 if failed else 0
