"""Write loops in LLVM IR, in registers or in memory.

The Loops among the equations of a Program enter, lines of a function's body leave. The carries of a
short state are in registers. Those of a wide one are in memory, before a step and after it, and
these two places change roles with every step. A loop inside reads rows of them where they are.

Knows nothing of nests, nor of where arrays are.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

from gradsweep.engines.fused.lowering.contraction import Contractions
from gradsweep.engines.fused.lowering.equations import BLOCK_EQUATIONS
from gradsweep.engines.fused.lowering.memory import MemoryWriter, Row
from gradsweep.engines.fused.lowering.rows import LoopPlaces, lay_out
from gradsweep.engines.fused.lowering.text import KEPT, STORED, Place, Text, Word
from gradsweep.program.program import CARRY, GIVEN, ROW, Equation, Loop, LoopResult
from gradsweep.program.pruning import ancestors

__all__ = ["LoopWriter"]


# Where a loop leaves a row: the place of the first step, and how many places on the next one is.
_Left = tuple[Place, int]


class LoopWriter(MemoryWriter):
    """Writes equations, Loops among them. A derived class says where there is memory for these."""

    # -- methods to override

    def first_place(self, loop: Loop) -> int:
        """Return the first place of a loop."""
        raise NotImplementedError

    def row_left(self, row: Sequence[int]) -> Place | None:
        """Return where the numbers of a row are wanted, one after another, or None.

        Args:
            row: the variables of the row, for each step of the loop that leaves it.
        """
        return None

    # -- loops

    def write_loop(self, loop: Loop, operands: tuple[int, ...], results: Sequence[int]) -> None:
        """Write a loop, and name its results or note where they are."""
        text = self.text
        name, places = text.begin_loop(), lay_out(loop, self.first_place(loop))
        rows: dict[int, Row] = {}
        given: dict[int, int] = {}
        for number, (entry, positions) in enumerate(zip(loop.body.inputs, loop.places)):
            if entry.leaf == ROW:
                copied = places.copied + entry.element * len(positions)
                row = [operands[position] for position in positions]
                rows[number] = self.row(row, copied, as_vectors=places.carries is not None)
            elif entry.leaf == GIVEN:
                given[number] = operands[positions[0]]
        placed = {n: self.place(given[n]) or Place(KEPT, k) for n, k in places.given.items()}
        self.put([(placed[n], given[n]) for n in placed if self.place(given[n]) is None])
        initial = operands[: loop.n_carries]
        if places.carries is not None:
            self.put([(Place(KEPT, places.carries[0] + k), v) for k, v in enumerate(initial)])
        written = _BodyWriter(
            loop,
            self.contracted,
            text,
            name,
            inputs={n: self.value(v) for n, v in given.items() if n not in placed},
            placed=placed,
            rows=rows,
            places=places,
            left=self._left(loop, results, Place(KEPT, places.left)),
        )
        ends = written.write([] if places.carries is not None else [*map(self.value, initial)])
        for variable in results:
            equation = self.equations[variable]
            assert isinstance(equation.primitive, LoopResult)
            number = equation.primitive.number
            if number < loop.n_carries:
                end = ends[number]
                if isinstance(end, Place):
                    self._placed[variable] = end
                else:
                    t = text.type(equation.dtype)
                    self.lines.append(f"{self.name(variable)} = bitcast {t} {end} to {t}")

    def _left(self, loop: Loop, results: Sequence[int], first: Place) -> list[_Left]:
        """Return where each row that a loop leaves goes: where it is wanted, else to `first`."""
        variables = {self.equations[variable].primitive: variable for variable in results}
        steps, found = loop.rows_length, []
        for k in range(loop.n_rows_left):
            start = loop.n_carries + k * steps
            row = [variables.get(LoopResult(loop, start + i), -1) for i in range(steps)]
            place = self.row_left(row)
            if place is None:
                found.append((first.after(k), loop.n_rows_left))
                continue
            found.append((place, 1))
            self._placed |= {variable: place.after(i) for i, variable in enumerate(row)}
        return found


class _BodyWriter(LoopWriter):
    """Writes the body of a loop, and the blocks around it.

    Args:
        name: the beginning of its names and labels.
        inputs: the vectors that every step reads, by input of the body.
        placed: those that are in memory.
        rows: the rows that it reads, by input of the body.
        left: the rows that it leaves.
    """

    def __init__(
        self,
        loop: Loop,
        contracted: Contractions,
        text: Text,
        name: str,
        inputs: Mapping[int, str],
        placed: Mapping[int, Place],
        rows: Mapping[int, Row],
        places: LoopPlaces,
        left: Sequence[_Left],
    ):
        equations = dict(loop.body.numbered())
        super().__init__(loop.body, loop, equations, contracted, text, f"%{name}.v")
        self.loop, self._name, self._rows, self._left_rows = loop, name, rows, left
        self._places = places
        # The addresses of the carries of this step and the next, where they are in memory.
        self._now, self._next = f"%{name}.now", f"%{name}.next"
        self._inputs = dict(inputs)
        self._placed |= placed
        for number, entry in enumerate(loop.body.inputs):
            if entry.leaf == CARRY:
                if self._is_wide:
                    self._placed[number] = Place(self._now, entry.element)
                else:
                    self._inputs[number] = self._carry(entry.element)
        self._n_loaded = 0
        self._pointers: dict[tuple[str, int], str] = {}
        # Where the variables that leave a step are wanted.
        self._wanted: dict[int, list[Place]] = {}

    def _carry(self, number: int) -> str:
        return f"%{self._name}.carry{number}"

    @property
    def _is_wide(self) -> bool:
        """Whether the carries are in memory."""
        return self._places.carries is not None

    def value(self, variable: int) -> str:
        if variable in self._inputs:
            return self._inputs[variable]
        place = self.place(variable)
        if place is None:
            return super().value(variable)
        self._n_loaded += 1
        name = f"%{self._name}.l{self._n_loaded}"
        return self.text.load(name, self.text.place(name, place), self.program.dtype(variable))

    def place(self, variable: int) -> Place | None:
        found = super().place(variable)
        if found is None and variable in self._places.inside.places:
            found = Place(KEPT, self._places.inside.places[variable])
        return found

    def first_place(self, loop: Loop) -> int:
        return self._places.inside.first[loop]

    def row_left(self, row: Sequence[int]) -> Place | None:
        for place in self._wanted.get(row[0], ()):
            if all(place.after(i) in self._wanted.get(v, ()) for i, v in enumerate(row)):
                return place
        return None

    def write(self, initial: Sequence[str]) -> Sequence[str | Place]:
        """Write the loop, and return the names or places of the final carries.

        Args:
            initial: the initial carries, where they are in registers.
        """
        text, name, loop = self.text, self._name, self.loop
        for k, first in enumerate(self._places.carries or ()):
            text.place(f"%{name}.state{k}", Place(KEPT, first))
        before = text.block
        text.next_block(f"{name}.step")
        head = len(self.lines)
        self._begin_rows(f"%{name}.i")
        carries = loop.ports[: loop.n_carries]
        following: Sequence[str] = ()
        if self._is_wide:
            for k, variable in enumerate(carries):
                self._wanted.setdefault(variable, []).append(Place(self._next, k))
        if loop.going is None:
            self._compute(self.equations)
            self._put_others()
            if not self._is_wide:
                following = [*map(self.value, carries)]
        else:
            first_needed = self._needed([loop.going])
            self._compute({v: e for v, e in self.equations.items() if v in first_needed})
            going = self.value(loop.going)
            self.lines += [
                self.any_lane(f"%{name}.any", going),
                f"br i1 %{name}.any, label %{name}.rest, label %{name}.after",
            ]
            text.begin_block(f"{name}.rest")
            self._compute({v: e for v, e in self.equations.items() if v not in first_needed})
            self._put_others()
            if self._is_wide:
                self._keep_others(going)
            else:
                following = [self._going_on(k, going) for k in range(loop.n_carries)]
        self._end(loop.n_steps)
        self.lines[head:head] = self._heads(before, initial, following)
        return self._ends(following)

    def _heads(
        self, before: str, initial: Sequence[str], following: Sequence[str]
    ) -> Iterator[str]:
        """Yield what a step begins with: which step it is, and the carries or where they are."""

        def chosen(result: str, t: str, begun: str, goes_on: str) -> str:
            arms = f"[ {begun}, %{before} ], [ {goes_on}, %{self._name}.end ]"
            return f"{result} = phi {t} {arms}"

        index = f"%{self._name}.i"
        yield chosen(index, "i64", "0", f"{index}.next")
        if self._is_wide:
            yield chosen(self._now, "ptr", f"%{self._name}.state0.a", self._next)
            yield chosen(self._next, "ptr", f"%{self._name}.state1.a", self._now)
        for k, (begun, goes_on) in enumerate(zip(initial, following)):
            t = self.text.type(self.program.dtype(self.loop.ports[k]))
            yield chosen(self._carry(k), t, begun, goes_on)

    def _ends(self, following: Sequence[str]) -> Sequence[str | Place]:
        """Return the final carries."""
        numbers, n_steps = range(self.loop.n_carries), self.loop.n_steps
        if self._places.carries is None:
            return [*map(self._carry, numbers)] if n_steps is None else following
        first = Place(self._now, 0)
        if n_steps is not None:
            first = Place(KEPT, self._places.carries[n_steps % 2])
        return [*map(first.after, numbers)]

    def _end(self, n_steps: int | None) -> None:
        name = self._name
        self.text.next_block(f"{name}.end")
        self.lines.append(f"%{name}.i.next = add i64 %{name}.i, 1")
        if n_steps is None:
            self.lines.append(f"br label %{name}.step")
        else:
            self.lines += [
                f"%{name}.done = icmp eq i64 %{name}.i.next, {n_steps}",
                f"br i1 %{name}.done, label %{name}.after, label %{name}.step",
            ]
        self.text.begin_block(f"{name}.after")

    def _compute(self, equations: Mapping[int, Equation]) -> None:
        for position, (variable, equation) in enumerate(equations.items()):
            if position and position % BLOCK_EQUATIONS == 0:
                self.text.split_block(f"{self._name}.part{variable}")
            self.compute(variable, equation)
            if isinstance(equation.primitive, str):
                for number, place in enumerate(self._wanted.get(variable, ())):
                    name = f"%{self._name}.w{variable}.{number}"
                    address = self.text.place(name, place)
                    self.text.store(name, address, equation.dtype, self.value(variable))

    def _put_others(self) -> None:
        """Put what leaves a step and was not computed by an equation where it is wanted."""
        self.put(
            [
                (place, variable)
                for variable, places in self._wanted.items()
                if variable not in self.equations
                or not isinstance(self.equations[variable].primitive, str)
                for place in places
                if place != self.place(variable)
            ]
        )

    def _keep_others(self, going: str) -> None:
        """Have lanes that are not going keep their carries."""
        ports = self.loop.ports[: self.loop.n_carries]
        for dtype, group in groupby(range(len(ports)), lambda k: self.program.dtype(ports[k])):
            numbers = list(group)
            choose = partial(self._choose, going, dtype, numbers[0])
            self.text.repeat(len(numbers), choose)

    def _choose(self, going: str, dtype: str, first: int, index: str) -> None:
        text, name = self.text, f"%{self._name}.chosen{first}"
        old = text.place_at(f"{name}.old", Place(self._now, first), 1, index)
        new = text.place_at(f"{name}.new", Place(self._next, first), 1, index)
        arms = [text.load(f"{a[:-2]}.v", a, dtype) for a in (new, old)]
        t = text.type(dtype)
        chosen = ", ".join(f"{t} {arm}" for arm in arms)
        self.lines.append(f"{name} = select {text.type('bool')} {going}, {chosen}")
        text.store(f"{name}.s", new, dtype, name)

    def _needed(self, variables: Sequence[int]) -> set[int]:
        """Return `variables` and all that they are computed from, every loop whole."""
        needed = ancestors(list(self.equations.items()), variables)
        together = [self.together.get(variable, ()) for variable in needed]
        return needed.union(*together)

    def _going_on(self, number: int, going: str) -> str:
        """Write a carry of the next step; a lane that is not going keeps its value."""
        variable = self.loop.ports[number]
        t, name = self.text.type(self.program.dtype(variable)), f"{self._carry(number)}.next"
        arms = f"{t} {self.value(variable)}, {t} {self._carry(number)}"
        self.lines.append(f"{name} = select {self.text.type('bool')} {going}, {arms}")
        return name

    def _begin_rows(self, index: str) -> None:
        """Load what a step reads of the rows, and note where it is to leave others."""
        text = self.text
        for number, row in self._rows.items():
            name = f"%{self._name}.row{number}"
            if isinstance(row.first, Place):
                place = self._at_step(row.first, row.step, index)
                if self._is_wide:
                    self._placed[number] = place
                else:
                    self._inputs[number] = text.load(name, text.place(name, place), row.dtype)
                continue
            if isinstance(row.first, Word):
                address = text.word_at(name, row.first, row.step, index)
            else:
                address = f"{name}.a"
                at = f"{STORED[row.dtype]}, ptr {row.first}, i64 {index}"
                self.lines.append(f"{address} = getelementptr {at}")
            self._inputs[number] = text.load_same(name, address, row.dtype)
        for (first, step), variable in zip(self._left_rows, self.loop.ports[self.loop.n_carries :]):
            self._wanted.setdefault(variable, []).append(self._at_step(first, step, index))

    def _at_step(self, first: Place, step: int, index: str) -> Place:
        """Return the place of this step's number of a row."""
        key = first.base, step
        if key not in self._pointers:
            name = f"%{self._name}.at{len(self._pointers)}"
            self._pointers[key] = self.text.place_at(name, Place(first.base, 0), step, index)
        return Place(self._pointers[key], first.number)
