"""The processor that code is made for: its vector width, and how LLVM compiles for it.

LLVM IR as text enters, addresses of machine code leave. llvmlite is imported when it is first
needed, since loading LLVM takes a tenth of a second.

Knows nothing of Programs.
"""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

__all__ = ["Isa", "MachineCode", "compile_ir", "host"]

# Beyond this, LLVM's cheaper instruction selection makes code about as good in less time.
_LONG_IR_LINES = 4_000


@dataclass(frozen=True)
class Isa:
    """One row: an instruction set, and how glibc's libmvec names its vector functions.

    Attributes:
        feature: LLVM's name for what the processor must have; "" if every processor has it.
        letter: the letter after `_ZGV`; "" where there is no vector libm.
        vector_bytes: the width of a vector register.
        has_fma: whether it multiplies and adds with one rounding.
        scales: whether it multiplies a vector of doubles by powers of 2 in one instruction.
        divides_slowly: whether a division takes more time than a dozen products.
        has_flags: whether LLVM can read the flags that floating-point exceptions set (MXCSR).

    Reference: the x86-64 and AArch64 vector function ABIs, "Vector function name mangling".
    """

    feature: str
    letter: str
    vector_bytes: int
    has_fma: bool = True
    scales: bool = False
    divides_slowly: bool = False
    has_flags: bool = False

    @property
    def lanes(self) -> int:
        """How many 64-bit numbers a vector holds."""
        return self.vector_bytes // 8


# The first whose feature the processor has is taken.
_X86 = (
    Isa("avx512dq", "e", 64, scales=True, has_flags=True),
    Isa("avx2", "d", 32, has_flags=True),
    Isa("", "b", 16, has_fma=False),
)
_ARM = (Isa("", "n", 16),)
_OTHER = (Isa("", "", 16, has_fma=False),)
_FAMILIES: Mapping[str, tuple[Isa, ...]] = {
    "x86_64": _X86,
    "amd64": _X86,
    "aarch64": _ARM,
    "arm64": _ARM,
}


# LLVM's names of the processors that divide 8 doubles in 16 cycles, and multiply 16 in one. AMD's
# Zen 3 divides 8 in 9: there the watched loop saves a twentieth of the time in double precision and
# none in single, and takes half as long again to compile.
_SLOW_DIVIDERS = frozenset({
    "skylake-avx512", "cascadelake", "cooperlake", "cannonlake", "icelake-client", "icelake-server",
    "tigerlake", "rocketlake", "sapphirerapids", "emeraldrapids", "graniterapids",
    "graniterapids-d",
})  # fmt: skip


@cache
def host() -> Isa:
    """Return the widest instruction set of this processor."""
    llvm = _binding()
    features = llvm.get_host_cpu_features()
    family = _FAMILIES.get(platform.machine().lower(), _OTHER)
    isa = next(isa for isa in family if not isa.feature or features.get(isa.feature))
    return replace(isa, divides_slowly=isa.scales and llvm.get_host_cpu_name() in _SLOW_DIVIDERS)


class MachineCode:
    """Functions compiled into memory; they live as long as this object does."""

    def __init__(self, execution_engine: Any):
        self._execution_engine = execution_engine

    def address(self, name: str) -> int:
        return self._execution_engine.get_function_address(name)


def compile_ir(ir: str, symbols: Iterable[tuple[str, int]] = ()) -> MachineCode:
    """Compile a module; the functions that it only declares are at given addresses.

    No optimisation pass runs: the IR is vector code, and its Program was simplified. Code
    generation alone takes time linear in its length.
    """
    llvm = _binding()
    for name, address in symbols:
        llvm.add_symbol(name, address)
    module = llvm.parse_assembly(ir)
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2 if ir.count("\n") < _LONG_IR_LINES else 1,
    )
    execution_engine = llvm.create_mcjit_compiler(module, machine)
    execution_engine.finalize_object()
    return MachineCode(execution_engine)


@cache
def _binding() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm
