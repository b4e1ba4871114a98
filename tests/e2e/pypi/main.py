"""main.py - all tests of PyPI's clients, in one plan."""
import sys

import common
import client  # noqa: F401 (a file's tests are in the plan once it is imported)
import stored  # noqa: F401
import azure  # noqa: F401
import limits  # noqa: F401
import tap

sys.exit(tap.run(common.TESTS))
