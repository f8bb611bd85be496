"""The help below the options: examples, how values are written, exit codes.

A command's name enters, text leaves. Knows nothing of the options themselves; no line is longer
than a terminal of 80 columns.
"""

from collections.abc import Iterable

__all__ = ["GENERAL", "epilog"]

# By command: what each example shows, and its lines.
_EXAMPLES: dict[str, dict[str, str]] = {
    "value": {
        "the price itself, at 101 spots": """\
gradsweep value examples/black_scholes.py:price --over S=50:150:101 \\
    --at K=100.0 --at T=1.0 --at r=0.05 --at sigma=0.2""",
    },
    "gradient": {
        "the Greeks of a call over 101 spots and 3 volatilities": """\
gradsweep gradient examples/black_scholes.py:price \\
    --over S=50:150:101 --over sigma=0.1,0.2,0.3 \\
    --at K=100.0 --at T=1.0 --at r=0.05""",
        "the same as a figure: a panel for each Greek, a line for each volatility": """\
gradsweep gradient examples/black_scholes.py:price --with-value \\
    --over S=50:150:101 --over sigma=0.1,0.2,0.3 \\
    --at K=100.0 --at T=1.0 --at r=0.05 \\
    --plot greeks.pdf""",
        "more points than memory holds; the same words go on after an interruption": """\
gradsweep gradient examples/black_scholes.py:price \\
    --over S=50:150:100000 --over sigma=0.1:0.5:10000 \\
    --at K=100.0 --at T=1.0 --at r=0.05 --store greeks.zarr --resume""",
    },
    "jacobian": {
        "the 3 x 6 matrix of a robot arm, while its shoulder turns": """\
gradsweep jacobian examples/arm.py:arm --over 'q[1]=-3.14:0:50' \\
    --at 'q=[0,0,1,-1,0.5,0]'""",
    },
    "jvp": {
        "how the price moves when the spot moves by 1 and the volatility by 0.01": """\
gradsweep jvp examples/black_scholes.py:price --over S=50:150:101 \\
    --at K=100.0 --at T=1.0 --at r=0.05 --at sigma=0.2 \\
    --along S=1 --along sigma=0.01""",
    },
    "contributions": {
        "a P&L explain: every row a trade, the moves in the columns dS and dsigma": """\
gradsweep contributions model.py:price --from book.csv:trade \\
    --along S=dS --along sigma=dsigma""",
    },
    "vjp": {
        "joint torques of a robot arm, from a force of 10 N downward at its tool": """\
gradsweep vjp examples/arm.py:arm --over 'q[1]=-3.14:0:50' \\
    --at 'q=[0,0,1,-1,0.5,0]' --along '[0,0,-10]'""",
    },
    "hessian": {
        "every row of a file is a point; its columns are the function's arguments": """\
gradsweep hessian model.py:price --from quotes.csv:quote \\
    --output greeks.parquet""",
    },
    "hvp": {
        "how delta and vega change when the spot moves by 1": """\
gradsweep hvp examples/black_scholes.py:price --over S=50:150:101 \\
    --at K=100.0 --at T=1.0 --at r=0.05 --at sigma=0.2 \\
    --along S=1 --wrt S,sigma""",
    },
    "uncertainty": {
        "how sure a price is: the standard error of sigma is a column of the file": """\
gradsweep uncertainty model.py:price --from quotes.csv:quote \\
    --std S=0.5 --std sigma=@sigma_error --correlation S,sigma=-0.7""",
    },
    "partials": {
        "delta, gamma, vanna and speed of a book, and nothing else": """\
gradsweep partials model.py:price --from quotes.csv:quote \\
    --of S --of 'S S' --of 'S sigma' --of 'S S S'""",
    },
    "laplacian": {
        "the charge that a potential belongs to, on a grid": """\
gradsweep laplacian model.py:phi --over x=-1:1:81 --over y=-1:1:81 \\
    --at z=0.5 --wrt x,y,z""",
    },
    "divergence": {
        "the sources of a field of two components, in the plane": """\
gradsweep divergence model.py:E --over x=-1:1:81 --over y=-1:1:81 --wrt x,y""",
    },
    "curl": {
        "the rotation of a flow whose position is one array argument": """\
gradsweep curl model.py:flow --over 'q[0]=-1:1:41' --at 'q=[0,0.5,0]'""",
    },
    "plan": {
        "which engine would run a Hessian, and why not the others": """\
gradsweep plan model.py:price --quantity hessian --from quotes.csv:quote""",
    },
    "check": {
        "a Hessian beside independent estimates of it, at 20 of the rows": """\
gradsweep check model.py:price --quantity hessian --points 20 \\
    --from quotes.csv:quote""",
    },
    "compare": {
        "is JAX better at this? gradsweep, torch and JAX race, at three sizes": """\
gradsweep compare examples/black_scholes.py:price --over S=50:150:101 \\
    --at K=100.0 --at T=1.0 --at r=0.05 --at sigma=0.2 \\
    --points 9,1000,1000000""",
    },
    "show": {"how far a store is": "gradsweep show greeks.zarr"},
    "verify": {"whether its chunks are as they were written": "gradsweep verify greeks.zarr"},
    "unlock": {
        "after its process was killed": "gradsweep unlock greeks.zarr",
        "after its host was lost, without waiting": "gradsweep unlock greeks.zarr --force",
    },
}

