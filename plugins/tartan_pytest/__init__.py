"""The pytest plugin: `pytest --tartan-plugin NAME` collects the contract of an installed plugin.

It is a separate package because pytest imports it in every session, also in projects that do not
use tartan. It imports tartan, and with it torch, only if the option is used.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tartan.testing import Contract
    from tartan.testing.contract import Rule

OPTION = "--tartan-plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("tartan").addoption(
        OPTION,
        action="append",
        default=[],
        metavar="NAME",
        help="collect the contract of an installed tartan plugin; alone unless paths are given",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:  # noqa: ARG001
    """Ignore the files here if a plugin is named and no path is given."""
    named_paths = config.args_source is pytest.Config.ArgsSource.ARGS
    return True if config.getoption(OPTION) and not named_paths else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Add the contracts of the named plugins to what the session collects."""
    report = yield
    names = collector.config.getoption(OPTION)
    if names and isinstance(collector, pytest.Session):
        report.result = [*report.result, *_collectors(collector, names)]
    return report


def _collectors(session: pytest.Session, names: Sequence[str]) -> list[ContractCollector]:
    """Return the contracts of plugins by name. UsageError if one is not installed."""
    from tartan.errors import PluginError  # noqa: PLC0415
    from tartan.plugins import discover  # noqa: PLC0415
    from tartan.testing.examine import contracts  # noqa: PLC0415

    try:
        found = contracts(discover(), names)
    except PluginError as error:
        raise pytest.UsageError(str(error)) from error
    return [
        ContractCollector.from_parent(
            session, name=each.plugin, nodeid=f"{each.kind()}/{each.plugin}", contract=each
        )
        for each in found
    ]


class ContractCollector(pytest.Collector):
    """The contract of one plugin."""

    def __init__(self, *, contract: type[Contract], **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self._contract = contract

    def collect(self) -> list[RuleItem]:
        """Return its rules."""
        return [
            RuleItem.from_parent(self, name=rule.name, contract=self._contract, rule=rule)
            for rule in self._contract.rules()
        ]


class RuleItem(pytest.Item):
    """One rule, for one plugin."""

    def __init__(self, *, contract: type[Contract], rule: Rule, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self._contract, self._rule = contract, rule

    def runtest(self) -> None:
        """Test the plugin by the rule."""
        getattr(self._contract(), self._rule.name)()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the rule, how it is broken and the remedy, or a traceback of another exception."""
        from tartan.testing import Broken  # noqa: PLC0415

        if excinfo.errisinstance(Broken):
            lines = [f"rule: {self._rule.promise}", f"broken: {excinfo.value}"]
            remedy = [f"to fix: {self._rule.remedy}"] if self._rule.remedy else []
            return "\n".join([*lines, *remedy])
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the title of a failure."""
        return self.path, None, f"{self._contract.plugin}: {self._rule.promise}"
