"""What a run has measured so far, kept in a folder, so that another run can continue it.

The folder holds times.json, everything, sample by sample; times.txt, the table of every rival;
page.md, what the documentation shows of it; and times.png, where matplotlib is installed.
"""

import importlib.util
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.machine import headline
from benchmarks.race import Row
from benchmarks.report import tables
from benchmarks.report.page import page

__all__ = ["DifferentMachine", "Record"]

# What has to be the same for times to stand in one table.
_CONDITIONS = ("processor", "processors", "threads", "packages", "effort")


class DifferentMachine(Exception):
    """A run was made under other conditions, and its times cannot be put beside new ones."""


@dataclass
class Record:
    """The rows of a run.

    Attributes:
        machine: what it runs on, and under which conditions.
        rows: one for each rival on each problem.
        first: the first results, one for each case and rival.
    """

    folder: Path
    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    first: list[Row] = field(default_factory=list)

    @classmethod
    def continued(cls, folder: Path, machine: dict[str, Any]) -> "Record":
        """Return what is kept in a folder; an empty record where there is nothing.

        Raises:
            DifferentMachine: when it was measured under other conditions than `machine`.
        """
        file = folder / "times.json"
        if not file.exists():
            return cls(folder, machine)
        kept = json.loads(file.read_text())
        for name in _CONDITIONS:
            if kept["machine"].get(name) != machine[name]:
                raise DifferentMachine(
                    f"{file} was measured with another {name}: {kept['machine'].get(name)!r}, "
                    f"not {machine[name]!r}. Start anew, or in another --folder."
                )
        return cls(folder, kept["machine"], _rows(kept["rows"]), _rows(kept["first_results"]))

    def of(self, case: str, n_points: int | None = None) -> list[Row]:
        """Return the rows of one case, at every size or at one."""
        return [r for r in self.rows if r.case == case and n_points in (None, r.n_points)]

    def has(self, case: str, n_points: int, rivals: Iterable[str]) -> bool:
        """Tell whether a problem has a row of each rival."""
        return {*rivals} <= {row.rival for row in self.of(case, n_points)}

    def put(self, rows: Sequence[Row]) -> None:
        """Keep the rows of one problem in the place of those before, which were timed apart."""
        replaced = {(row.case, row.n_points) for row in rows}
        kept = [row for row in self.rows if (row.case, row.n_points) not in replaced]
        order = list(CASES)
        self.rows = sorted([*kept, *rows], key=lambda row: (order.index(row.case), row.n_points))
        self.save()

    def put_first(self, row: Row) -> None:
        """Keep a first result."""
        self.first.append(row)
        self.save()

    def save(self) -> None:
        """Write times.json, as whole as it is so far."""
        self.folder.mkdir(parents=True, exist_ok=True)
        document = {
            "machine": self.machine,
            "rows": [
                {**asdict(row), "median_seconds": row.seconds, "quartiles": row.quartiles}
                for row in self.rows
            ],
            "first_results": [asdict(row) for row in self.first],
        }
        unfinished = self.folder / "times.json.part"
        unfinished.write_text(json.dumps(document, indent=1))
        unfinished.replace(self.folder / "times.json")

    def publish(self) -> list[Path]:
        """Write everything that is made of the rows, and return the files."""
        self.save()
        problems = dict.fromkeys((row.case, row.n_points) for row in self.rows)
        parts = [headline(self.machine)]
        parts += [tables.table(self.of(*problem)) for problem in problems]
        if self.first:
            parts.append(tables.first_results_table(self.first))
        if self.rows:
            parts.append(tables.summary(self.rows))
        texts = {
            "times.txt": "\n\n".join(parts) + "\n",
            "page.md": page(self.rows, self.first, headline(self.machine)),
        }
        for name, text in texts.items():
            (self.folder / name).write_text(text)
        written = [self.folder / name for name in ("times.json", *texts)]
        if any(row.samples for row in self.rows) and importlib.util.find_spec("matplotlib"):
            from benchmarks.report.plot import plot

            plot(self.rows, self.folder / "times.png", headline(self.machine))
            written.append(self.folder / "times.png")
        return written


def _rows(kept: Iterable[dict[str, Any]]) -> list[Row]:
    names = {field.name for field in fields(Row)}
    rows = [Row(**{name: row[name] for name in names & row.keys()}) for row in kept]
    return [Row(**{**vars(row), "samples": tuple(row.samples)}) for row in rows]
