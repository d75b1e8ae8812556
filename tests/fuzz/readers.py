"""Reads mutated real files by every reader of sources, and finds whatever is not its own error.

    python -m tests.fuzz.readers --cases 100000 --seed 1 [--reader csv] [--case 17]

A reader returns its records, or raises ``Invalid``. Of a :class:`Reading` it is checked that keys name
records and come once, that members are JSON, and that there are no more faults than the bound says. The
program prints, by reader, how many inputs were read and refused and the time of the slowest, and the memory
of the process after each tenth of the inputs. It fails where another exception came, an input took too long,
or memory grew. ``--case`` repeats one input, and ``--write`` writes it to a file.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from federation.domain.errors import Invalid
from federation.domain.sources.reading import Reading
from federation.domain.values import KEY_PATTERN
from tests.fuzz import memory
from tests.fuzz.reader_inputs import Reader, make_input, registered

MAX_FAULTS_OF_READING = 1_001
MAX_VIOLATIONS = 20
SLOW_SECONDS = 10.0
"""CPU seconds of one input from which on it is reported: the inputs are small."""
PARTS = 10
"""Parts of the inputs, after each of which memory is measured."""


class Violation(Exception):
    """Something that no reader may do."""


def input_of(reader: Reader, examples: Sequence[bytes], seed: int, index: int) -> bytes:
    """The input of a case: the same one for the same seed."""
    return make_input(examples, random.Random(f"{seed} {reader.name} {index}"))


def try_input(reader: Reader, raw: bytes) -> str:
    """Read one input: ``read`` or ``refused``. Raises Violation for anything else."""
    try:
        outcome = reader.read(raw)
    except Invalid as error:
        if not error.detail.strip():
            raise Violation("the refusal says nothing") from None
        return "refused"
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        trace = traceback.extract_tb(error.__traceback__)[-1]
        raise Violation(
            f"{type(error).__name__}: {str(error)[:200]} ({trace.filename}:{trace.lineno})"
        ) from error
    check(outcome)
    return "read"


def check(outcome: Any) -> None:
    """Raise Violation where the outcome of a reader breaks the contract of readers."""
    if not isinstance(outcome, Reading):
        return
    identities = Counter((item.type, item.key) for item in outcome.items)
    for (type_, key), count in identities.items():
        if count > 1:
            raise Violation(f"two {type_} have the key {key}")
        if not re.fullmatch(KEY_PATTERN, key):
            raise Violation(f"{key!r} is no key")
    msgspec.json.encode(outcome)
    if len(outcome.faults) > MAX_FAULTS_OF_READING:
        raise Violation(f"{len(outcome.faults)} faults")


class Tally:
    """The outcomes of one reader."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.examples = list(reader.examples())
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        """CPU seconds of the slowest input, and its number."""
        self.slowest_case = 0

    def run(self, seed: int, cases: range) -> Iterator[str]:
        """Try these inputs. Yields violations."""
        for index in cases:
            raw = input_of(self.reader, self.examples, seed, index)
            began = time.process_time()
            try:
                self.counts[try_input(self.reader, raw)] += 1
            except Violation as violation:
                self.counts["violation"] += 1
                yield f"{self.reader.name} case {index}: {violation}"
            seconds = time.process_time() - began
            if seconds > self.slowest:
                self.slowest, self.slowest_case = seconds, index
            if seconds > SLOW_SECONDS:
                yield f"{self.reader.name} case {index}: it took {seconds:.1f} s"

    def __str__(self) -> str:
        return (
            f"{self.reader.name:20} {self.counts['read']:7} read {self.counts['refused']:7} refused"
            f" {self.counts['violation']:3} violations"
            f"  slowest {self.slowest * 1000:6.0f} ms (case {self.slowest_case})"
        )


def fuzz(
    readers: Sequence[Reader],
    cases: int,
    seed: int,
    measure: Callable[[], int] = memory.resident_mebibytes,
    measure_peak: Callable[[], int] = memory.peak_mebibytes,
) -> tuple[list[str], list[str]]:
    """Try so many inputs, shared out among the readers. Returns lines of a report, and violations.

    Each tenth of the inputs has its part of every reader, so the memory after the first tenth is what the
    readers need, and what comes above it later is a leak. The peak is that of the process: a process that did
    other work before measures it otherwise.
    """
    tallies = [Tally(reader) for reader in readers]
    violations: list[str] = []
    resident: list[int] = []
    for part in range(PARTS):
        for number, tally in enumerate(tallies):
            share = cases // len(readers) + (number < cases % len(readers))
            for violation in tally.run(seed, range(share * part // PARTS, share * (part + 1) // PARTS)):
                violations.append(violation)
                if len(violations) >= MAX_VIOLATIONS:
                    return [*map(str, tallies)], violations
        resident.append(measure())
    peak = measure_peak()
    violations += memory.violations(resident, peak)
    report = [*map(str, tallies)]
    report.append(f"memory after each tenth: {' '.join(map(str, resident))} MiB, at most {peak} MiB")
    return report, violations


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cases", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--reader", help="this reader alone")
    options.add_argument("--case", type=int, help="this input of it alone")
    options.add_argument("--write", type=Path, help="a file for the input of --case")
    chosen = options.parse_args()
    readers = [reader for reader in registered() if chosen.reader in (None, reader.name)]
    if not readers:
        options.error(
            f"there is no reader {chosen.reader}; there are {', '.join(r.name for r in registered())}"
        )
    if chosen.case is not None:
        raw = input_of(readers[0], list(readers[0].examples()), chosen.seed, chosen.case)
        if chosen.write:
            chosen.write.write_bytes(raw)
        print(repr(raw[:2_000]))
        print(try_input(readers[0], raw))
        return
    report, violations = fuzz(readers, chosen.cases, chosen.seed)
    print("\n".join((*report, *(f"seed {chosen.seed}: {violation}" for violation in violations))))
    print(f"{chosen.cases} inputs, {len(violations)} violations")
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
