"""What is typed is what an option gets, and what cannot be used is one line that says what to type.

Each case is checked as `run` and `study` check their command lines, without running anything.
"""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from tartan.config.overrides import accept
from tartan.config.parse import resolved
from tartan.config.store import register
from tartan.config.values import overrides_of
from tartan.errors import ConfigError
from tartan.plugins import discover
from tartan.study import options as study_options
from tartan.study.command_line import Typed

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    register(discover())
    study_options.register()


def value(key: str, *typed: str, name: str = "config") -> object:
    """What an option is, once Hydra has composed what was typed."""
    accepted = accept(typed, name)
    with initialize_config_module("tartan.configs", job_name="tartan", version_base="1.3"):
        return OmegaConf.select(compose(name, accepted), key)


def refusal(*typed: str, name: str = "config", several: bool = False) -> str:
    with pytest.raises(ConfigError) as refused:
        accept(typed, name, multirun=several)
    assert str(refused.value).isprintable()
    return str(refused.value)


TEXTS = [
    "2025_01_02", "1e3", "0x10", "007", "1.50", "-1", "on", "true", "False", "NULL", "nan", "inf",
    "a=b", "DIR/step=3", "task (1)", "f(x)", "[a]", "{a}", "a,b", "a:b", "it's", 'say "x"', "a b",
    " a", "a ", "#x", "%x", "a~b", "läuft", "*", "a[0]", "ßtrasse,1=(2)", "range(3", "@x", "+x",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_taken_as_it_is_typed(text: str):
    typed = ["data=jsonl", f"data.dir={text}", f"run_dir={text}", f"resume={text}"]
    accepted = accept(typed)
    with initialize_config_module("tartan.configs", job_name="tartan", version_base="1.3"):
        found = compose("config", accepted)
    assert [found.data.dir, found.run_dir, found.resume] == [text] * 3


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("model.name", ["model=auto"]),
        ("objectives.classification_aux.data.dir", ["objectives=[classification_aux]"]),
        ("data.text_field", ["data=jsonl"]),
        ("data.name", ["data=hub"]),
        ("data.domain", ["data=hub"]),
        ("data.unlabelled", ["data=files"]),
        ("data.splits.train", ["data=hub"]),
        ("tracker", []),
        ("device", []),
        ("eval.metric", []),
        ("weighting.similarity", ["weighting=meta"]),
    ],
)
def test_every_option_that_is_a_text_takes_one(key: str, more: list[str]):
    for text in ("2025_01_02", "a=b"):
        assert value(key, *more, f"{key}={text}") == text


def test_a_studys_directory_is_taken_as_it_is_typed():
    for text in ("2025_01_02", "a=b", "task (1)"):
        assert value("study.dir", f"study.dir={text}", name="study") == text


def test_the_home_directory_is_what_a_shell_makes_of_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert value("data.dir", "data=jsonl", "data.dir=~/task=1") == "/home/me/task=1"
    assert value("model.name", "model=auto", "model.name=~") == "/home/me"
    assert value("study.dir", "study.dir=~/study", name="study") == "/home/me/study"
    assert (
        value("data.unlabelled", "data=files", "data.unlabelled=~/a (1).csv")
        == "/home/me/a (1).csv"
    )
    assert value("run_dir", "run_dir=~nobody-here/x") == "~nobody-here/x"
    assert value("run_dir", "run_dir=a~/x") == "a~/x"
    assert value("run_dir", "run_dir='~/x'") == "~/x", "as in quotes"


@pytest.mark.parametrize(
    ("typed", "found"),
    [("'a b'", "a b"), ('"1"', "1"), ("${resume}/x", "auto/x"), (r"a\,b", "a,b"), ("", "")],
)
def test_hydras_own_quotes_and_interpolations_keep_their_meaning(typed: str, found: str):
    assert value("run_dir", f"run_dir={typed}") == found


def test_null_empties_an_option_that_may_be_empty_and_is_a_name_elsewhere():
    assert value("tracker", "tracker=null") is None
    assert value("data.metric", "data.metric=null") is None
    assert value("run_dir", "run_dir=null") == "null"


