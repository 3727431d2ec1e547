"""Models -> a SLURM array job: one task per model, each with its own store. A last job merges the stores."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.inputs import InputError
from bench.outputs import write_text
from bench.text import shell

SCRIPT = """\
#!/usr/bin/env bash
# One task per model, {count} in all. Add your site's partition, time and memory:
# sbatch --partition=... {script}
# A killed or requeued task resumes from its store. When all tasks have ended, run: {merge}
#SBATCH --job-name=boxes
#SBATCH --array=0-{last}
#SBATCH --gres=gpu:{gpus}
#SBATCH --output={shards}/%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail
models=({names})
name=${{models[$SLURM_ARRAY_TASK_ID]}}
cd {folder}
exec {score} --models="$name" --store={shards}/"$name".sqlite
"""


def write_job(
    script: Path, names: Sequence[str], options: Sequence[str], gpus: int, store: Path
) -> list[str]:
    """Write the script. Returns the commands that submit it and then merge all rows into one store.

    options: command-line arguments of `python -m bench score`.
    """
    shards = Path(f"{store.absolute()}.shards")
    bench = f"{shell(sys.executable)} -m bench"
    merge = f"{bench} store merge --store={shell(store.absolute())} {shell(shards)}/*.sqlite"
    text = SCRIPT.format(
        count=len(names),
        last=len(names) - 1,
        script=shell(script.name),
        gpus=gpus,
        names=" ".join(map(shell, names)),
        folder=shell(Path.cwd()),
        shards=shell(shards),
        score=" ".join([bench, "score", *map(shell, options)]),
        merge=merge,
    )
    if not script.parent.is_dir():
        raise InputError(f"cannot write {script}: {script.parent} is not a folder. Choose another file.")
    try:
        shards.mkdir(parents=True, exist_ok=True)  # SLURM does not create the folder of its logs
        write_text(script, text)
    except OSError as error:
        raise InputError(
            f"cannot write {script}: {error.strerror}. Choose another file after --slurm."
        ) from None
    return [
        f"job=$(sbatch --parsable {shell(script)})",
        f'sbatch --dependency=afterany:"$job" --wrap={shell(merge)}',
    ]
