"""`python -m benchmarks.gpu.agree`: gradients on the device, compared with the CPU's in float32."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.agreement import Agreement
from benchmarks.experiment import with_model
from benchmarks.setting import Setting
from benchmarks.sides import SIDES
from tartan.train.runtime import Runtime

KINDS = ("tartan-static", "tartan-meta", "tartan-gramian")
PRECISIONS = ("fp32", "bf16", "fp16")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and write after each; return 1 if gradients differ or a side failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.agree", description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--small", action="store_true", help="a tiny body, for a rehearsal")
    options = parser.parse_args(arguments)
    size = {"model": "tiny", "words": 6, "length": 16} if options.small else {"model": "small"}
    base = replace(Setting(batch=8, length=64, device="cpu", precision="fp32"), **size)
    device = str(Runtime.choose("auto", "fp32").device)
    found: dict[str, Any] = {"device": device, "setting": base.as_dict(), "agreement": {}}
    bad = False
    with with_model(base) as setting:
        for kind in KINDS:
            expected = SIDES[kind].make(setting).gradient(None)
            for precision in PRECISIONS if device != "cpu" else ("fp32", "bf16"):
                moved = replace(setting, device=device, precision=precision)
                try:
                    agreement = Agreement.of(SIDES[kind].make(moved).gradient(None), expected)
                    entry = {**asdict(agreement), "objection": agreement.objection}
                except Exception as error:  # whatever a side raises: the others are compared
                    entry = {"objection": f"{type(error).__name__}: {error}"[:500]}
                bad |= entry["objection"] is not None
                found["agreement"][f"{kind} {precision}"] = entry
                print(kind, precision, entry, flush=True)
                options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
