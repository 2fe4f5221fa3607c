"""What every test shares: two cores, no network, a cache of its own."""

import atexit
import os
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has a core; processes inherit it
os.environ["HF_HUB_OFFLINE"] = "1"
_cache = TemporaryDirectory(prefix="tartan-tests-", ignore_cleanup_errors=True)
atexit.register(_cache.cleanup)
os.environ["HF_DATASETS_CACHE"] = _cache.name