def test_a_sweep_of_texts_is_a_sweep_of_what_is_typed():
    typed = ["data=jsonl", "data.dir=2024_01_15,2024_01_16", "model.hidden_size=16,32"]
    assert accept(typed, multirun=True)[1:] == ["data.dir='2024_01_15','2024_01_16'", typed[2]]
    chosen = accept(["resume=choice(1_0,b)"], multirun=True)
    assert chosen == ["resume=choice('1_0',b)"]


@pytest.mark.parametrize(
    "typed", ["objectives=null", "objectives=", "objectives=[]", "~objectives"]
)
def test_no_objectives_are_an_empty_choice(typed: str):
    assert value("objectives", typed) == {}


@pytest.mark.parametrize("typed", ["experiment=null", "experiment=", "~experiment"])
def test_no_experiment_is_an_empty_choice(typed: str):
    assert value("steps", typed) == 400


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("experiment=null,paper_mt", "experiment=none,paper_mt"),
        ("objectives=null,[mlm]", "objectives=[],[mlm]"),
    ],
)
def test_empty_choices_are_swept_too(typed: str, found: str):
    assert accept([typed], multirun=True) == [found]


@pytest.mark.parametrize("group", ["weighting", "primary", "data", "model", "schedule"])
@pytest.mark.parametrize("form", ["{}=null", "{}=", "~{}"])
def test_a_choice_that_cannot_be_empty_is_one_line(group: str, form: str):
    typed = form.format(group)
    assert refusal(typed).startswith(f"{typed}: {group} cannot be empty; choose from: ")


def test_a_sweep_without_a_needed_choice_is_one_line():
    line = "weighting=null,meta: weighting cannot be empty; choose from: "
    assert refusal("weighting=null,meta", several=True).startswith(line)


@pytest.mark.parametrize(
    ("choices", "lacking"),
    [
        (["weighting=static,meta"], "weighting=static"),
        (["weighting=meta,static"], "weighting=static"),
        (["data=demo,jsonl", "weighting=meta,static"], "data=demo weighting=static"),
    ],
)
def test_of_swept_choices_the_one_that_lacks_an_option_is_named(choices: list[str], lacking: str):
    assert refusal(*choices, "weighting.lr=0.1", several=True) == (
        f"with {lacking}, weighting.lr: no such option; choose from: plugin, weights"
    )


def test_a_study_without_a_file_is_one_line():
    assert refusal("study=null", name="study").startswith("study=null: study cannot be empty; cho")


KEY = "primary.class_weights"
WEIGHTS = {
    "{Größe: 5}": {"Größe": 5},
    '{"Größe": 5, Q&A: 0.5}': {"Größe": 5, "Q&A": 0.5},
    "{'it''s': 1, \"50% of $x\": 2, \"a, b: c\": 3}": {"it's": 1, "50% of $x": 2, "a, b: c": 3},
    '{"1": 5, 2: 3, "no": 1}': {"1": 5, 2: 3, "no": 1},
}


@pytest.mark.parametrize("typed", WEIGHTS)
def test_a_map_may_have_any_text_as_a_key(typed: str):
    (accepted,) = accept([f"{KEY}={typed}"])
    for text in (accepted, *overrides_of({KEY: WEIGHTS[typed]})):
        again = accept([text])
        with initialize_config_module("tartan.configs", job_name="tartan", version_base="1.3"):
            composed = compose("config", again)
        assert resolved(composed)["primary"]["class_weights"] == WEIGHTS[typed]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("Größe, a.csv", "Größe, a.csv"), ("null", None), ("{path: a}", {"path": "a"}),
        ("[ä, b (1).csv]", ["ä", "b (1).csv"]), ("[{text: Größe}]", [{"text": "Größe"}]),
    ],
)  # fmt: skip
def test_texts_may_come_from_a_path_a_list_or_a_map(typed: str, found: object):
    assert value("data.domain", "data=files", f"data.domain={typed}") == found
    assert accept(["data=demo", "data.unlabelled=40"])[1] == "data.unlabelled=40", "a number"


