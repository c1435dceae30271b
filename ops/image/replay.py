"""A Dockerfile, its context and a base's root in, the image that its own instructions make out."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ops.image import namespaces
from ops.image.context import Context
from ops.image.dockerfile import Dockerfile, DockerfileError, Instruction, Stage, expand
from ops.image.inside import Process

_BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TAIL = 20  # lines of what a RUN that failed said


@dataclass(frozen=True)
class Health:
    """HEALTHCHECK: its command, and its options without dashes."""

    command: list[str]
    options: Mapping[str, str]
    is_exec_form: bool


@dataclass
class Image:
    """A root file system, and how its process is to be started."""

    root: Path
    base: str
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _BASE_PATH, "LANG": "C.UTF-8"})
    working_directory: str = "/"
    user: str = "0:0"
    labels: dict[str, str] = field(default_factory=dict)
    ports: list[str] = field(default_factory=list)
    health: Health | None = None
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    is_exec_form: bool = False
    stop_signal: str = "SIGTERM"

    def process(self, *, is_locked: bool = True) -> Process:
        """What a container of it starts."""
        user, group = self.user_ids()
        return Process(
            root=str(self.root),
            command=self.entrypoint + self.command,
            environment=self.environment,
            working_directory=self.working_directory,
            user=user,
            group=group,
            binds={},
            is_locked=is_locked,
        )

    def user_ids(self) -> tuple[int, int]:
        """Of whom its process is.

        Raises:
            DockerfileError: USER is not two numbers; Kubernetes can't tell of a name whether it is root.
        """
        user, _, group = self.user.partition(":")
        if not (user.isdecimal() and group.isdecimal()):
            raise DockerfileError(0, f"USER {self.user}: write it as two numbers, such as 10001:10001")
        return int(user), int(group)


@dataclass(frozen=True)
class Given:
    """What a build gets besides its Dockerfile.

    Attributes:
        unpack: puts the root of the base into a folder; the base image stands in for all that FROM names.
        binds: folders of this machine that every RUN sees under /run, by name.
        environment: variables that every RUN has, and that do not stay in the image.
    """

    context: Context
    unpack: Callable[[Path], None]
    binds: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)


def replay(dockerfile: Dockerfile, given: Given, folder: Path) -> Image:
    """Make every stage in a folder of its own under `folder`; the image of the last one.

    Raises:
        DockerfileError: an instruction failed, or is beyond us.
    """
    known = dict(given.arguments)
    for instruction in dockerfile.arguments:
        name, _, default = instruction.text.partition("=")
        known.setdefault(name, expand(default, known))
    made: dict[str, Image] = {}
    for index, stage in enumerate(dockerfile.stages):
        root = folder / f"stage-{index}"
        made[stage.name] = _Builder(given, known, made).build(stage, root)
    return made[dockerfile.stages[-1].name]


class _Builder:
    """Carries out the instructions of one stage."""

    def __init__(self, given: Given, outer: Mapping[str, str], made: Mapping[str, Image]) -> None:
        self._given = given
        self._outer = outer
        self._made = made
        self._arguments: dict[str, str] = {}
        self._image = Image(Path(), "")

    def build(self, stage: Stage, root: Path) -> Image:
        base = expand(stage.base, self._outer)
        if not base:
            raise DockerfileError(stage.line, f"FROM {stage.base} names nothing: give its ARG a default")
        root.mkdir(parents=True)
        if base in self._made:
            raise DockerfileError(stage.line, f"FROM {base}: a stage on a stage can't be replayed")
        self._image = Image(root, base)
        self._given.unpack(root)
        for instruction in stage.instructions:
            getattr(self, f"_{instruction.keyword.lower()}")(instruction)
        return self._image

    def _variables(self) -> dict[str, str]:
        return {**self._arguments, **self._image.environment}

    def _expanded(self, instruction: Instruction) -> Instruction:
        return replace(instruction, text=expand(instruction.text, self._variables()))

    def _arg(self, instruction: Instruction) -> None:
        name, _, default = instruction.text.partition("=")
        self._arguments[name] = self._outer.get(name, expand(default.strip('"'), self._variables()))

    def _env(self, instruction: Instruction) -> None:
        self._image.environment |= dict(self._expanded(instruction).pairs())

    def _label(self, instruction: Instruction) -> None:
        self._image.labels |= dict(self._expanded(instruction).pairs())

    def _expose(self, instruction: Instruction) -> None:
        self._image.ports += self._expanded(instruction).words()

    def _user(self, instruction: Instruction) -> None:
        self._image.user = self._expanded(instruction).text

    def _stopsignal(self, instruction: Instruction) -> None:
        self._image.stop_signal = self._expanded(instruction).text

    def _workdir(self, instruction: Instruction) -> None:
        self._image.working_directory = self._absolute(self._expanded(instruction).text)
        self._inside(self._image.working_directory).mkdir(parents=True, exist_ok=True)

    def _cmd(self, instruction: Instruction) -> None:
        self._image.command = instruction.command()
        self._image.is_exec_form = instruction.is_exec_form

    def _entrypoint(self, instruction: Instruction) -> None:
        self._image.entrypoint = instruction.command()

    def _healthcheck(self, instruction: Instruction) -> None:
        keyword, _, text = instruction.text.partition(" ")
        if keyword.upper() != "CMD":
            raise DockerfileError(
                instruction.line, f"HEALTHCHECK {instruction.text}: write HEALTHCHECK CMD ..."
            )
        command = replace(instruction, text=text.strip())
        self._image.health = Health(command.command(), instruction.flags, command.is_exec_form)

    def _run(self, instruction: Instruction) -> None:
        if instruction.flags:
            raise DockerfileError(
                instruction.line, f"RUN --{next(iter(instruction.flags))} can't be replayed"
            )
        process = replace(
            self._image.process(is_locked=False),
            command=instruction.command(),
            environment={**self._variables(), **self._given.environment},
            binds={name: str(path) for name, path in self._given.binds.items()},
        )
        done = namespaces.run(process)
        if done.returncode != 0:
            said = "\n".join(done.stdout.splitlines()[-_TAIL:])
            raise DockerfileError(instruction.line, f"RUN ended with status {done.returncode}:\n{said}")

    def _copy(self, instruction: Instruction) -> None:
        *sources, target = self._expanded(instruction).words()
        if unknown := instruction.flags.keys() - {"from"}:
            raise DockerfileError(instruction.line, f"COPY --{min(unknown)} can't be replayed")
        is_folder = target == "." or target.endswith("/") or len(sources) > 1
        for source in sources:
            copied = 0
            for file, below in self._sources(instruction, source):
                place = self._inside(self._absolute(target))
                place = place / (below or file.name) if below or is_folder or place.is_dir() else place
                _copy_file(file, place)
                copied += 1
            if not copied:
                raise DockerfileError(
                    instruction.line, f"COPY {source}: there is no such file, or .dockerignore keeps it out"
                )

    def _sources(self, instruction: Instruction, source: str) -> Iterator[tuple[Path, str]]:
        """Each file, and its path below the folder that is copied; empty where it is the source itself."""
        if "from" in instruction.flags:
            stage = instruction.flags["from"]
            if stage not in self._made:
                raise DockerfileError(instruction.line, f"COPY --from={stage}: no stage before has this name")
            top = self._made[stage].root
            start = top / source.lstrip("/")
            found: Iterator[Path] = iter([start] if start.is_file() else sorted(start.rglob("*")))
            files = (path for path in found if path.is_symlink() or path.is_file())
        else:
            start = self._given.context.folder / source
            files = (self._given.context.folder / path for path in self._given.context.files(source))
        for path in files:
            yield path, "" if path == start else path.relative_to(start).as_posix()

    def _absolute(self, path: str) -> str:
        return (PurePosixPath(self._image.working_directory) / path).as_posix()

    def _inside(self, path: str) -> Path:
        return self._image.root / path.lstrip("/")


def _copy_file(source: Path, target: Path) -> None:
    """With its mode, and root's: as COPY without --chown."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
