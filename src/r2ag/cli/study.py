"""`r2ag study NAME`: the paper's tables and figures, and our own, each by one command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from r2ag.cli.folders import check_files, check_folder
from r2ag.cli.options import AdapterName, AsJson, Limit, ListsAtOnce, Llm, MaxNewTokens, MoreFiles, Retriever, Seed
from r2ag.cli.output import in_words, libraries_to_stderr, note, print_facts, print_json, print_markdown
from r2ag.cli.requirements import need_study, need_training
from r2ag.cli.settings import said_of
from r2ag.errors import InputError
from r2ag.studies import STUDIES, Description, load

if TYPE_CHECKING:
    from r2ag.studies.base import Options, Plan, Step
    from r2ag.studies.study import Study
    from r2ag.types import Record

# As r2ag.studies.base has them; importing that would load numpy for every --help.
RECORDS = 800
RECIPE_HELP = "Further options of r2ag train, in quotes; empty for those of your settings alone."


def study_command(name: str) -> Callable[..., None]:
    """The command of one study; all have the same options."""
    described = STUDIES[name]

    def command(
        data: Annotated[
            list[Path],
            typer.Option("--data", metavar="FILE…", help="Files of test records; more may follow.", show_default=False),
        ],
        output: Annotated[
            Path,
            typer.Option(
                metavar="DIR", help="Everything goes there; a study that was stopped goes on.", show_default=False
            ),
        ],
        more: MoreFiles = None,
        over: str = described.default,
        train: Annotated[
            str | None,
            typer.Option(
                "--train",
                metavar="FILE:WEIGHT,…",
                help="Train adapters on these records, with commas between the files.",
                show_default="nothing is trained",
            ),
        ] = None,
        records: Annotated[
            int | None, typer.Option("--records", min=1, help="Training records of each run, drawn by the seed.")
        ] = RECORDS,
        recipe: Annotated[
            str | None, typer.Option(metavar="OPTIONS", help=RECIPE_HELP, show_default="a small one")
        ] = None,
        methods: Annotated[
            str | None,
            typer.Option(metavar="NAME,…", help="As in r2ag eval, in place of the study's.", show_default="its own"),
        ] = None,
        k: Annotated[
            int | None, typer.Option("--k", min=1, help="The K first documents.", show_default="the study's own")
        ] = None,
        limit: Limit = None,
        seed: Seed = 0,
        seeds: Annotated[
            int, typer.Option("--seeds", min=1, help="Runs of what chance decides; intervals are over them, too.")
        ] = 1,
        adapter: AdapterName = None,
        llm: Llm = None,
        retriever: Retriever = None,
        max_new_tokens: MaxNewTokens = 32,
        batch_size: ListsAtOnce = 1,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run; do nothing.")] = False,
        as_json: AsJson = False,
    ) -> None:
        need_study()
        if train:
            need_training()
        options = _options(
            data=(*data, *(more or [])),
            output=output,
            over=_listed(over),
            train=_listed(train),
            records=records,
            recipe=recipe,
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
        with libraries_to_stderr() as stdout:
            _run(load(name), options, dry_run, as_json, stdout)

    # Of this study alone; the annotations above are read outside of this function.
    varied = typer.Option(
        metavar="VALUE,…", help=described.over, show_default=True if described.default else "the shipped one"
    )
    command.__annotations__["over"] = Annotated[str, varied]
    command.__doc__ = _help(described)
    return command


def _help(described: Description) -> str:
    """Plain sentences; the page in docs/ tells more."""
    trains = " It trains adapters, so that --train must be given." if described.trains else ""
    return (
        f"{described.shows}{trains}\n\n"
        "Writes results.json, results.md, plots and every single answer to --output; r2ag report makes a page of them."
    )


def _listed(text: str | None) -> tuple[str, ...]:
    """Each once."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def _options(**told: Any) -> Options:
    from r2ag.cli.training_options import weighted_file
    from r2ag.studies.base import Options

    train = tuple(weighted_file(file) for file in told.pop("train"))
    check_files((*told["data"], *(file for file, _ in train)), "--data and --train")
    check_folder(told["output"])
    recipe = told.pop("recipe")
    return Options(train=train, **told, **({} if recipe is None else {"recipe": recipe}))


def _run(study: Study, options: Options, dry_run: bool, as_json: bool, stdout: TextIO) -> None:
    from r2ag.cli.progress import StudyProgress
    from r2ag.studies.run import count_answers, read_data, run
    from r2ag.studies.steps import make_all, missing_steps, run_command

    plan = study.plan(options)
    if options.train and not plan.steps:
        raise InputError("This study trains nothing; leave out --train, and name an adapter with --adapter.")
    records = read_data(options)
    if dry_run:
        _print_plan(plan, records, missing_steps(plan.steps, options.output, said_of), stdout)
        return
    count_answers(plan, records)  # methods that there are not end it before hours of training
    make_all(plan.steps, options.output, said_of, note, in_words, run_command)
    note("Loading the models …")
    with StudyProgress(options.batch_size) as progress:
        found = run(study, plan, records, options, progress)
    _print_results(found, options.output, as_json, stdout)


def _print_plan(plan: Plan, records: list[Record], missing: list[Step], stdout: TextIO) -> None:
    from r2ag.studies.run import count_answers

    trained = [step for step in missing if step.command[0] == "train"]
    documents = sum(len(record.documents) for record in records)
    facts: list[tuple[str, object]] = [
        ("records", f"{len(records)}, with {documents} documents"),
        ("trainings", f"{len(trained)} ({len(plan.steps)} steps in all, {len(plan.steps) - len(missing)} done)"),
        ("answers", count_answers(plan, records)),
    ]
    facts += [("step" if number == 0 else "", step) for number, step in enumerate(missing)]
    for condition in plan.conditions:
        said = ", ".join(condition.methods) or (condition.measure.name if condition.measure else "")
        facts.append((condition.row, f"seed {condition.seed}: {said}"))
    print_facts([*facts, ("written", "nothing")], stdout)


def _print_results(found: dict[str, Any], output: Path, as_json: bool, stdout: TextIO) -> None:
    if as_json:
        print_json(found, stdout)
        return
    print_markdown((output / "results.md").read_text(encoding="utf-8"), stdout)
    note(f"Everything is in {output}; r2ag report {output} makes a page of it.")
