"""Peak memory of `r2ag index`, `ask` and `train`, each command in a process of its own.

    python benchmarks/memory.py --data records.jsonl.gz [--sizes 500,2000,6000] [--words 12] [--lists 100,200]

Documents are Markdown files of `SECTIONS` short passages, each the first words of a record's passage under a heading of
its own. `index` fills a store with them and `ask` answers one question from it; `train` describes so many records and
learns from `LISTS` of them. Printed are peaks in megabytes, and for index and ask what each further passage adds over
those of the smallest store, beside what its vector has (dimension × 4 bytes); "store" is the folder on the disk.
"""

from __future__ import annotations

import gzip
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from turns import finish, parser

from r2ag.records import read_records
from r2ag.types import Record

SECTIONS = 200
DIMENSION = 384
LISTS = 16  # that the LLM reads in training


def peak(*arguments: str) -> float:
    """Megabytes that a command has held at most."""
    command = [sys.executable, "-m", "r2ag.cli", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"R2AG_NO_PROGRESS": "1"})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
    megabytes = round(used.ru_maxrss * 1024 / 1e6)
    print(f"{megabytes} MB: r2ag {' '.join(arguments)}", file=sys.stderr)
    return megabytes


def write_documents(folder: Path, records: list[Record], count: int, words: int) -> None:
    """`count` passages; where the records have fewer, a number at the end tells copies apart."""
    folder.mkdir()
    texts = itertools.cycle([" ".join(d.text.split()[:words]) for record in records for d in record.documents])
    passages = [f"# Passage {number}\n\n{text} ({number})\n\n" for number, text in zip(range(count), texts)]  # noqa: B905
    for start in range(0, count, SECTIONS):
        (folder / f"{start}.md").write_text("".join(passages[start : start + SECTIONS]), encoding="utf-8")


def write_records(file: Path, data: Path, count: int) -> None:
    """The first records of a file."""
    with (gzip.open if data.suffix == ".gz" else open)(data, "rt", encoding="utf-8") as lines:
        file.write_text("".join(itertools.islice(lines, count)), encoding="utf-8")


def growth(peaks: dict[int, float]) -> dict[str, float]:
    """Kilobytes a passage, from the smallest store on."""
    smallest, *_, largest = sorted(peaks)
    more = (peaks[largest] - peaks[smallest]) * 1e3 / (largest - smallest)
    return {"kilobytes_a_further_passage": round(more, 2), "kilobytes_a_vector": DIMENSION * 4 / 1e3}


def main() -> None:
    """Runs the commands one after another."""
    arguments = parser(__doc__, words=12)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--sizes", default="500,2000,6000")
    arguments.add_argument("--lists", default="100,200")
    options = arguments.parse_args()
    sizes, lists = ([int(number) for number in text.split(",") if number] for text in (options.sizes, options.lists))
    records = list(read_records(options.data))
    index, ask, train, stored = {}, {}, {}, {}
    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            docs, store = Path(temporary, f"docs-{size}"), str(Path(temporary, f"store-{size}"))
            write_documents(docs, records, size, options.words)
            index[size] = peak("index", str(docs), "--store", store)
            stored[size] = sum(file.stat().st_size for file in Path(store).rglob("*") if file.is_file()) / 1e6
            # A question that nothing relevant is found for is answered without the LLM, whose weights stay on the disk.
            ask[size] = peak("ask", records[0].question, "--store", store, "--threshold", "0", "--json")
        for count in lists:
            file = Path(temporary, f"{count}.jsonl")
            write_records(file, options.data, count)
            output = str(Path(temporary, f"adapter-{count}"))
            train[count] = peak("train", "--data", str(file), "--output", output, "--epochs", str(LISTS / count))
    results = {"megabytes": {"index": index, "ask": ask, "train": train}}
    if len(sizes) > 1:
        results |= {"growth": {name: growth(of) for name, of in (("index", index), ("ask", ask), ("store", stored))}}
    finish("memory", results, options)


if __name__ == "__main__":
    main()
