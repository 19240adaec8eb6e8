"""One run from its request to its report; the command line and the Prefect flow both call this."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows import stages
from flows.live import watched
from flows.load import dump, load_experiment, validate_tree
from flows.outcome import outcome
from flows.plan import Plan, make_plan
from flows.server import asked_for_server, lets_us_in, server_that_answers
from flows.sources import Sources, open_sources, sources_of, used_entries
from flows.stages._workers import note_workers
from flows.workspace import FORMAT, Workspace
from pipeline import __version__
from pipeline.backend import get_backend
from pipeline.backend.cluster import SharedCluster, cluster_spec, limit_threads, one_cluster
from pipeline.board import Board
from pipeline.errors import RunFolderError, UserError
from pipeline.files import file_digest, json_digest, remove
from pipeline.report.result import Result as Outcome
from pipeline.run_folder import RunFolder
from pipeline.run_log import log_to
from pipeline.stage import StageRecord, run_stage

# How a stage is called: directly, or as a Prefect task. It gets the run's path and the stage's name.
Call = Callable[[str, str], StageRecord]


@dataclass(frozen=True)
class Request:
    """What the command line, or a deployment, asks for.

    Parameters
    ----------
    experiment : str, optional
        Name or file; None when a run is resumed.
    resume : str, optional
        Path, name or unique prefix of a run.
    overrides : tuple of str
        ``a.b=c``.
    data, catalog : Path, optional
        Local mirror and catalog file.
    out : Path
        Folder that holds the runs.
    use_server : bool
        Whether a Prefect server that answers is used.
    debug : bool
        Whether debug messages go to the log.
    """

    experiment: str | None = None
    resume: str | None = None
    overrides: tuple[str, ...] = ()
    data: Path | None = None
    catalog: Path | None = None
    out: Path = Path("runs")
    use_server: bool = True
    debug: bool = False


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    folder: Path
    report: Path
    warnings: tuple[str, ...]
    outcome: Outcome | None


def start(request: Request, say: Callable[[str], None] = lambda text: None) -> Result:
    """Make or find the run that ``request`` asks for, do every stage that is not done, return the result.

    Parameters
    ----------
    request : Request
        What is asked for.
    say : callable
        Told how the stages are called.

    Raises
    ------
    UserError
        If the request, the experiment, the catalog or the data are at fault.
    """
    run = create_or_find(request)
    try:
        with watched(run.path, lines=True):
            return _work(run, request, say)
    except BaseException as error:
        if not isinstance(error, Exception):  # a signal
            say(f"stopped; `finescale run --resume {shlex.quote(str(run.path))}` goes on where it was.")
        raise


def _work(run: RunFolder, request: Request, say: Callable[[str], None]) -> Result:
    server = server_that_answers() if request.use_server else None
    if server is None:
        if request.use_server and asked_for_server():
            say(f"stages are called directly: no Prefect server answers at {os.environ['PREFECT_API_URL']}")
        return execute(run, direct, debug=request.debug)
    if not lets_us_in(server):
        say(
            f"stages are called directly: the Prefect server at {server} asks for a user name and a password; "
            "FINESCALE_AUTH=user:password gives them, and --no-server keeps from asking"
        )
        return execute(run, direct, debug=request.debug)
    say(f"stages are tasks of a flow run on the Prefect server at {server}")
    if not request.debug:
        # The message of a fault is said once, by the command line; the server gets all of it.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from flows.flow import run_on_server

    return run_on_server(run, server)


def create_or_find(request: Request) -> RunFolder:
    """Return a new run folder for the request's experiment, or the one it asks to resume."""
    return _resumed(request) if request.resume else _created(request)


def direct(path: str, name: str) -> StageRecord:
    """Do one stage of the run at ``path`` in this process."""
    return do_stage(path, name)


def execute(run: RunFolder, call: Call, *, debug: bool = False) -> Result:
    """Do every stage of ``run`` that is not done, in order, each by ``call``."""
    with (
        run.lock(),
        log_to(run, "DEBUG" if debug else "INFO"),
        _nothing_left_of_a_false_start(run),
        one_cluster(run.path) as cluster,
    ):
        _reach(run, cluster)
        Board(run.path).clear()
        for stage in stages.ALL:
            call(str(run.path), stage.name)
        Board(run.path).clear()
    return result_of(run)


def _reach(run: RunFolder, cluster: SharedCluster) -> None:
    """Reach a scheduler that is asked for, and look at its workers, before the first stage: not hours after it."""
    if all((run / f"stages/{stage.name}.json").is_file() for stage in stages.ALL):
        return
    space = Workspace.open(run.path)
    spec = cluster_spec(space.backend.name, space.plan.experiment.compute)
    if spec.address is not None:
        note_workers(run, len(cluster.client(spec).nthreads()))


def result_of(run: RunFolder) -> Result:
    """Return what a finished run came to."""
    space = Workspace.open(run.path)
    lost = [
        f"member {m['member']} of {m['model']} failed and was left out: {m['error']}" for m in space.failed_members()
    ]
    warnings = (*space.said("fallbacks"), *space.said("warnings"), *lost)
    return Result(run.path, run / "report.html", warnings, outcome(run))