# The commands whose examples the general help shows.
GENERAL = ("gradient", "jvp", "hessian", "plan", "check", "compare", "show", "verify")

_VALUES = """\
values:
  --over S=50:150:101        101 values from 50 to 150, both included
  --over S=log:1:1000:4      4 values from 1 to 1000, evenly spaced in logarithm
  --over S=90,100,110        these values
  --over S@quote=90,100,110  swept along a dim named quote: arguments that share
                             a dim are swept together, others give every
                             combination
  --over kind=call,put       these words, each passed as it is; true,false too
  --over z=1+2j,0.5-1j       complex numbers, as --at z=1+2j; 0:1j:5 is a line
  --over n=each:10,20,50     the same for integers that count a loop, and for
                             anything that --at takes
  --over q[2]=0:1:11         one element of an array argument; --at q=[0,0,0]
                             gives the others (quote these for the shell)
  --over p.beta=0:1:11       an entry of a container, along a dim called p_beta;
                             others: --at p.gamma=0.1, --at p='{"gamma": 0.1}'
  --at K=100.0               a fixed number, read as Python reads it: 100 is an
                             integer, which is not differentiated unless --wrt
                             names it
  --at kind=call             a word; true, false and none are Python's own, and
                             --at code='"7"' is the word 7
  --at q=[0.0,1.0,2.0]       a fixed array; JSON objects are nested arguments
"""

_NUMBERS = """\
numbers:
  Tables show 6 significant digits; --json, --csv and --output keep every digit.
  JSON has no NaN or infinity: they are the strings "NaN", "Infinity" and
  "-Infinity". With --json and --csv, what the function prints goes to stderr.
"""

_EXIT_CODES = """\
exit codes:
    0  done
    1  an error while computing, a derivative that check finds suspicious, or a
       store that is damaged or incomplete
    2  the command was not understood
  130  interrupted
  143  terminated
"""


def epilog(commands: Iterable[str], *, on_store: bool = False) -> str:
    """Return the examples of some commands, then the sections that all commands share.

    Args:
        commands: their names.
        on_store: whether they take a store alone, and no values.
    """
    lines = ["examples:"]
    for command in commands:
        for shows, example in _EXAMPLES[command].items():
            lines += [f"  # {shows}", *(f"  {line}" for line in example.splitlines()), ""]
    sections = ["\n".join(lines), *([] if on_store else [_VALUES, _NUMBERS]), _EXIT_CODES]
    return "\n".join(sections)
