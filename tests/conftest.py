"""What every test shares: two cores, no network."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has a core; processes inherit it
os.environ["HF_HUB_OFFLINE"] = "1"