@pytest.mark.parametrize("typed", ["{Größe:5}", "{Größe}", "{Größe: 5", "{Größe: [}", "{ä: 1},{}"])
def test_a_map_that_cannot_be_read_is_refused(typed: str):
    assert refusal(f"{KEY}={typed}") == (
        f"'{KEY}={typed}' is not an override: write name=value, in quotes where the value has "
        'spaces or brackets, and a map with a space after each colon, {a: 1, "another key": 2}'
    )


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("steps=null", "steps must be a whole number, got null: write steps=400, for example"),
        ("steps=1e1", "steps must be a whole number, got 1e1: write steps=400, for example"),
        ("steps=", "steps must be a whole number, got nothing: write steps=400, for example"),
        ("seed=1.5", "seed must be a whole number, got 1.5: write seed=0, for example"),
        ("cache=maybe", "cache must be true or false, got maybe: write cache=true, for example"),
        ("optimizer.clip=x", "optimizer.clip must be a number, got x: write optimizer.clip=1.0, f"),
        ("eval=3", "eval must be a map of options, got 3: set one of its options, eval.every=..."),
        ("eval=null", "eval must be a map of options, got null: set one of its options, eval."),
        ("+steps=3", "'+steps=3': write steps=3, without the plus sign"),
        ("+experiment=paper_mt", "'+experiment=paper_mt': write experiment=paper_mt, without the"),
        ("++experiment=paper_mt", "'++experiment=paper_mt': write experiment=paper_mt, without th"),
        ("+experiment=paper_mtt", "experiment=paper_mtt: no such option; did you mean 'paper_mt'?"),
        ("++stps=3", "stps: no such option; did you mean 'steps'?"),
        ("~stps", "stps: no such option; did you mean 'steps'?"),
        ("~steps", "'~steps': steps cannot be removed; leave it out for its default"),
        ("~eval", "'~eval': eval cannot be removed; leave it out for its default"),
        ("steps==3", "'steps==3' is not an override: write name=value, in quotes"),
        (
            "schedule.stages.finetun.steps=1",
            "schedule.stages.finetun.steps: no such option; did you ",
        ),
        (
            "schedule.stages.finetun={steps: 1}",
            "schedule.stages.finetun: no such option; did you mean ",
        ),
        ("weighting.weights.mlm.x=1", "weighting.weights.mlm.x: no such option; "),
        ("study=paper", "'study=paper' belongs to a study: use `python -m tartan study`"),
        ("seed=0,1", "'seed=0,1' is several runs: add -m to start them"),
        ("seed=choice(0,1)", "'seed=choice(0,1)' is several runs: add -m to start them"),
    ],
)
def test_a_line_says_what_to_type(typed: str, line: str):
    assert refusal(typed).startswith(line)


@pytest.mark.parametrize("typed", [["steps=3", "steps=1e1"], ["steps=1e1", "steps=3"]])
def test_of_an_option_that_is_given_twice_the_wrong_value_is_named(typed: list[str]):
    assert refusal(*typed).startswith("steps must be a whole number, got 1e1: write steps=400")


def test_what_may_be_empty_can_be_removed():
    assert value("tracker", "~tracker") is None


UNSET = (
    "the environment variable NOPE is not set: set it, or give a default, ${oc.env:NOPE,default}"
)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["run_dir=${oc.env:NOPE}"], f"run_dir=${{oc.env:NOPE}}: {UNSET}"),
        (["data=jsonl", "data.dir=${oc.env:NOPE}/x=1"], f"data.dir=${{oc.env:NOPE}}/x=1: {UNSET}"),
        (["model=auto", "model.name=${oc.env:NOPE}"], f"model.name=${{oc.env:NOPE}}: {UNSET}"),
        (["steps=${oc.env:NOPE}"], f"steps=${{oc.env:NOPE}}: {UNSET}"),
        (["objectives=[mlm]", "objectives.mlm.mask_prob=${oc.env:NOPE}"],
         f"objectives.mlm.mask_prob=${{oc.env:NOPE}}: {UNSET}"),
        (["weighting.weights.mlm=${oc.env:NOPE}"],
         f"weighting.weights.mlm=${{oc.env:NOPE}}: {UNSET}"),
        (["steps=${stps}"], "steps=${stps}: 'stps' is not an option"),
        (["steps=${eval.evry}"], "steps=${eval.evry}: 'eval.evry' is not an option; did you mean "
         "'eval.every'?"),
        (["steps=${env:HOME}"], "steps=${env:HOME}: there is no resolver 'env': write ${oc.env:NA"),
        (["run_dir=${run_dir}"], "run_dir=${run_dir}: it refers to itself"),
        (["run_dir=${resume}", "resume=${run_dir}"], "run_dir=${resume}: it refers to itself"),
        (["run_dir=${oc.decode:'['}"], "run_dir=${oc.decode:'['}: it cannot be read"),
        (["run_dir=${x"], "run_dir=${x: not an interpolation: write ${oc.env:NAME}, or ${option}"),
    ],
)  # fmt: skip
def test_an_interpolation_without_a_value_names_option_and_variable(
    monkeypatch: pytest.MonkeyPatch, typed: list[str], line: str
):
    monkeypatch.delenv("NOPE", raising=False)
    assert refusal(*typed).startswith(line)


