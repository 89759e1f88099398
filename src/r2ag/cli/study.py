"""`r2ag study NAME`: the paper's tables and figures, and our own, each by one command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from typer import Option

from r2ag.cli import options
from r2ag.cli.checks import check_files, check_folder, need
from r2ag.cli.output import Facts, in_words, libraries_to_stderr, note, print_facts, print_json, print_markdown
from r2ag.cli.settings import said_of
from r2ag.errors import InputError
from r2ag.studies import STUDIES, load

if TYPE_CHECKING:
    from r2ag.studies.base import Options, Plan, Step
    from r2ag.studies.study import Study
    from r2ag.types import Record

RECORDS = 800  # as in r2ag.studies.base, whose import would load numpy for every --help


def study_command(name: str) -> Callable[..., None]:
    """The command of one study; all have the same options."""
    described = STUDIES[name]

    def command(
        data: Annotated[list[Path], Option(metavar="FILE…", show_default=False)],
        output: Annotated[Path, Option(metavar="DIR", show_default=False)],
        more: options.MoreFiles = None,
        over: str = described.default,
        train: Annotated[str | None, Option(metavar="FILE:WEIGHT,…", show_default="nothing is trained")] = None,
        records: Annotated[int | None, Option(min=1)] = RECORDS,
        recipe: Annotated[str | None, Option(metavar="OPTIONS", show_default="a small one")] = None,
        methods: Annotated[str | None, Option(metavar="NAME,…", show_default="its own")] = None,
        k: Annotated[int | None, Option(min=1, show_default="the study's own")] = None,
        limit: options.Limit = None,
        seed: options.Seed = 0,
        seeds: Annotated[int, Option(min=1)] = 1,
        adapter: options.Adapter = None,
        llm: options.Llm = None,
        retriever: options.Retriever = None,
        max_new_tokens: options.MaxNewTokens = 32,
        batch_size: options.BatchSize = 1,
        dry_run: Annotated[bool, Option("--dry-run")] = False,
        as_json: options.AsJson = False,
    ) -> None:
        need("study")
        if train:
            need("train")
        from r2ag.cli.train import weighted_file
        from r2ag.studies.base import RECIPE, Options

        given = Options(
            (*data, *(more or [])),
            output,
            _listed(over),
            train=tuple(weighted_file(file) for file in _listed(train)),
            records=records,
            recipe=RECIPE if recipe is None else recipe,
            limit=limit,
            seed=seed,
            seeds=seeds,
            adapter=adapter or "",
            llm=llm,
            retriever=retriever,
            methods=_listed(methods),
            k=k,
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
        )
        check_files((*given.data, *(file for file, _ in given.train)), "--data and --train")
        check_folder(output)
        with libraries_to_stderr() as stdout:
            _run(load(name), given, dry_run, as_json, stdout)

    # What is varied differs between studies.
    default = True if described.default else "the shipped one"
    command.__annotations__["over"] = Annotated[str, Option(metavar="VALUE,…", show_default=default)]
    trains = " It trains adapters, so --train is required." if described.trains else ""
    line = f"--data test.jsonl.gz{' --train train.jsonl.gz' if described.trains else ''} --limit 100 --output {name}"
    command.__doc__ = f"""{described.shows}{trains}

Writes results.json, results.md, plots and every single answer to --output; r2ag report makes a page of them.

Args:
    data: Files of test records; more may follow.
    output: Everything is written there; a stopped study continues.
    over: {described.over}
    train: Train adapters on the records of these files, separated by commas.
    records: Training records of each run, drawn by the seed.
    recipe: Further options of r2ag train, in quotes; an empty text leaves only those of your settings.
    methods: As in r2ag eval, in place of the study's.
    k: Take the first K documents.
    seeds: Runs of what depends on chance, each with another seed; intervals include their differences.
    dry_run: Show what would be run; do nothing.

Examples:
    r2ag study {name} {line}
    r2ag study {name} {line} --dry-run
"""
    return command


def _listed(text: str | None) -> tuple[str, ...]:
    """The parts between commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def _run(study: Study, given: Options, dry_run: bool, as_json: bool, stdout: TextIO) -> None:
    from r2ag.cli.progress import ProgressBar
    from r2ag.studies.run import count_answers, read_data, run
    from r2ag.studies.steps import make_all, missing_steps, run_command

    plan = study.planned(given)
    if given.train and not plan.steps:
        raise InputError("This study trains nothing; leave out --train, and name an adapter with --adapter.")
    records = read_data(given)
    answers = count_answers(plan, records)  # raises for unknown methods, before hours of training
    if dry_run:
        missing = missing_steps(plan.steps, given.output, said_of)
        print_facts(stdout, *_plan_facts(plan, records, answers, missing))
        return
    make_all(plan.steps, given.output, said_of, note, in_words, run_command)
    note("Loading the models …")
    with ProgressBar("answers") as progress:
        found = run(study, plan, records, given, progress)
    if as_json:
        print_json(found, stdout)
        return
    print_markdown((given.output / "results.md").read_text(encoding="utf-8"), stdout)
    note(f"Everything is in {given.output}; r2ag report {given.output} makes a page of it.")


def _plan_facts(plan: Plan, records: list[Record], answers: int, missing: list[Step]) -> Facts:
    trained = [step for step in missing if step.command[0] == "train"]
    documents = sum(len(record.documents) for record in records)
    facts: Facts = [
        ("records", f"{len(records)}, with {documents} documents"),
        ("trainings", f"{len(trained)} ({len(plan.steps)} steps in all, {len(plan.steps) - len(missing)} done)"),
        ("answers", answers),
    ]
    facts += [("step" if number == 0 else "", step) for number, step in enumerate(missing)]
    for condition in plan.conditions:
        measured = ", ".join(condition.methods) or (condition.measure.name if condition.measure else "")
        facts.append((condition.row, f"seed {condition.seed}: {measured}"))
    return [*facts, ("written", "nothing")]
