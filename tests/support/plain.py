"""Exported models, read by transformers in a process that never imports tartan."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

PROGRAM = """
import json, sys
sys.modules["tartan"] = None
import torch, transformers
for line in sys.stdin:
    kind, directory, script, given = json.loads(line)
    model = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(directory).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    scope = {"model": model, "tokenizer": tokenizer, "given": given, "json": json, "torch": torch}
    exec(script, scope)
    print("answer", json.dumps(scope["answer"]), flush=True)
"""


@cache
def _process() -> "subprocess.Popen[str]":
    """Start the process, once; it ends with this one, which closes its standard input."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def elsewhere(kind: str, model: Path, script: str, given: object) -> Any:
    """Return the `answer` that a script computes of an exported model without tartan.

    Args:
        kind: of the head, as in `AutoModelForTokenClassification`.
        model: the exported model's directory.
        script: a program that reads `model`, `tokenizer` and `given`, and sets `answer`.
        given: what else it reads.
    """
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([kind, str(model), script, given]) + "\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("answer "):
            return json.loads(line.removeprefix("answer "))
    raise AssertionError(f"the process ended with status {process.wait()}")
