"""What the README shows works as it stands."""

import re
import shlex
from pathlib import Path

import pytest

from tartan.config.overrides import accept
from tartan.config.store import register
from tartan.plugins import discover
from tartan.study import options
from tartan.study.launch import check_launcher
from tartan.study.plan import Typed, arms, read_options

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
REPRODUCE = (Path(__file__).parents[2] / "docs/reproduce.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.replace("\\\n", " ").split("python -m tartan run ", 1)[1]
    for line in re.findall(r"^    .*python -m tartan run (?:.*\\\n)*.*$", README, re.MULTILINE)
    if "[mine]" not in line
]
ROWS = [
    line
    for line in re.findall(r"^\| (`.*?) \|", README, re.MULTILINE)
    if "hydra/launcher" not in line
]
TYPED = re.findall(r"python -m tartan study ((?:.*\\\n)*[^`\n]*)", README + REPRODUCE)
STUDIES = [
    *(command.replace("\\\n", " ") for command in TYPED),
    *(shown for line in ROWS if "study." in line for shown in re.findall(r"`(.*?)`", line)),
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs(program: str):
    exec(compile(program, "README.md", "exec"), {})


def test_there_are_commands_to_check():
    assert len(COMMANDS) >= 1
    assert len(PROGRAMS) >= 1
    assert len(STUDIES) >= 6


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_accepted(command: str):
    register(discover())
    accept([word for word in shlex.split(command) if not word.startswith("-")])


@pytest.mark.parametrize("command", STUDIES)
def test_a_study_is_accepted(command: str):
    register(discover())
    options.register()
    words = shlex.split(command)
    typed = Typed.split(word for word in words if not word.endswith("=submitit_slurm"))
    assert arms(read_options(typed), typed)
    check_launcher(typed)


@pytest.mark.parametrize("line", [line for line in ROWS if "study." not in line])
def test_a_name_of_the_table_is_a_name_of_the_configuration(line: str):
    """Each with the value it is shown with, or its own."""
    from hydra import compose, initialize_config_module  # noqa: PLC0415
    from omegaconf import OmegaConf  # noqa: PLC0415

    register(discover())
    with initialize_config_module("tartan.configs", version_base="1.3"):
        whole = compose("config", ["objectives=[mlm]", "weighting=meta"])
    for shown in re.findall(r"`(.*?)`", line):
        for override in shlex.split(shown):
            key, _, value = override.partition("=")
            if not value:
                assert OmegaConf.select(whole, key, throw_on_missing=False) is not None, key
            elif value != "...":
                accept(list(dict.fromkeys(["objectives=[mlm]", "weighting=meta", override]))
                       if "objectives=" not in override and not override.startswith("weighting=")
                       else [override])  # fmt: skip