def do_stage(path: str, name: str) -> StageRecord:
    """Do stage ``name`` of the run at ``path``, unless it is done; how it gets on stands on the run's board."""
    space = Workspace.open(path, Board(Path(path)))
    stage = next(stage for stage in stages.ALL if stage.name == name)
    with limit_threads(space.plan.experiment.compute.threads):
        return run_stage(space.run, name, stage_digest(space, name), lambda: stage.function(space), owns=stage.owns)


def stage_digest(space: Workspace, name: str) -> str:
    """Return the digest of all that goes into a stage: code version, its options, the stages before."""
    names = [stage.name for stage in stages.ALL]
    before = names[: names.index(name)]
    tree = space.plan.experiment.model_dump(mode="json")
    parts: dict[str, tuple[str, ...]] = {
        "ingest": ("data",),
        "prepare": ("data", "split", "prepare", "regions"),
        "fit": ("models", "training", "augment", "uncertainty", "seed"),
        "predict": ("uncertainty",),
        "score": ("scores", "changes", "seed"),
        "explain": ("explain", "seed"),
        "report": ("name", "question"),
    }
    options = {part: tree[part] for part in parts[name]}
    if name == "ingest":
        options["catalog"] = space.run.read_json("work/settings.json")["entries"]
    if name == "ingest":
        # A plug-in may be a reader, a model or a metric: where one has changed, everything is done again.
        base = Path(space.run.read_json("work/settings.json")["base"])
        options["plugins"] = [file_digest(base / file) for file in space.plan.experiment.plugins]
    upstream = [StageRecord.read(space.run, stage).digest for stage in before]
    return json_digest([__version__, name, space.backend.name, options, upstream])


def dry_run_text(request: Request) -> str:
    """Return the plan in words: sources and where they are, models, fits, stages and which are done."""
    from flows.dry_run import describe

    if request.resume:
        run = RunFolder.find(request.out, request.resume)
        space = Workspace.open(run.path)
        return describe(space.plan, sources_of(run, request.data), space.backend.name, run, run.path.parent)
    plan, sources = _checked(request)[:2]
    return describe(plan, sources, get_backend(plan.experiment.compute.backend).name, None, request.out)


def _checked(request: Request) -> tuple[Plan, Sources, Path]:
    """Return plan, sources and the experiment's file, everything checked that can be without data."""
    loaded = load_experiment(str(request.experiment), request.overrides)
    plan = make_plan(loaded.experiment, where=str(loaded.source), base=loaded.source.parent)
    sources = open_sources(request.catalog, request.data)
    used_entries(plan.experiment, sources.catalog)
    return plan, sources, loaded.source


def _created(request: Request) -> RunFolder:
    plan, sources, source = _checked(request)
    backend = get_backend(plan.experiment.compute.backend)
    run = RunFolder.create(request.out, plan.experiment.name)
    (run / "experiment.yaml").write_text(dump(plan.experiment), encoding="utf-8")
    run.write_json(
        "work/settings.json",
        {
            "format": FORMAT,
            "backend": backend.name,
            "base": source.parent.resolve(),
            "catalog": sources.catalog.path.resolve(),
            "catalog_below": below.path.resolve() if (below := sources.catalog.below) is not None else None,
            "data": request.data.resolve() if request.data else None,
            "entries": {
                name: entry.model_dump(mode="json", by_alias=True)
                for name, entry in used_entries(plan.experiment, sources.catalog).items()
            },
            "experiment_sha256": file_digest(run / "experiment.yaml"),
            "command": [
                "finescale",
                "run",
                str(request.experiment),
                *(w for text in request.overrides for w in ("--set", text)),
            ],
        },
    )
    return run


def _resumed(request: Request) -> RunFolder:
    """Return the run to go on with; its question must be the one it began with."""
    run = RunFolder.find(request.out, str(request.resume))
    settings = run.read_json("work/settings.json")
    if file_digest(run / "experiment.yaml") != settings["experiment_sha256"]:
        raise RunFolderError(
            f"{run / 'experiment.yaml'} was changed after the run began. A run answers one question: "
            "start a new one with `finescale run FILE.yaml`, or undo the change."
        )
    if request.overrides:
        changed = dump(validate_tree(run / "experiment.yaml", request.overrides))
        if changed != (run / "experiment.yaml").read_text(encoding="utf-8"):
            raise RunFolderError(
                f"--resume goes on with the same experiment, got the changes {', '.join(request.overrides)}. "
                "Leave them out, or start a new run."
            )
    if request.data:
        run.write_json("work/settings.json", {**settings, "data": request.data.resolve()})
    return run


@contextmanager
def _nothing_left_of_a_false_start(run: RunFolder) -> Iterator[None]:
    """Remove a run that the user's input ended before its first stage was done: nothing in it is of use."""
    try:
        yield
    except UserError:
        if not any((run / "stages").glob("*.json")):
            remove(run.path)
        raise
