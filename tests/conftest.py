"""What every test shares: two cores, no network, a cache of its own, examples that do not vary."""

import atexit
import os
import signal
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has a core; processes inherit it
os.environ.setdefault("GOMP_SPINCOUNT", "30000")  # as the command line sets it
os.environ["HF_HUB_OFFLINE"] = "1"
_cache = TemporaryDirectory(prefix="tartan-tests-", ignore_cleanup_errors=True)
atexit.register(_cache.cleanup)
os.environ["HF_DATASETS_CACHE"] = os.environ["TARTAN_CACHE"] = _cache.name
# A shell's background job ignores Ctrl-C, and nohup ignores SIGHUP: tests send both.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("same", deadline=None, derandomize=True, max_examples=50, database=None)
settings.register_profile("soak", deadline=None, max_examples=2000, database=None)


def soaking(config: pytest.Config) -> bool:
    """Whether there is time."""
    return bool(config.option.markexpr == "soak")


def pytest_configure(config: pytest.Config) -> None:
    """The same few examples every time, or with `-m soak` many new ones."""
    settings.load_profile("soak" if soaking(config) else "same")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every property is for `-m soak` too."""
    for item in items:
        if soaking(config) and getattr(
            getattr(item, "function", None), "is_hypothesis_test", False
        ):
            item.add_marker("soak")
