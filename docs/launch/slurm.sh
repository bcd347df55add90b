#!/usr/bin/env bash
# Trains on two nodes with eight GPUs each, one process a GPU. Written, and not run here.
#   sbatch slurm.sh
#SBATCH --job-name=fashion-jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=12
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120  # two minutes before the end: the run saves and ends with 143
#SBATCH --requeue
#SBATCH --output=%x-%j.log
set -uo pipefail
CONFIG=${CONFIG:-street2shop_resnet50}
RUN=${RUN:-runs/slurm}

# srun tells each process its number; without it every process is refused.
srun fashion-jax doctor --config="$CONFIG" --workdir="$RUN" || exit 2
srun fashion-jax train --config="$CONFIG" --workdir="$RUN"
code=$?
if [ "$code" -eq 143 ]; then scontrol requeue "$SLURM_JOB_ID"; fi  # goes on where it saved
exit "$code"