def test_a_studys_interpolation_without_a_value_names_option_and_variable():
    line = f"study.dir=${{oc.env:NOPE}}: {UNSET}"
    assert refusal("study.dir=${oc.env:NOPE}", name="study") == line


def test_an_interpolation_with_a_value_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASK", "there")
    assert value("data.dir", "data=jsonl", "data.dir=${oc.env:TASK}/a=b") == "there/a=b"
    assert value("data.dir", "data=jsonl", "data.dir=${oc.env:NOPE,here}") == "here"
    assert value("steps", "steps=${eval.every}") == 30
    assert accept(["run_dir=${hydra:job.name}"]) == ["run_dir=${hydra:job.name}"]


FILE = "{file}"
BROKEN = {
    "syntax": (b"steps: [1\n", f"{FILE}:3: not valid YAML: "),
    "tab": (b"eval:\n\tevery: 1\n", f"{FILE}:3: not valid YAML: "),
    "tag": (b"steps: !!python/object:os.system {}\n", f"{FILE}:2: not valid YAML: could not det"),
    "call": (b"steps: !!python/object/apply:os.getcwd []\n", f"{FILE}:2: not valid YAML: could n"),
    "twice": (b"steps: 1\nsteps: 2\n", f"{FILE}:3: not valid YAML: found duplicate key steps"),
    "latin-1": ("run_dir: l\xe4uft\n".encode("latin-1"), f"{FILE} cannot be read: 'utf-8' codec"),
    "NUL": (b"steps: \0\n", f"{FILE} cannot be read: unacceptable character"),
    "type": (b"steps: ten\n", "experiment/mine.yaml: steps must be a whole number, got ten"),
    "interpolation": (b"run_dir: ${oc.env:NOPE}\n", f"run_dir=${{oc.env:NOPE}}: {UNSET}"),
    "a list": (b"- 1\n", "experiment/mine"),
    "a text": (b"steps\n", "experiment/mine"),
    "no option": (b"stps: 3\n", "experiment/mine.yaml: stps: no such option"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_of_configurations_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    monkeypatch.delenv("NOPE", raising=False)
    content, line = BROKEN[kind]
    (tmp_path / "experiment").mkdir()
    path = tmp_path / "experiment/mine.yaml"
    path.write_bytes(b"# @package _global_\n" + content)
    with pytest.raises(ConfigError) as refused:
        accept(["experiment=mine"], search=str(tmp_path))
    assert str(refused.value).isprintable()
    assert line.replace(FILE, str(path)) in str(refused.value)


def test_a_directory_of_configurations_may_have_any_name(tmp_path: Path):
    directory = tmp_path / "it's = [läuft], (1)"
    (directory / "experiment").mkdir(parents=True)
    (directory / "experiment/mine.yaml").write_text("# @package _global_\nsteps: 3\n")
    assert accept(["experiment=mine"], search=str(directory)) == ["experiment=mine"]
    with initialize_config_module("tartan.configs", job_name="tartan", version_base="1.3"):
        place = Typed.split([], str(directory)).searchpath
        assert compose("config", [*place, "experiment=mine"]).steps == 3


def test_a_directory_of_configurations_that_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"--config-dir=.*nowhere: there is no such directory"):
        accept([], search=str(tmp_path / "nowhere"))
