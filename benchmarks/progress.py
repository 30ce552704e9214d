"""What a run tells on the terminal while it goes on: a line for each figure, a bar for the rest."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.report.words import number, spread_words, target_words
from benchmarks.results import Finding, Verdict

_COLOURS = {
    Verdict.STRETCH: "bold green",
    Verdict.MET: "green",
    Verdict.UNMET: "red",
    Verdict.REPORTED: "cyan",
    Verdict.MISSING: "yellow",
}


class Terminal:
    """A ``Teller`` on stderr."""

    def __init__(self, scenarios: int) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[step]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task = self.progress.add_task("scenarios", total=scenarios, step="")

    def step(self, text: str) -> None:
        """What is being done now."""
        self.progress.update(self._task, step=text)

    def measured(self, text: str) -> None:
        """A figure that was just taken."""
        self.console.print(f"  {text}", style="dim")

    def begin(self, finding: Finding) -> None:
        """A scenario begins."""
        self.console.print(f"[bold]{finding.number:>2}[/] {finding.title}")

    def end(self, finding: Finding) -> None:
        """A scenario has ended."""
        for check in finding.checks:
            colour = _COLOURS[check.verdict]
            self.console.print(
                f"  {check.label}: {spread_words(check)} [{colour}]{check.verdict}[/] "
                f"(target {target_words(check)})"
            )
        for name, why in finding.missing.items():
            self.console.print(f"  {name} is missing: {why}", style="yellow", markup=False)
        if finding.failure is not None:
            self.console.print(f"  {finding.failure}", style="red", markup=False)
        self.progress.advance(self._task)

    def comparison(self, rows: list[tuple[str, float, float]]) -> None:
        """Two runs side by side."""
        table = Table("figure", "before", "after", "change")
        for name, before, after in rows:
            change = f"{(after / before - 1) * 100:+.1f} %" if before else "-"
            table.add_row(name, number(before), number(after), change)
        self.console.print(table)
